/** A response that stays open, in any format. */
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, formatReason, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import type { StreamEnvironment } from "./environment.ts";
import { type ObjectConnection, UNANSWERED } from "./object-connection.ts";

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

/** Receives a stream's text: one piece, or the end, after each `pull`. */
export interface StreamReader {
  /** @param piece never "" */
  write(piece: string): void;
  end(): void;
  /** Aborts the response, because the reader was too slow. */
  fail(error: Error): void;
}

/**
 * Opens a stream when the object has greeted the connection.
 * @returns the stream, or why the object refuses the connection
 */
export async function openStream(
  connection: ObjectConnection,
  format: StreamFormat,
  environment: StreamEnvironment,
): Promise<Stream | Fault> {
  const greeting = await connection.greeting(environment.now() + GREETING_TIMEOUT);
  return typeof greeting === "string" ? new Stream(connection, format, environment, greeting) : greeting;
}

/**
 * A stream of pieces of text. A reader that waits for a piece receives it in the same event as the object's lines,
 * because a promise for each stream would cost more than the lines.
 */
export class Stream {
  readonly #connection: ObjectConnection;
  readonly #format: StreamFormat;
  readonly #environment: StreamEnvironment;
  readonly #checkAlive: () => number;
  readonly #heartbeatAfter: number;
  readonly #next = () => this.#continue();
  #wroteAt: number;
  /** The first piece, until it is read. */
  #first: string;
  /** The reader that waits for a piece; undefined while none does. */
  #reader: StreamReader | undefined;
  #isOver = false;

  /** @param greeting the first lines that were received */
  constructor(connection: ObjectConnection, format: StreamFormat, environment: StreamEnvironment, greeting: string) {
    this.#connection = connection;
    this.#format = format;
    this.#environment = environment;
    this.#checkAlive = livenessOf(connection, environment);
    this.#heartbeatAfter = format.heartbeat === "" ? Number.POSITIVE_INFINITY : HEARTBEAT_INTERVAL;
    this.#first = format.preamble + format.render(greeting);
    this.#wroteAt = environment.now();
  }

  /** Gives a reader the next piece, now or later. The reader must not pull again before. */
  pull(reader: StreamReader): void {
    this.#reader = reader;
    if (this.#first === "") this.#continue();
    else {
      const first = this.#first;
      this.#first = "";
      this.#connection.markRead();
      this.#write(first);
    }
  }

  /** Writes the next piece, or waits until there is one. */
  #continue(): void {
    const connection = this.#connection;
    const format = this.#format;
    if (this.#isOver) this.#take()?.end();
    while (this.#reader) {
      connection.send(format.commands());
      const deadline = Math.min(this.#checkAlive(), this.#wroteAt + this.#heartbeatAfter, format.dueAt);
      if (connection.mustWait(deadline)) {
        connection.wait(deadline, this.#next);
        break;
      }
      const lines = connection.takeNow();
      if (lines === "" && connection.ending) {
        this.#end();
        break;
      }
      if (lines === "" && format.fault) connection.end({ code: TRY_AGAIN, reason: formatReason(format.fault) });
      const text = format.render(lines);
      if (text !== "") this.#write(text);
      else if (this.#environment.now() - this.#wroteAt >= this.#heartbeatAfter) this.#write(format.heartbeat);
    }
  }

  #write(text: string): void {
    this.#wroteAt = this.#environment.now();
    this.#take()?.write(text);
  }

  /** Writes why the object ended the connection, and ends. */
  #end(): void {
    this.#isOver = true;
    const { isTooSlow, fault } = this.#connection;
    if (isTooSlow) this.#take()?.fail(new Error("the reader was too slow"));
    else if (fault) this.#write(this.#format.renderError({ ...fault, command: "connect" }));
    else this.#take()?.end();
  }

  /** Returns the reader, which gets what it waited for. */
  #take(): StreamReader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}

/**
 * Returns a check to make before each wait for lines: it sends `keepalive` to a silent object, and closes the
 * connection if the object doesn't reply, because the socket of a lost object may stay open.
 * @returns a function that returns when to check again
 */
function livenessOf(connection: ObjectConnection, environment: StreamEnvironment): () => number {
  /** When the last `keepalive` was sent, and the number of frames received before. */
  let sent = { at: 0, frames: -1 };
  return () => {
    const { receivedAt, frames } = connection;
    const now = environment.now();
    if (sent.frames !== frames) {
      if (now - receivedAt < HEARTBEAT_INTERVAL) return receivedAt + HEARTBEAT_INTERVAL;
      sent = { at: now, frames };
      connection.send(KEEPALIVE);
    } else if (now - sent.at >= KEEPALIVE_TIMEOUT) {
      connection.end({ code: TRY_AGAIN, reason: formatReason(UNANSWERED) });
    }
    return sent.at + KEEPALIVE_TIMEOUT;
  };
}
