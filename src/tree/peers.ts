/**
 * Calls to other objects, kept within what the platform allows.
 *
 * **Depth.** A call is an event at the far object, one hop deeper than the way by which it is made; the platform
 * lets no event be more than 16 hops deep (no page of its documentation says so; Workers in production fail with
 * "Subrequest depth limit exceeded"). A way is as deep as the newest event of its object was when the way was
 * first used, and stays so. Left alone, a conversation of objects would get deeper with each new way that one of
 * them opens. Hence: ways are kept, and **new ones are opened only by an event of at most `DEEPEST_FRESH` hops**.
 * A call by such a way is one hop deeper than that, and so **no event is deeper than `DEEPEST_FRESH` + 1**,
 * however long, and however many objects. Where everything is deeper, the object has its alarm go off: that
 * begins anew. To know its depth, each call says which hop it is.
 */

import type { Calls } from "../runtime/calls.ts";
import { CallFailed, type RawRuntime, type Stub, wasNotMade } from "../runtime/runtime.ts";
import { CallsUnderWay, type UnderWay } from "./call-limits.ts";
import { shareOf } from "./delivery.ts";

/**
 * The deepest event that may open a way. An upgrade is 2 deep, and each level of a tree asks one hop deeper than
 * the one below: up to four levels never need an alarm. The rest is for where a depth has been misjudged.
 */
export const DEEPEST_FRESH = 6;

/** Taken for the hop of an event while that is not known: too deep to open ways from. */
const UNKNOWN = 16;

/**
 * Calls that one event makes, until a new one is waited for. The free plan allows 1,000,
 * https://developers.cloudflare.com/workers/platform/limits/#subrequests
 */
const CALLS_PER_EVENT = 900;

/** Ways that are kept. Each takes 32 KiB of the 128 MB, by what the runtime itself reckons. */
const MOST_WAYS = 500;

/** How often a call is made anew that the platform would not make. */
const MOST_REMADE = 3;

/** Milliseconds to wait before that: 1, 20, 400. */
function backoff(remade: number): number {
  return 20 ** remade;
}

/** How long an event may still count after it has been answered, in milliseconds. */
const LINGERS = 1_000;

/**
 * How long ago a call by a way has been answered, in milliseconds, for it to be used for what is not repeated: the
 * far object may have crashed since, and then the first call by that way fails.
 */
const TRUSTED_FOR = 1_000;

interface Kept {
  way: Stub;
  depth: number;
  /** When a call by it was answered last, in milliseconds since 1970. */
  answered: number;
  /** The way that it is there instead of, which still serves where the platform would not open this one. */
  replaces: Kept | undefined;
  /** Calls by it that have not been answered. */
  underWay: number;
}

interface Deferred {
  make: () => void;
  fail: (cause: unknown) => void;
}

export class Peers {
  readonly #open: RawRuntime["open"];
  readonly #beginAnew: () => Promise<boolean>;
  readonly #onCall: (what: "calls" | "failures", kind: keyof Calls) => void;
  /** The one used last is last. */
  readonly #ways = new Map<string, Kept>();
  readonly #now: RawRuntime["now"];
  readonly #sleep: RawRuntime["sleep"];
  /** The hop of the newest event. */
  #newest = UNKNOWN;
  /** The deepest hop that any event was. */
  deepest = 0;
  /** While an event is taken in, nothing else counts. */
  #isTakingIn = false;
  /** The deepest event that came or was answered since a time, and in about as long before that. */
  #recent = { since: 0, deepest: 0, before: 0 };
  /** Of each hop, how many events have not been answered yet. */
  readonly #unanswered: number[] = new Array(UNKNOWN + 1).fill(0);
  /** Calls made since the newest event. */
  #made = 0;
  readonly #underWay: CallsUnderWay;
  readonly #links: () => number;
  /** Calls that wait for an event from which they may be made. */
  readonly #deferred: Deferred[] = [];

  /**
   * @param platform opens ways to objects, which are as deep as the event in which they are first used
   * @param beginAnew has an event come soon that is not deep; says whether one will
   * @param onCall told of each call that is made, and of each that fails
   * @param links returns how many links this object delivers to
   */
  constructor(
    { open, now, sleep }: Pick<RawRuntime, "open" | "now" | "sleep">,
    beginAnew: () => Promise<boolean>,
    onCall: (what: "calls" | "failures", kind: keyof Calls) => void = () => {},
    links: () => number = () => 0,
  ) {
    this.#onCall = onCall;
    this.#links = links;
    this.#underWay = new CallsUnderWay({ now, sleep });
    this.#open = open;
    this.#now = now;
    this.#sleep = sleep;
    this.#beginAnew = beginAnew;
  }

  /** An event has come, so many hops deep. */
  arrived(hop: number): void {
    this.#newest = hop;
    if (hop < UNKNOWN) this.deepest = Math.max(this.deepest, hop);
    this.#noteRecent(hop);
    this.#made = 0;
    this.#isTakingIn = true;
    void Promise.resolve().then(() => {
      this.#isTakingIn = false;
    });
    for (const { make } of this.#deferred.splice(0)) make();
  }

  /** Has the next call to an object go by a new way, as that may have crashed: the way that there is would fail once. */
  forget(object: string): void {
    this.#ways.delete(object);
  }

  /** Whether calls wait for the alarm to go off. */
  get areWaiting(): boolean {
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
      // The runtime has yet to send the answer: until then this event counts there.
      this.#noteRecent(hop);
    }
  }

