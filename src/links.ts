/**
 * Links: how one object subscribes to another, so that a channel's listeners form a tree.
 *
 * An object asks a channel's root for a link and from then on gets every message of that channel,
 * whatever the number of its own listeners. This file holds what the two ends say to each other and
 * what they need from the world; `feed.ts` is the end that delivers, `intake.ts` the end that
 * receives, `uplink.ts` the way of announcements towards a root. None of them knows of Workers, so a
 * simulated network can drive them.
 *
 * Two numbers keep the ends in step when calls are slow, fail, or overtake one another:
 *
 * - An **epoch** names one asking of one link. The asker raises it each time it asks anew; whatever
 *   ends a link says the newest epoch that it means, so it can never end one asked for later.
 * - A **sequence** number names a message's place in its channel's order. A delivery says after which
 *   place it goes on, so the receiver drops what it has and notices what it missed.
 *
 * A call that fails has been carried out, will be soon, or never is: its sender cannot know.
 */
import type { ServiceFigures } from "./census.ts";
import type { Farewell, Figures } from "./stats.ts";
import type { Load } from "./tree.ts";

export interface LinkRequest {
  /** Name of the object that asks. */
  from: string;
  epoch: number;
  /** Where a child's connections come from, so that its parent sends more of them there. */
  region?: string | undefined;
  /** Figures of an earlier link, for the root to keep if it has not yet. */
  farewell?: Farewell | undefined;
  /** Set to ask whether a link with this epoch is still counted on; it is not to be made then. */
  still?: Still | undefined;
  /** To a child, from its parent's answer: the epoch of the child's own link that the parent counts on. */
  vouched?: number | undefined;
}

/** What an object that asks whether it still has a link knows about it. */
export interface Still {
  /** The place of the newest message that has arrived; undefined if it has left memory since. */
  last: number | undefined;
}

/**
 * The place after which deliveries go on; or the epoch that a new request has to exceed; or, from an
 * object that has no room, the child to ask instead, and the epoch of that child's own link if it has one.
 */
export type LinkAnswer =
  | { after: number }
  | { newer: number }
  | { instead: string; vouched?: number | undefined };

export interface Delivery {
  channel: string;
  /** Name of the object that delivers. */
  from: string;
  epoch: number;
  /** The place of the message before the first one here. */
  after: number;
  /** How many messages there are. */
  count: number;
  /** The messages as lines, one after another. */
  lines: string;
  /** Set when these messages may have been delivered before, by a call whose fate is unknown. */
  again: boolean;
  /** Set when messages have been lost on this link; then it carries none and ends the link. */
  lost: boolean;
}

/** `gone` ends the link: nobody listens there under that epoch. */
export type DeliveryAnswer = { gone: false } | { gone: true; farewell?: Farewell | undefined };

/** Announcements for the root of a channel to place next to each other. */
export interface Batch {
  /** Name of the object they come from. */
  from: string;
  /** Rises from batch to batch, so that one which its sender has given up cannot come after a later one. */
  number: number;
  count: number;
  /** The messages as lines, one after another. */
  lines: string;
}

/** Either the place of the last message, or the number that a batch has to exceed to be placed. */
export type BatchAnswer = { last: number } | { newer: number };

/** What an object tells the root of `all` of its connections, where their number is limited. */
export interface Claim {
  /** Name of the object. */
  from: string;
  /** Rises from claim to claim, so that one which its sender has given up cannot undo a later one. */
  number: number;
  /** How many it has. */
  held: number;
  /** How many more want to be let in. */
  wanted: number;
}

/** What one object asks of another. Every call may be late, fail, or be carried out and still fail. */
export interface Peer {
  link(request: LinkRequest): Promise<LinkAnswer>;
  unlink(request: LinkRequest): Promise<void>;
  deliver(delivery: Delivery): Promise<DeliveryAnswer>;
  announce(batch: Batch): Promise<BatchAnswer>;
  /** A child says whether it has room for more. */
  fill(child: string, load: Load, full: boolean): Promise<void>;
  /** How many of the connections that want to be let in may be. */
  claim(claim: Claim): Promise<number>;
  /** Asks an object to claim anew, if what it has claimed is not true any more. */
  recount(): Promise<void>;
  /** What the object says of itself, and in the tree of `all` of those linked to it. */
  figures(): Promise<Figures>;
  /** What the whole service says of itself; only the root of `all` can tell. */
  serviceFigures(): Promise<ServiceFigures>;
}

/** An object's durable memory; writes are atomic with everything else done in the same turn. */
export interface Store {
  get<T>(key: string): T | undefined;
  put<T>(key: string, value: T): void;
  delete(key: string): void;
  list<T>(prefix: string): Iterable<[key: string, value: T]>;
  /** Ends when all that was put and deleted is durable. */
  sync(): Promise<void>;
  /** Gives the storage back if it has become empty, so that a channel costs nothing once it is over. */
  release(): void;
}

/** What an object needs from the runtime it lives in. */
export interface World {
  /** Name of this object. */
  readonly name: string;
  readonly store: Store;
  peer(object: string): Peer;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Ends when the event loop has turned: after events that wait already, before any that do not. */
  turn(): Promise<void>;
  after(milliseconds: number, act: () => void): void;
  /** Keeps this object in memory until `work` has ended. */
  keep(work: Promise<unknown>): void;
  /**
   * Has this object look again at `time`, in milliseconds since 1970, whether it is in memory by then or
   * not; undefined says that it need not. Each call takes the place of the one before.
   */
  alarm(time: number | undefined): void;
}

/** Attempts at a call that may be repeated, before the far side counts as unreachable. */
export const ATTEMPTS = 5;

/** Milliseconds to wait after `failures` of them: 50, 200, 800, 3200. */
export function backoff(failures: number): number {
  return 50 * 4 ** (failures - 1);
}

/** A call that failed for a known cause: the far object is overloaded, or its own code threw. */
export class CallFailed extends Error {
  readonly why: "overloaded" | "thrown";

  constructor(why: "overloaded" | "thrown", cause: unknown) {
    super(`a call failed: ${why}`, { cause });
    this.why = why;
  }
}

/**
 * What a failure adds to the failures before it. An overloaded object is asked once more, after the
 * longest wait, and code that threw would throw again; all else may be a matter of moments.
 */
export function countFailure(failures: number, error: unknown): number {
  if (!(error instanceof CallFailed)) return failures + 1;
  return error.why === "thrown" ? ATTEMPTS : Math.max(failures + 1, ATTEMPTS - 1);
}
