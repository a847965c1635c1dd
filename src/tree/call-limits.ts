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
export interface UnderWay {
  readonly object: string;
  readonly size: number;
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  lane: Lane;
  /** Resolves when the call is to be given up. */
  readonly givenUp: Promise<void>;
  readonly giveUp: () => void;
}

interface Waiting {
  readonly object: string;
  readonly size: number;
  readonly begin: (call: UnderWay) => void;
}

export class CallsUnderWay {
  readonly #now: Runtime["now"];
  readonly #sleep: Runtime["sleep"];
  /** The oldest first. */
  readonly #calls = new Set<UnderWay>();
  readonly #waiting = new Set<Waiting>();
  /** Calls to objects that are taken to answer, to silent ones, and those that have been under way for too long. */
  readonly #prompt: Lane = { calls: 0, characters: 0 };
  readonly #doubtful: Lane = { calls: 0, characters: 0 };
  readonly #late: Lane = { calls: 0, characters: 0 };
  /** Objects that did not answer when they were called last. */
  readonly #silent = new Set<string>();
  #isWatching = false;

  constructor({ now, sleep }: Pick<Runtime, "now" | "sleep">) {
    this.#now = now;
    this.#sleep = sleep;
  }

  /** Begins a call with so many characters of messages, at once if there is room for it. */
  begin(object: string, size: number): UnderWay | Promise<UnderWay> {
    if (this.#waiting.size === 0 && hasRoom(this.#laneFor(object), size)) return this.#start(object, size);
    return new Promise((begin) => {
      this.#waiting.add({ object, size, begin });
      this.#startWaiting();
      if (this.#waiting.size > 0 && !this.#isWatching) void this.#watch();
    });
  }

  /**
   * Ends a call.
   * @param isAnswered whether the other object has answered, in whatever way
   */
  end(call: UnderWay, isAnswered: boolean): void {
    // Unless it was given up.
    if (this.#calls.delete(call)) count(call, -1);
    if (isAnswered) this.#silent.delete(call.object);
    else this.#noteSilent(call.object);
    this.#startWaiting();
  }

  /** As long as some wait, looks which of those under way are late. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#waiting.size > 0) {
      await this.#sleep(PATIENCE);
      this.#noteLate();
      this.#startWaiting();
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
      call.giveUp();
    }
  }

  /** Begins those that there is room for; in each lane one after another. */
  #startWaiting(): void {
    const full = new Set<Lane>();
    for (const waiting of this.#waiting) {
      const lane = this.#laneFor(waiting.object);
      if (!full.has(lane) && hasRoom(lane, waiting.size)) {
        this.#waiting.delete(waiting);
        waiting.begin(this.#start(waiting.object, waiting.size));
      } else full.add(lane);
      if (full.size === 2) return;
    }
  }

  #laneFor(object: string): Lane {
    return this.#silent.has(object) ? this.#doubtful : this.#prompt;
  }

  #start(object: string, size: number): UnderWay {
    const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<void>();
    const call = { object, size, since: this.#now(), lane: this.#laneFor(object), givenUp, giveUp };
    this.#calls.add(call);
    count(call, 1);
    return call;
  }

  #noteSilent(object: string): void {
    if (this.#silent.size >= MOST_SILENT && !this.#silent.has(object)) this.#silent.clear();
    this.#silent.add(object);
  }
}

function hasRoom({ calls, characters }: Lane, size: number): boolean {
  return calls === 0 || (calls < MOST_CALLS && characters + size <= MOST_CHARACTERS);
}

function count({ lane, size }: UnderWay, calls: 1 | -1): void {
  lane.calls += calls;
  lane.characters += calls * size;
}
