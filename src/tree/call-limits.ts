/**
 * How many calls of one object are under way at a time, and how many characters of messages are in them. Objects that
 * don't answer must not use all of that up, however many they are. So calls to them have a lane of their own; a call
 * without an answer moves to a third lane after a while; and where that's full, its oldest call is given up.
 */
import type { Runtime } from "../runtime/runtime.ts";

/** How long a call may go without an answer before others get its place, in milliseconds. */
const PATIENCE = 1_000;

/** Calls in one lane. */
const MOST_CALLS = 200;
/** Characters of messages in the calls of one lane. */
const MOST_CHARACTERS = 2_500_000;

/** Objects of which it's known that they did not answer. */
const MOST_SILENT = 10_000;

/** What some of the calls use. */
interface Lane {
  calls: number;
  characters: number;
}

/** A call under way. */
export interface LimitedCall {
  readonly object: string;
  readonly size: number;
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  lane: Lane;
  /** Resolves when the call is to be given up. */
  readonly abandoned: Promise<void>;
  readonly abandon: () => void;
}

interface QueuedCall {
  readonly object: string;
  readonly size: number;
  readonly begin: (call: LimitedCall) => void;
}

export class CallLimiter {
  readonly #now: Runtime["now"];
  readonly #sleep: Runtime["sleep"];
  /** The oldest first. */
  readonly #calls = new Set<LimitedCall>();
  readonly #queue = new Set<QueuedCall>();
  /** Calls to objects that are taken to answer, to silent ones, and those that have been under way for too long. */
  readonly #prompt: Lane = { calls: 0, characters: 0 };
  readonly #unresponsive: Lane = { calls: 0, characters: 0 };
  readonly #late: Lane = { calls: 0, characters: 0 };
  /** Objects that did not answer when they were called last. */
  readonly #silentObjects = new Set<string>();
  #isWatching = false;

  constructor({ now, sleep }: Pick<Runtime, "now" | "sleep">) {
    this.#now = now;
    this.#sleep = sleep;
  }

  /** Begins a call with so many characters of messages, at once if there is room for it. */
  begin(object: string, size: number): LimitedCall | Promise<LimitedCall> {
    if (this.#queue.size === 0 && hasRoom(this.#laneFor(object), size)) return this.#start(object, size);
    return new Promise((begin) => {
      this.#queue.add({ object, size, begin });
      this.#startQueued();
      if (this.#queue.size > 0 && !this.#isWatching) void this.#watch();
    });
  }

  /**
   * Ends a call.
   * @param isAnswered whether the other object has answered, in whatever way
   */
  end(call: LimitedCall, isAnswered: boolean): void {
    // Unless it was given up.
    if (this.#calls.delete(call)) count(call, -1);
    if (isAnswered) this.#silentObjects.delete(call.object);
    else this.#noteSilent(call.object);
    this.#startQueued();
  }

  /** As long as some wait, looks which of those under way are late. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#queue.size > 0) {
      await this.#sleep(PATIENCE);
      this.#noteLate();
      this.#startQueued();
    }
    this.#isWatching = false;
  }

  #noteLate(): void {
    const now = this.#now();
    for (const call of this.#calls) {
      if (now - call.since < PATIENCE) break;
      count(call, -1);
      call.lane = this.#late;
      count(call, 1);
      this.#noteSilent(call.object);
    }
    for (const call of this.#calls) {
      if (this.#late.calls <= MOST_CALLS && this.#late.characters <= MOST_CHARACTERS) break;
      this.#calls.delete(call);
      count(call, -1);
      call.abandon();
    }
  }

  /** Begins those that there is room for; in each lane one after another. */
  #startQueued(): void {
    const full = new Set<Lane>();
    for (const waiting of this.#queue) {
      const lane = this.#laneFor(waiting.object);
      if (!full.has(lane) && hasRoom(lane, waiting.size)) {
        this.#queue.delete(waiting);
        waiting.begin(this.#start(waiting.object, waiting.size));
      } else full.add(lane);
      if (full.size === 2) return;
    }
  }

  #laneFor(object: string): Lane {
    return this.#silentObjects.has(object) ? this.#unresponsive : this.#prompt;
  }

  #start(object: string, size: number): LimitedCall {
    const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
    const call = { object, size, since: this.#now(), lane: this.#laneFor(object), abandoned, abandon };
    this.#calls.add(call);
    count(call, 1);
    return call;
  }

  #noteSilent(object: string): void {
    if (this.#silentObjects.size >= MOST_SILENT && !this.#silentObjects.has(object))
      this.#silentObjects.clear();
    this.#silentObjects.add(object);
  }
}

function hasRoom({ calls, characters }: Lane, size: number): boolean {
  return calls === 0 || (calls < MOST_CALLS && characters + size <= MOST_CHARACTERS);
}

function count({ lane, size }: LimitedCall, calls: 1 | -1): void {
  lane.calls += calls;
  lane.characters += calls * size;
}
