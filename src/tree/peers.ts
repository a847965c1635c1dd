/**
 * Calls to other objects, within the platform's limits.
 *
 * **Depth.** A call is an event at the other object, one hop deeper than the stub it is made with. The platform rejects
 * events that are more than 16 hops deep (undocumented; production fails with "Subrequest depth limit exceeded"). A stub
 * is as deep as the newest event of its object was when the stub was first used, and stays so. Left alone, a conversation
 * of objects would get deeper with every new stub. So stubs are kept, and **only events of at most `MAX_OPENING_DEPTH`
 * hops open new ones**. A call with such a stub is one hop deeper than that, so **no event is deeper than
 * `MAX_OPENING_DEPTH` + 1**, for any number of objects and any time. Where all events are deeper, the object's alarm
 * goes off at once: an alarm is a fresh event. Each call carries its depth, as the platform doesn't tell.
 */

import type { Calls } from "../runtime/calls.ts";
import { CallFailed, type LogDetails, type RawRuntime, type Stub, wasNotMade } from "../runtime/runtime.ts";
import type { Name } from "../stats/tally.ts";
import { CallLimiter } from "./call-limits.ts";

/**
 * The deepest event that may open a stub. An upgrade is 2 hops deep, and each level of a tree asks one hop deeper than
 * the one below, so up to four levels never need an alarm. The rest is for misjudged depths.
 */
export const MAX_OPENING_DEPTH = 6;

/** The assumed depth of an event while its depth is unknown: too deep to open stubs. */
const UNKNOWN = 16;

/**
 * Calls that one event may make before a new event is needed. The free plan allows 1,000,
 * https://developers.cloudflare.com/workers/platform/limits/#subrequests
 */
const CALLS_PER_EVENT = 900;

/** Stubs that are kept. Each takes 32 KiB of the 128 MB, by the runtime's own accounting. */
const MAX_STUBS = 500;

/** How often a call that the platform rejected is made again. */
const MAX_REMAKES = 3;

/** How long an event may still count after it has been answered, in milliseconds. */
const LINGER = 1_000;

/**
 * How long after its last answer a stub may carry a call that isn't repeated, in milliseconds. The other object may have
 * crashed since, and then the first call with the stub fails.
 */
const TRUST_PERIOD = 1_000;

/** Characters that a member takes in a call, besides its texts. */
const MEMBER_SIZE = 20;

interface KnownStub {
  stub: Stub;
  depth: number;
  /** When a call with it was last answered, in milliseconds since 1970. */
  answered: number;
  /** The stub it replaced, for when the platform rejects this one. */
  replaces: KnownStub | undefined;
  /** Calls in flight. */
  inFlight: number;
}

/** A call to another object. */
interface PeerCall<Kind extends keyof Calls> {
  object: string;
  kind: Kind;
  ask: Calls[Kind]["request"];
  /** Resolves when the caller no longer waits. */
  givenUp?: Promise<void>;
}

/** Counts an event, and logs it with its details if operators look for it. */
type Note = (name: Name, n?: number, details?: LogDetails) => void;

/** Most characters that are logged of an error. */
const MAX_CAUSE = 300;

interface DeferredCall {
  make: () => Promise<void>;
  fail: (cause: unknown) => void;
}

export class Peers {
  readonly #runtime: Pick<RawRuntime, "open" | "now" | "sleep">;
  readonly #alarm: { goOffNow(): Promise<boolean> };
  readonly #note: Note;
  /** By object, the most recently used one last. */
  readonly #stubs = new Map<string, KnownStub>();
  /** The depth of the newest event. */
  #newest = UNKNOWN;
  /** The deepest event so far. */
  deepest = 0;
  /** Whether the newest event is being handled synchronously: then no other one counts. */
  #isHandling = false;
  /** The deepest event that came or was answered since a time, and in about as long before that. */
  #recent = { since: 0, deepest: 0, before: 0 };
  /** For each depth, the number of unanswered events. */
  readonly #unanswered: number[] = new Array(UNKNOWN + 1).fill(0);
  /** Calls made since the newest event. */
  #made = 0;
  readonly #inFlight: CallLimiter;
  /** Calls that wait for an event that may make them. */
  readonly #deferred: DeferredCall[] = [];

