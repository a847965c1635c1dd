/** What a client reads for as long as its response is open, whatever it is written in. */
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, formatReason, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import type { Clock } from "./environment.ts";
import { faultOf, greetingOf, UNANSWERED } from "./greeting.ts";
import type { Tap } from "./object-connection.ts";

/** How often a stream shows that it is alive, in milliseconds: networks cut connections that are silent for a minute. */
const ALIVE_EACH = 20_000;

/** How long an object may take to greet a connection, in milliseconds. */
const GREETED_WITHIN = 30_000;

/** How long an object may take to answer `keepalive`, which the runtime does for it, in milliseconds. */
const ALIVE_WITHIN = 10_000;

const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

/** How a stream is written. */
export interface Dialect {
  /** Where the connection's own channel begins; undefined for now. */
  readonly from: From | undefined;
  /** The text before everything else. */
  readonly begin: string;
  /** When `commands` has something to do next, in milliseconds since 1970; Infinity if never. */
  readonly dueAt: number;
  /** Returns the commands that are due, for the object. */
  commands(): string;
  /** Writes whole lines of the object's. */
  read(lines: string): string;
  /** The text that shows that the stream is alive; "" if lines of the object's show it. */
  readonly tick: string;
  /** Writes an error that ends the stream. */
  say(refusal: Refusal): string;
  /** Why the stream can't go on, if it can't. */
  readonly fault: Fault | undefined;
}

export class Stream {
  readonly #tap: Tap;
  readonly #dialect: Dialect;
  readonly #clock: Clock;
  /** What the object has sent with its greeting; undefined once that is written. */
  #greeting: string | undefined;
  /** When something was written last. */
  #wroteAt: number;
  /** When the object was asked whether it is alive, and how many frames it had sent then. */
  #asked = { at: 0, frames: -1 };
  #isOver = false;

  /**
   * Begins a stream when the object has greeted the connection.
   * @returns why the object doesn't let the connection in, if it doesn't
   */
  static async open(tap: Tap, dialect: Dialect, clock: Clock): Promise<Stream | Fault> {
    const greeting = await greetingOf(tap, clock.now() + GREETED_WITHIN);
    return typeof greeting === "string" ? new Stream(tap, dialect, clock, greeting) : greeting;
  }

  /** @param greeting the first lines that were received */
  private constructor(tap: Tap, dialect: Dialect, clock: Clock, greeting: string) {
    this.#tap = tap;
    this.#dialect = dialect;
    this.#clock = clock;
    this.#greeting = greeting;
    this.#wroteAt = clock.now();
  }

  /**
   * Waits for the next piece of text, never "".
   * @returns undefined at the end of the stream
   * @throws Error if the reader was too slow, so that the response breaks off
   */
  async next(): Promise<string | undefined> {
    while (!this.#isOver) {
      const text = this.#begin() ?? (await this.#goOn());
      if (text === "") continue;
      this.#wroteAt = this.#clock.now();
      return text;
    }
    return undefined;
  }

  #begin(): string | undefined {
    if (this.#greeting === undefined) return undefined;
    const text = this.#dialect.begin + this.#dialect.read(this.#greeting);
    this.#greeting = undefined;
    this.#tap.served();
    return text;
  }

  async #goOn(): Promise<string> {
    this.#tap.say(this.#dialect.commands());
    this.#checkAlive();
    const lines = await this.#tap.take(this.#until());
    if (this.#tap.isCut) throw new Error("the reader was too slow");
    if (lines === "" && this.#tap.ending) return this.#finish();
    const { fault } = this.#dialect;
    if (lines === "" && fault) this.#tap.end({ code: TRY_AGAIN, reason: formatReason(fault) });
    const text = this.#dialect.read(lines);
    return text === "" && this.#isSilentTo(this.#wroteAt) ? this.#dialect.tick : text;
  }

  /** An object that has vanished may leave a socket that never closes. */
  #checkAlive(): void {
    const { heardAt, frames } = this.#tap;
    const now = this.#clock.now();
    if (!this.#isSilentTo(heardAt)) return;
    if (!this.#isAsked) {
      this.#asked = { at: now, frames };
      this.#tap.say(KEEPALIVE);
    } else if (now - this.#asked.at >= ALIVE_WITHIN) {
      this.#tap.end({ code: TRY_AGAIN, reason: formatReason(UNANSWERED) });
    }
  }

  /** Whether the object was asked, and has sent nothing since. */
  get #isAsked(): boolean {
    return this.#asked.frames === this.#tap.frames;
  }

  #isSilentTo(since: number): boolean {
    return this.#clock.now() - since >= ALIVE_EACH;
  }

  /** When there is something to do even if the object sends nothing. */
  #until(): number {
    const alive = this.#isAsked ? this.#asked.at + ALIVE_WITHIN : this.#tap.heardAt + ALIVE_EACH;
    const tick = this.#dialect.tick === "" ? Number.POSITIVE_INFINITY : this.#wroteAt + ALIVE_EACH;
    return Math.min(alive, tick, this.#dialect.dueAt);
  }

  #finish(): string {
    this.#isOver = true;
    const fault = faultOf(this.#tap);
    return fault ? this.#dialect.say({ ...fault, command: "connect" }) : "";
  }
}
