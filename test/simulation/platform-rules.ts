/**
 * The platform rules that apply to each object: call depth, calls per event, and how often stubs can be opened.
 * `src/tree/peers.ts` explains them.
 */

import { CallFailed } from "../../src/runtime/runtime.ts";
import { MAX_OPENING_DEPTH } from "../../src/tree/peers.ts";

/** The maximum depth that the platform allows. */
const DEEPEST = 16;
/** The number of calls that one event may make. */
const CALLS_PER_EVENT = 1_000;
/** How often in a row opening a stub to one object may fail, where that is limited. */
const MOST_DENIED = 2;

/** A violated rule of the platform, which would fail in production, or of ours that prevents such a violation. */
export class RuleViolation extends Error {}

/** Tracks how deep an object's calls are, for its time in memory. */
export class Depth {
  readonly #now: () => number;
  readonly #isDenied: () => boolean;
  #newest = 0;
  /** When the newest event came; its depth counts until the next action. */
  #came = -1;
  readonly #unanswered = new Set<{ hop: number }>();
  #calls = 0;
  /** Consecutive refusals to open a stub, by object. */
  readonly #denied = new Map<string, number>();

  /** @param isDenied whether the platform refuses the next stub, because there are too many */
  constructor(now: () => number, isDenied: () => boolean) {
    this.#now = now;
    this.#isDenied = isDenied;
  }

  /** Begins an event. */
  begin(hop: number): void {
    this.#newest = hop;
    this.#came = this.#now();
    this.#calls = 0;
  }

  /** Begins an event that will be answered; the function returned ends it. */
  beginToAnswer(hop: number): () => void {
    this.begin(hop);
    const event = { hop };
    this.#unanswered.add(event);
    return () => void this.#unanswered.delete(event);
  }

  /** The depth of a stub first used now: in the worst case, that of the deepest unanswered event. */
  get now(): number {
    if (this.#came === this.#now()) return this.#newest;
    return Math.max(this.#newest, ...[...this.#unanswered].map(({ hop }) => hop));
  }

  /** @throws CallFailed if the platform refuses another stub */
  open(object: string): void {
    const before = this.#denied.get(object) ?? 0;
    const isDenied = before < MOST_DENIED && this.#isDenied();
    this.#denied.set(object, isDenied ? before + 1 : 0);
    if (isDenied) throw new CallFailed("not made", "too many ways");
  }

  /**
   * Counts a call through a stub that is `depth` deep.
   * @param claimed the hop count that the caller claims
   * @throws RuleViolation if the call violates a rule
   */
  call(depth: number, claimed: number): void {
    this.#calls += 1;
    if (depth >= DEEPEST) throw new RuleViolation("a call is too deep");
    if (claimed < depth + 1) throw new RuleViolation(`a call of ${depth + 1} hops claims ${claimed}`);
    if (depth > MAX_OPENING_DEPTH) throw new RuleViolation(`a call has ${depth + 1} hops`);
    if (this.#calls > CALLS_PER_EVENT) throw new RuleViolation("an event makes too many calls");
  }
}