  /**
   * Calls another object; waits where too many calls are under way. A request for a link does not: who is asked for
   * one may have to ask for one first, and objects that waited for each other would wait for ever. Nor does a delivery
   * within its link's share.
   * @throws CallFailed if the cause is known; else anything
   */
  async call<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["ask"],
  ): Promise<Calls[Kind]["answer"]> {
    const size = sizeOf(ask);
    if (kind === "link" || (kind === "deliver" && size <= shareOf(this.#links()))) {
      return this.#untilMade(object, kind, ask);
    }
    const begun = this.#underWay.begin(object, size);
    const call = begun instanceof Promise ? await begun : begun;
    return this.#untilEnded(call, () => this.#untilMade(object, kind, ask, call.givenUp));
  }

  async #untilEnded<T>(call: UnderWay, make: () => Promise<T>): Promise<T> {
    let isAnswered = false;
    try {
      const answer = await make();
      isAnswered = true;
      return answer;
    } catch (error) {
      isAnswered = error instanceof CallFailed;
      throw error;
    } finally {
      this.#underWay.end(call, isAnswered);
    }
  }

  /** What the platform would not make has not been carried out: it goes again, by a new event. */
  async #untilMade<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["ask"],
    givenUp?: Promise<void>,
  ): Promise<Calls[Kind]["answer"]> {
    for (let remade = 0; ; remade++) {
      try {
        return await this.#make(object, kind, ask, givenUp);
      } catch (error) {
        if (!wasNotMade(error) || remade === MOST_REMADE) throw error;
        await this.#sleep(backoff(remade));
        this.#newest = UNKNOWN;
      }
    }
  }

  #make<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["ask"],
    givenUp: Promise<void> | undefined,
  ): Promise<Calls[Kind]["answer"]> {
    const kept = this.#made < CALLS_PER_EVENT ? this.#stubOf(object, kind) : undefined;
    if (kept) return this.#use(object, kept, kind, ask, givenUp);
    return new Promise((resolve, reject) => {
      const make = () => this.#make(object, kind, ask, givenUp).then(resolve, reject);
      this.#deferred.push({ make, fail: reject });
      void this.#beginAnew().then((comes) => {
        if (!comes) this.#failDeferred();
      });
    });
  }

  /** Nothing will come that they may be made from: storage takes no alarm. */
  #failDeferred(): void {
    for (const { fail } of this.#deferred.splice(0)) fail(new CallFailed("not made", "everything is deep"));
  }

  async #use<Kind extends keyof Calls>(
    object: string,
    kept: Kept,
    kind: Kind,
    ask: Calls[Kind]["ask"],
    givenUp: Promise<void> | undefined,
  ): Promise<Calls[Kind]["answer"]> {
    this.#made += 1;
    this.#onCall("calls", kind);
    kept.underWay += 1;
    try {
      const answer = await kept.way.call(kind, ask, kept.depth + 1, givenUp);
      kept.answered = this.#now();
      kept.replaces = undefined;
      return answer;
    } catch (error) {
      this.#onCall("failures", kind);
      if (this.#ways.get(object) === kept) this.#failed(object, kept, error);
      throw error;
    } finally {
      kept.underWay -= 1;
    }
  }

  /** A way by which a call failed is spent, but for where the far object's own code has answered so. */
  #failed(object: string, { replaces, underWay }: Kept, error: unknown): void {
    if (error instanceof CallFailed && error.why === "thrown") return;
    // The platform may have made another call by it.
    if (wasNotMade(error) && underWay > 1) return;
    if (replaces && wasNotMade(error)) this.#ways.set(object, replaces);
    else this.#ways.delete(object);
  }

  /** The way that is kept, or a new one if that is better; undefined if there is none, and may be none now. */
  #stubOf(object: string, kind: keyof Calls): Kept | undefined {
    const depth = this.#depth;
    const now = this.#now();
    const known = this.#ways.get(object);
    if (!known && depth > DEEPEST_FRESH) return undefined;
    const isGood = known !== undefined && known.depth <= depth && this.#isTrusted(known, kind, depth);
    const kept = isGood
      ? known
      : { way: this.#open(object), depth, answered: now, replaces: known?.replaces ?? known, underWay: 0 };
    this.#ways.delete(object);
    this.#ways.set(object, kept);
    const [oldest] = this.#ways.keys();
    if (this.#ways.size > MOST_WAYS && oldest !== undefined) this.#ways.delete(oldest);
    return kept;
  }

  /** Whether a way may be used again. An announcement is not repeated; where all is deep, it has no other way. */
  #isTrusted({ answered }: Kept, kind: keyof Calls, depth: number): boolean {
    return kind !== "forward" || depth > DEEPEST_FRESH || this.#now() <= answered + TRUSTED_FOR;
  }

  /**
   * How deep a way is that is used for the first time now, at most. The runtime goes by the event that came
   * last; when all is over that has come with it, by an earlier one that is not. It does not tell when that is.
   */
  get #depth(): number {
    if (this.#isTakingIn) return this.#newest;
    this.#turnOver();
    const unanswered = this.#unanswered.findLastIndex((events) => events > 0);
    return Math.max(this.#newest, this.#recent.deepest, this.#recent.before, unanswered);
  }

  #noteRecent(hop: number): void {
    this.#turnOver();
    this.#recent.deepest = Math.max(this.#recent.deepest, hop);
  }

  /** Forgets what was too long ago to count. */
  #turnOver(): void {
    const now = this.#now();
    const { since, deepest } = this.#recent;
    if (now < since + LINGERS) return;
    this.#recent = { since: now, deepest: 0, before: now < since + 2 * LINGERS ? deepest : 0 };
  }

  #count(hop: number, events: number): void {
    const known = Math.min(hop, UNKNOWN);
    this.#unanswered[known] = (this.#unanswered[known] ?? 0) + events;
  }
}

/** Characters of messages in what is asked. */
function sizeOf(ask: Calls[keyof Calls]["ask"]): number {
  return ask && "lines" in ask ? ask.lines.length : 0;
}
