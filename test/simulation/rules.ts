/**
 * Rules of the platform that one object lives under, and what breaks them: how deep it is, how many calls an
 * event makes, how often ways are opened. `src/tree/peers.ts` says what they are.
 */

import { CallFailed } from "../../src/runtime/runtime.ts";
import { MAX_OPENING_DEPTH } from "../../src/tree/peers.ts";

/** The deepest event that the platform lets be. */
const DEEPEST = 16;
/** Calls that one event may make. */
const CALLS_PER_EVENT = 1_000;
/** How often in a row a way to one object may not be opened, where that is limited. */
const MOST_DENIED = 2;

/** A rule of the platform is broken, which would fail in production, or one of our own that is there to prevent it. */
export class Broken extends Error {}

/** How deep one life of an object is. */
export class Depth {
  readonly #now: () => number;
  readonly #isDenied: () => boolean;
  #newest = 0;
  /** When it came; until something else happens it is what counts. */
  #came = -1;
  readonly #unanswered = new Set<{ hop: number }>();
  #calls = 0;
  /** By object: how often in a row a way to it might not be opened. */
  readonly #denied = new Map<string, number>();

  /** @param isDenied whether the next way may not be opened, as there are too many by now */
  constructor(now: () => number, isDenied: () => boolean) {
    this.#now = now;
    this.#isDenied = isDenied;
  }

  /** An event has come. */
  begin(hop: number): void {
    this.#newest = hop;
    this.#came = this.#now();
    this.#calls = 0;
  }

  /** The same, of one that is to be answered; the function returned is to be called then. */
  beginToAnswer(hop: number): () => void {
    this.begin(hop);
    const event = { hop };
    this.#unanswered.add(event);
    return () => void this.#unanswered.delete(event);
  }

  /** How deep a way is that is used for the first time now. At the worst, the deepest unanswered event counts. */
  get now(): number {
    if (this.#came === this.#now()) return this.#newest;
    return Math.max(this.#newest, ...[...this.#unanswered].map(({ hop }) => hop));
  }

  /** @throws CallFailed if the platform would not open another way */
  open(object: string): void {
    const before = this.#denied.get(object) ?? 0;
    const isDenied = before < MOST_DENIED && this.#isDenied();
    this.#denied.set(object, isDenied ? before + 1 : 0);
    if (isDenied) throw new CallFailed("not made", "too many ways");
  }

  /**
   * Notes a call by a way that is `depth` deep.
   * @param told which hop the caller says it is
   * @throws Broken for a rule that is broken
   */
  call(depth: number, told: number): void {
    this.#calls += 1;
    if (depth >= DEEPEST) throw new Broken("a call is too deep");
    if (told < depth + 1) throw new Broken(`a call of ${depth + 1} hops is taken to have ${told}`);
    if (depth > MAX_OPENING_DEPTH) throw new Broken(`a call has ${depth + 1} hops`);
    if (this.#calls > CALLS_PER_EVENT) throw new Broken("an event makes too many calls");
  }
}
