/**
 * Limits the calls that an object has in flight, and the characters of messages in them. Objects that don't answer must
 * not use up these limits. So there are three lanes: one for calls to responsive objects, one for calls to objects that
 * didn't answer the last time, and one for late calls, which move there after `LATE_AFTER`. If the late lane is full,
 * its oldest calls are abandoned.
 */
import type { Runtime } from "../runtime/runtime.ts";

/** Calls without an answer are late after this time, in milliseconds. */
const LATE_AFTER = 1_000;

/** The most calls in one lane. */
const MAX_CALLS = 200;
/** The most characters of messages in the calls of one lane. */
const MAX_CHARACTERS = 2_500_000;

/** The most unresponsive objects that are remembered. */
const MAX_UNRESPONSIVE = 10_000;

/** The usage of one lane. */
interface Lane {
  calls: number;
  characters: number;
}

/** A call in flight. */
interface LimitedCall {
  readonly object: string;
  readonly size: number;
  /** The start time, in milliseconds since 1970. */
  readonly since: number;
  lane: Lane;
  /** Resolves when the limiter abandons the call. */
  readonly abandoned: Promise<void>;
  readonly abandon: () => void;
}

interface QueuedCall {
  readonly object: string;
  readonly size: number;
  readonly begin: (call: LimitedCall) => void;
}

export class CallLimiter {
  readonly #runtime: Pick<Runtime, "now" | "sleep">;
  /** Oldest first. */
  readonly #calls = new Set<LimitedCall>();
  readonly #queue = new Set<QueuedCall>();
  readonly #responsiveLane: Lane = { calls: 0, characters: 0 };
  readonly #unresponsiveLane: Lane = { calls: 0, characters: 0 };
  readonly #lateLane: Lane = { calls: 0, characters: 0 };
  /** Objects that didn't answer the last call. */
  readonly #unresponsive = new Set<string>();
  #isWatching = false;

  constructor(runtime: Pick<Runtime, "now" | "sleep">) {
    this.#runtime = runtime;
  }

  /**
   * Begins a call, as soon as its lane has room.
   * @param size characters of messages in the call
   */
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
   * @param isAnswered whether the other object answered, even with an error
   */
  end(call: LimitedCall, isAnswered: boolean): void {
    // Abandoned calls were deleted before.
    if (this.#calls.delete(call)) count(call, -1);
    if (isAnswered) this.#unresponsive.delete(call.object);
    else this.#markUnresponsive(call.object);
    this.#startQueued();
  }

  /** Looks for late calls as long as calls are queued. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#queue.size > 0) {
      await this.#runtime.sleep(LATE_AFTER);
      this.#moveLate();
      this.#startQueued();
    }
    this.#isWatching = false;
  }

  /** Moves late calls to their lane, and abandons the oldest calls there if it is over its limits. */
  #moveLate(): void {
    const now = this.#runtime.now();
    for (const call of this.#calls) {
      if (now - call.since < LATE_AFTER) break;
      count(call, -1);
      call.lane = this.#lateLane;
      count(call, 1);
      this.#markUnresponsive(call.object);
    }
    for (const call of this.#calls) {
      if (this.#lateLane.calls <= MAX_CALLS && this.#lateLane.characters <= MAX_CHARACTERS) break;
      this.#calls.delete(call);
      count(call, -1);
      call.abandon();
    }
  }

  /** Starts the queued calls that there is room for, in order within each lane. */
  #startQueued(): void {
    const full = new Set<Lane>();
    for (const queued of this.#queue) {
      const lane = this.#laneFor(queued.object);
      if (!full.has(lane) && hasRoom(lane, queued.size)) {
        this.#queue.delete(queued);
        queued.begin(this.#start(queued.object, queued.size));
      } else full.add(lane);
      if (full.size === 2) return;
    }
  }

  #laneFor(object: string): Lane {
    return this.#unresponsive.has(object) ? this.#unresponsiveLane : this.#responsiveLane;
  }

  #start(object: string, size: number): LimitedCall {
    const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
    const call = { object, size, since: this.#runtime.now(), lane: this.#laneFor(object), abandoned, abandon };
    this.#calls.add(call);
    count(call, 1);
    return call;
  }

  #markUnresponsive(object: string): void {
    const { size } = this.#unresponsive;
    if (size >= MAX_UNRESPONSIVE && !this.#unresponsive.has(object)) this.#unresponsive.clear();
    this.#unresponsive.add(object);
  }
}

function hasRoom({ calls, characters }: Lane, size: number): boolean {
  return calls === 0 || (calls < MAX_CALLS && characters + size <= MAX_CHARACTERS);
}

function count({ lane, size }: LimitedCall, calls: 1 | -1): void {
  lane.calls += calls;
  lane.characters += calls * size;
}
