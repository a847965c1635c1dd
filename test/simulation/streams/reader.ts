/** A client that reads a stream, possibly slowly or only in part. */
import type { Fault } from "../../../src/protocol/errors.ts";
import { type Budget, STALLED_AFTER } from "../../../src/streams/backlog.ts";
import type { StreamEnvironment } from "../../../src/streams/environment.ts";
import type { ObjectConnection } from "../../../src/streams/object-connection.ts";
import { openStream, type Stream, type StreamFormat } from "../../../src/streams/stream.ts";
import { check } from "../violation.ts";
import { type ObjectSide, SILENCE_TIMEOUT } from "./object-side.ts";
import { nextPiece } from "./pieces.ts";

/** Checks the text that a reader receives. */
export interface Judge {
  /** @throws Violation if the text is wrong */
  read(text: string): void;
  /** Checks the end of the stream. Throws like `read`. */
  ended(): void;
}

/** Whether the budget is so small that any reader may be dropped. */
export function isTight({ limits }: Budget): boolean {
  return limits.forAll < 100_000;
}

export class Reader {
  readonly name: string;
  readonly object: ObjectSide;
  readonly judge: Judge;
  readonly #environment: StreamEnvironment;
  readonly #connection: ObjectConnection;
  #stream: Stream | undefined;
  #isReading = false;
  /** How the stream ended; undefined while it is open. */
  over: "denied" | "ended" | "broken off" | "left" | undefined;
  denial: Fault | undefined;
  /** Whether the client is lost without a sign, and never reads again. */
  hasVanished = false;
  #askedAt: number;
  /** Whether the client was stalled, so that it may be dropped. */
  #wasLate = false;
  readonly #isTight: boolean;
  /** The violation that the client found. */
  violation: unknown;

  constructor(
    name: string,
    object: ObjectSide,
    format: StreamFormat,
    judge: Judge,
    { environment, budget }: { environment: StreamEnvironment; budget: Budget },
  ) {
    this.name = name;
    this.object = object;
    this.judge = judge;
    this.#environment = environment;
    this.#askedAt = environment.now();
    this.#isTight = isTight(budget);
    this.#connection = object.connect({ environment, budget });
    this.#note(this.#open(format));
  }

  get mayRead(): boolean {
    return this.#stream !== undefined && !this.#isReading && !this.over && !this.hasVanished;
  }

  /** When the client began to wait for the next piece, in milliseconds since 1970; undefined if it isn't waiting. */
  get waitingSince(): number | undefined {
    return this.#isReading && !this.over && !this.hasVanished ? this.#askedAt : undefined;
  }

  /** Asks for the next piece. */
  read(): void {
    this.#note(this.#read());
  }

  /** Disconnects, and the runtime reports it. */
  leave(): void {
    this.over ??= "left";
    this.#connection.drop();
  }

  async #open(format: StreamFormat): Promise<void> {
    const { object } = this;
    const stream = await openStream(this.#connection, format, this.#environment);
    if (!("code" in stream)) this.#stream = stream;
    else {
      this.over ??= "denied";
      this.denial = stream;
      check(stream.why !== "", () => "a denial has no sentence");
      const mayFail = this.over === "left" || this.#isTight || object.hasFailed || object.age >= SILENCE_TIMEOUT;
      check(mayFail, () => `it is denied without a cause: ${stream.why}`);
    }
  }

  async #read(): Promise<void> {
    if (this.#environment.now() - this.#askedAt >= STALLED_AFTER) this.#wasLate = true;
    this.#isReading = true;
    this.#askedAt = this.#environment.now();
    const text = await (this.#stream && nextPiece(this.#stream))?.catch((error: unknown) => {
      if (!String(error).includes("too slow")) throw error;
      this.over ??= "broken off";
      check(this.#wasLate || this.#isTight, () => "it is cut off without a cause");
      return undefined;
    });
    this.#isReading = false;
    if (this.over) return;
    check(text !== "", () => "a piece is empty");
    if (text === undefined) {
      this.over = "ended";
      check(this.object.hasFailed, () => "it ends without a cause");
    }
    if (this.object.hasSentInvalid) return;
    if (text === undefined) this.judge.ended();
    else this.judge.read(text);
  }

  #note(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.violation ??= error;
    });
  }
}