  constructor(
    runtime: Pick<RawRuntime, "open" | "now" | "sleep">,
    alarm: { goOffNow(): Promise<boolean> },
    note: Note,
  ) {
    this.#runtime = runtime;
    this.#alarm = alarm;
    this.#note = note;
    this.#inFlight = new CallLimiter(runtime);
  }

  /** Notes an event, and makes the calls that waited for one. */
  arrived(hop: number): void {
    this.#newest = hop;
    if (hop < UNKNOWN) this.deepest = Math.max(this.deepest, hop);
    this.#noteRecent(hop);
    this.#made = 0;
    this.#isHandling = true;
    void Promise.resolve().then(() => {
      this.#isHandling = false;
    });
    for (const { make } of this.#deferred.splice(0)) void make();
  }

  /** Drops the stub of an object that may have crashed: the next call with it would fail. */
  forget(object: string): void {
    this.#stubs.delete(object);
  }

  /** Whether calls wait for the alarm to go off. */
  get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  /** Answers a call from another object. */
  async answer<T>(hop: number, act: () => T | Promise<T>): Promise<T> {
    this.arrived(hop);
    this.#count(hop, 1);
    try {
      return await act();
    } finally {
      this.#count(hop, -1);
      // The runtime has yet to send the answer, so this event still counts there.
      this.#noteRecent(hop);
    }
  }

  /**
   * Calls another object. Calls over the limits of `call-limits.ts` wait, unless the caller has a budget of its own.
   * @throws CallFailed if the cause is known; else anything
   */
  async call<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["request"],
    hasOwnBudget = false,
  ): Promise<Calls[Kind]["answer"]> {
    if (hasOwnBudget) return this.#untilMade({ object, kind, ask });
    const begun = this.#inFlight.begin(object, sizeOf(ask));
    const call = begun instanceof Promise ? await begun : begun;
    let isAnswered = false;
    try {
      const answer = await this.#untilMade({ object, kind, ask, givenUp: call.abandoned });
      isAnswered = true;
      return answer;
    } catch (error) {
      isAnswered = error instanceof CallFailed;
      throw error;
    } finally {
      this.#inFlight.end(call, isAnswered);
    }
  }

