/** A response that stays open, in any format. */
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, formatReason, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import type { StreamEnvironment } from "./environment.ts";
import { faultOf, greetingOf, UNANSWERED } from "./greeting.ts";
import type { ObjectConnection } from "./object-connection.ts";

/** Interval of heartbeats, in milliseconds: networks cut connections that are silent for a minute. */
const HEARTBEAT_INTERVAL = 20_000;

/** Time within which an object has to greet a connection, in milliseconds. */
const GREETING_TIMEOUT = 30_000;

/** Time within which an object, or the runtime for it, has to answer `keepalive`, in milliseconds. */
const KEEPALIVE_TIMEOUT = 10_000;

const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

/** The format of a stream, and the commands that it needs. */
export interface StreamFormat {
  /** Where to start in the connection's own channel; undefined for now. */
  readonly from: From | undefined;
  /** The text with which the stream begins. */
  readonly preamble: string;
  /** When to call `commands` next, in milliseconds since 1970; Infinity for never. */
  readonly dueAt: number;
  /** Returns the commands to send to the object now. */
  commands(): string;
  /** Renders whole lines of the object. */
  render(lines: string): string;
  /** The text that shows that the stream is alive; "" if the object's lines do. */
  readonly heartbeat: string;
  /** Renders an error that ends the stream. */
  renderError(refusal: Refusal): string;
  /** Why the stream can't continue; undefined if it can. */
  readonly fault: Fault | undefined;
}

export class Stream {
  readonly #connection: ObjectConnection;
  readonly #format: StreamFormat;
  readonly #environment: StreamEnvironment;
  /** The first lines of the object, with its greeting; undefined once they are written. */
  #greeting: string | undefined;
  /** When text was last written. */
  #wroteAt: number;
  /** When the last `keepalive` was sent, and the number of frames received before. */
  #keepalive = { sentAt: 0, frames: -1 };
  #isOver = false;

  /**
   * Opens a stream when the object has greeted the connection.
   * @returns the stream, or why the object refuses the connection
   */
  static async open(
    connection: ObjectConnection,
    format: StreamFormat,
    environment: StreamEnvironment,
  ): Promise<Stream | Fault> {
    const greeting = await greetingOf(connection, environment.now() + GREETING_TIMEOUT);
    return typeof greeting === "string" ? new Stream(connection, format, environment, greeting) : greeting;
  }

  /** @param greeting the first lines that were received */
  private constructor(
    connection: ObjectConnection,
    format: StreamFormat,
    environment: StreamEnvironment,
    greeting: string,
  ) {
    this.#connection = connection;
    this.#format = format;
    this.#environment = environment;
    this.#greeting = greeting;
    this.#wroteAt = environment.now();
  }

  /**
   * Waits for the next piece of text, which is never "".
   * @returns undefined at the end of the stream
   * @throws Error if the reader was too slow, which aborts the response
   */
  async next(): Promise<string | undefined> {
    while (!this.#isOver) {
      const text = this.#begin() ?? (await this.#continue());
      if (text === "") continue;
      this.#wroteAt = this.#environment.now();
      return text;
    }
    return undefined;
  }

  #begin(): string | undefined {
    if (this.#greeting === undefined) return undefined;
    const text = this.#format.preamble + this.#format.render(this.#greeting);
    this.#greeting = undefined;
    this.#connection.markRead();
    return text;
  }

  async #continue(): Promise<string> {
    this.#connection.send(this.#format.commands());
    this.#checkAlive();
    const lines = await this.#connection.take(this.#deadline());
    if (this.#connection.isTooSlow) throw new Error("the reader was too slow");
    if (lines === "" && this.#connection.ending) return this.#finish();
    const { fault } = this.#format;
    if (lines === "" && fault) this.#connection.end({ code: TRY_AGAIN, reason: formatReason(fault) });
    const text = this.#format.render(lines);
    return text === "" && this.#isSilentTo(this.#wroteAt) ? this.#format.heartbeat : text;
  }

  /**
   * Sends `keepalive` to a silent object, and closes the connection if it doesn't reply, because the socket of a lost
   * object may stay open.
   */
  #checkAlive(): void {
    const { receivedAt, frames } = this.#connection;
    const now = this.#environment.now();
    if (!this.#isSilentTo(receivedAt)) return;
    if (!this.#awaitsKeepalive) {
      this.#keepalive = { sentAt: now, frames };
      this.#connection.send(KEEPALIVE);
    } else if (now - this.#keepalive.sentAt >= KEEPALIVE_TIMEOUT) {
      this.#connection.end({ code: TRY_AGAIN, reason: formatReason(UNANSWERED) });
    }
  }

  /** Whether a `keepalive` was sent, and nothing was received since. */
  get #awaitsKeepalive(): boolean {
    return this.#keepalive.frames === this.#connection.frames;
  }

  #isSilentTo(since: number): boolean {
    return this.#environment.now() - since >= HEARTBEAT_INTERVAL;
  }

  /** Returns when to act even if the object sends nothing. */
  #deadline(): number {
    const alive = this.#awaitsKeepalive
      ? this.#keepalive.sentAt + KEEPALIVE_TIMEOUT
      : this.#connection.receivedAt + HEARTBEAT_INTERVAL;
    const tick = this.#format.heartbeat === "" ? Number.POSITIVE_INFINITY : this.#wroteAt + HEARTBEAT_INTERVAL;
    return Math.min(alive, tick, this.#format.dueAt);
  }

  #finish(): string {
    this.#isOver = true;
    const fault = faultOf(this.#connection);
    return fault ? this.#format.renderError({ ...fault, command: "connect" }) : "";
  }
}