  /** A call that the platform rejected was not executed, so it is made again, from a new event. */
  async #untilMade<Kind extends keyof Calls>(call: PeerCall<Kind>): Promise<Calls[Kind]["answer"]> {
    for (let remakes = 0; ; remakes++) {
      try {
        return await this.#make(call);
      } catch (error) {
        if (!wasNotMade(error) || remakes === MAX_REMAKES) throw error;
        // For 1, 20 and 400 ms.
        await this.#runtime.sleep(20 ** remakes);
        this.#newest = UNKNOWN;
      }
    }
  }

  #make<Kind extends keyof Calls>(call: PeerCall<Kind>): Promise<Calls[Kind]["answer"]> {
    const known = this.#made < CALLS_PER_EVENT ? this.#stubTo(call) : undefined;
    if (known) return this.#use(known, call);
    return new Promise((resolve, reject) => {
      this.#deferred.push({ make: () => this.#make(call).then(resolve, reject), fail: reject });
      void this.#alarm.goOffNow().then((willGoOff) => {
        if (!willGoOff) this.#failDeferred();
      });
    });
  }

  /** Storage refuses the alarm, so no event will come that could make the deferred calls. */
  #failDeferred(): void {
    for (const { fail } of this.#deferred.splice(0)) fail(new CallFailed("not made", "every event is too deep"));
  }

  async #use<Kind extends keyof Calls>(
    known: KnownStub,
    { object, kind, ask, givenUp }: PeerCall<Kind>,
  ): Promise<Calls[Kind]["answer"]> {
    this.#made += 1;
    this.#note(`calls.${kind}`);
    known.inFlight += 1;
    try {
      const answer = await known.stub.call(kind, ask, known.depth + 1, givenUp);
      known.answered = this.#runtime.now();
      known.replaces = undefined;
      return answer;
    } catch (error) {
      this.#note(`failures.${kind}`, 1, { to: object, cause: causeOf(error) });
      if (this.#stubs.get(object) === known) this.#failed(object, known, error);
      throw error;
    } finally {
      known.inFlight -= 1;
    }
  }

  /** Drops a stub after a failed call, unless the other object's own code threw. */
  #failed(object: string, { replaces, inFlight }: KnownStub, error: unknown): void {
    if (error instanceof CallFailed && error.why === "thrown") return;
    // The platform may have accepted another call with it.
    if (wasNotMade(error) && inFlight > 1) return;
    if (replaces && wasNotMade(error)) this.#stubs.set(object, replaces);
    else this.#stubs.delete(object);
  }

  /** Returns the known stub, or a new one if that is better; undefined if only a new one would do and none may be opened. */
  #stubTo({ object, kind }: PeerCall<keyof Calls>): KnownStub | undefined {
    const depth = this.#depth;
    const known = this.#stubs.get(object);
    if (!known && depth > MAX_OPENING_DEPTH) return undefined;
    const isGood = known !== undefined && known.depth <= depth && this.#isTrusted(known, kind, depth);
    const { open, now } = this.#runtime;
    const replaces = known?.replaces ?? known;
    const stub = isGood ? known : { stub: open(object), depth, answered: now(), replaces, inFlight: 0 };
    this.#stubs.delete(object);
    this.#stubs.set(object, stub);
    const [oldest] = this.#stubs.keys();
    if (this.#stubs.size > MAX_STUBS && oldest !== undefined) this.#stubs.delete(oldest);
    return stub;
  }

  /** Whether a stub may carry a call. Announcements aren't repeated, so their stub must have worked just now. */
  #isTrusted({ answered }: KnownStub, kind: keyof Calls, depth: number): boolean {
    return kind !== "forward" || depth > MAX_OPENING_DEPTH || this.#runtime.now() <= answered + TRUST_PERIOD;
  }

  /**
   * The greatest depth that a stub can have that is first used now. The runtime goes by the newest event; when that is
   * over, by an earlier one that isn't. It doesn't tell when an event is over.
   */
  get #depth(): number {
    if (this.#isHandling) return this.#newest;
    this.#ageRecent();
    const unanswered = this.#unanswered.findLastIndex((events) => events > 0);
    return Math.max(this.#newest, this.#recent.deepest, this.#recent.before, unanswered);
  }

  #noteRecent(hop: number): void {
    this.#ageRecent();
    this.#recent.deepest = Math.max(this.#recent.deepest, hop);
  }

  /** Forgets events that were answered too long ago to count. */
  #ageRecent(): void {
    const now = this.#runtime.now();
    const { since, deepest } = this.#recent;
    if (now < since + LINGER) return;
    this.#recent = { since: now, deepest: 0, before: now < since + 2 * LINGER ? deepest : 0 };
  }

  #count(hop: number, events: number): void {
    const depth = Math.min(hop, UNKNOWN);
    this.#unanswered[depth] = (this.#unanswered[depth] ?? 0) + events;
  }
}

/** Describes why a call failed, for the log. */
function causeOf(error: unknown): string {
  const cause = error instanceof CallFailed ? (error.cause ?? error) : error;
  return String(cause).slice(0, MAX_CAUSE);
}

/** Returns the characters of messages and members in a call. */
export function sizeOf(ask: Calls[keyof Calls]["request"]): number {
  if (ask && "lines" in ask) return ask.lines.length;
  if (!(ask && "present" in ask)) return 0;
  const present = ask.present.reduce((size, { member, data }) => size + MEMBER_SIZE + member.length + data.length, 0);
  return ask.gone.reduce((size, { member }) => size + MEMBER_SIZE + member.length, present);
}
