/**
 * What objects say to each other. This file imports nothing, so that it can be read, and kept, by itself.
 *
 * A **link** is one object's subscription at another one, so that a channel's listeners form a tree. An
 * object asks a channel's root for a link, and from then on gets every message of that channel, whatever
 * the number of its own listeners. The end that asks and receives is in `upstream.ts`, the end that
 * delivers in `downstream.ts`; announcements go towards a root by `forwarding.ts`.
 *
 * Two numbers keep the ends in step when calls are slow, fail, or overtake one another:
 *
 * - An **epoch** names one asking of one link. The asker raises it each time it asks anew; whatever
 *   ends a link says the newest epoch that it means, so it can never end one asked for later.
 * - A **position** is a message's number in its channel's order. A delivery says after which position it
 *   goes on, so the receiver drops what it has and notices what it missed.
 *
 * A call that fails has been carried out, will be soon, or never is: its caller cannot know.
 */

/** Every call between objects: what is asked, and the answer. */
export interface Calls {
  /** Asks for a link. */
  link: { ask: LinkRequest; answer: LinkAnswer };
  /** Ends a link. */
  unlink: { ask: UnlinkRequest; answer: undefined };
  /** Carries messages on, down a link. */
  deliver: { ask: Delivery; answer: DeliveryAnswer };
  /** Carries announcements to the root of their channel. */
  forward: { ask: Batch; answer: BatchAnswer };
  /** Announces messages that have not come by a socket, at the root of their channel. */
  announce: { ask: Announcement; answer: Announced };
  /** Asks a channel's root for what was missed of it. */
  recover: { ask: Missing; answer: Kept };
  /** A child says whether it has room for more. */
  fill: { ask: Filling; answer: undefined };
  /** Asks how many of the connections that want to be let in may be. */
  claim: { ask: Claim; answer: number };
  /** Asks an object to claim anew, if what it has claimed is not true any more. */
  recount: { ask: undefined; answer: undefined };
  /** Asks what the object says of itself, and in the tree of `all` of those linked to it. */
  figures: { ask: FiguresRequest; answer: Figures };
  /** Asks what the whole service says of itself; only the root of `all` can tell. */
  serviceFigures: { ask: undefined; answer: ServiceFigures };
  /** Hands over, to the root of `all`, what an object has counted that is not linked to it. */
  tally: { ask: Totals; answer: undefined };
  /** Asks how an object hears a channel, and those that hear it through that one. */
  describe: { ask: Described; answer: Description };
}

/** What an object does for each call. */
export type Answering = {
  [Kind in keyof Calls]: (ask: Calls[Kind]["ask"]) => Calls[Kind]["answer"] | Promise<Calls[Kind]["answer"]>;
};

export interface LinkRequest {
  /** Name of the object that asks. */
  from: string;
  epoch: number;
  /** Where a child's connections come from, so that its parent sends more of them there. */
  region?: string | undefined;
  /** Set to ask whether a link with this epoch is still counted on; it is not to be made then. */
  still?: Still | undefined;
  /** To a child, from its parent's answer: the epoch of the child's own link that the parent counts on. */
  vouched?: number | undefined;
}

/** What an object that asks whether it still has a link knows about it. */
export interface Still {
  /** The position of the newest message that has arrived; undefined if it has left memory since. */
  last: number | undefined;
}

/**
 * The position after which deliveries go on; or the epoch that a new request has to exceed; or, from an
 * object that has no room, the child to ask instead, and the epoch of that child's own link if it has one.
 */
export type LinkAnswer =
  | { after: number }
  | { newer: number }
  | { instead: string; vouched?: number | undefined };

export interface UnlinkRequest {
  /** Name of the object that asks. */
  from: string;
  /** Of the link, or of a newer one than that. */
  epoch: number;
  /** The counters of an object that unlinks from `all`: the parent adds them. */
  counters?: CounterReport | undefined;
}

export interface Delivery {
  channel: string;
  /** Name of the object that delivers. */
  from: string;
  epoch: number;
  /**
   * Rises from call to call, across the lives of the sender, so that one which it has given up cannot come after a
   * later one.
   */
  number: number;
  /** The position of the message before the first one here. */
  after: number;
  /** Set where the root has given new numbers: the position that `after` takes the place of. Nothing is in between. */
  follows?: number | undefined;
  /** How many messages there are. */
  count: number;
  /** The messages as lines, one after another. */
  lines: string;
  /** Set when these messages may have been delivered before, by a call whose fate is unknown. */
  again: boolean;
  /** Set when messages have been lost on this link; then it carries none and ends the link. */
  lost: boolean;
  /** Set to ask how far the far end is, after a crash of this one; then it carries none. */
  where: boolean;
}

/**
 * `gone` ends the link: nobody listens there under that epoch. `last` is the newest that has arrived, if asked for.
 * `newer` is the number that a delivery has to exceed to be taken.
 */
export type DeliveryAnswer =
  | { gone: false; last?: number | undefined }
  | { gone: false; newer: number }
  | { gone: true };

/** Announcements for the root of a channel to give neighbouring positions. */
export interface Batch {
  /** Name of the object they come from. */
  from: string;
  /** Rises from batch to batch, so that one which its sender has given up cannot come after a later one. */
  number: number;
  count: number;
  /** The messages as lines, one after another. */
  lines: string;
  /** Set if each message is announced only if none has been under its key. */
  keys?: string[] | undefined;
}

/**
 * The newest position before the batch, and that of the last message, or of each one if they have keys: undefined where
 * the key was used for another message. Or the number that a batch has to exceed to be taken.
 */
export type BatchAnswer =
  | { before: number; last: number }
  | { before: number; positions: (number | undefined)[] }
  | { newer: number };

/** Messages that get neighbouring positions, all or none. */
export interface Announcement {
  count: number;
  /** The messages as lines, one after another. */
  lines: string;
  /** Set if they are announced only if none have been under this key. */
  key?: string | undefined;
  /** Set if they are announced only if the newest message has this position. */
  expected?: number | undefined;
}

/**
 * The position of the last message, which is undefined where no history is kept; the newest one, if another was
 * expected; that the key was used for other messages; or that no history is kept, where that is needed.
 */
export type Announced =
  | { last: number | undefined }
  | { newest: number }
  | { conflict: true }
  | { none: true };

/** What connections have missed, those of one object together. */
export interface Missing {
  /** The lowest position after which any of them goes on; undefined if none says one. */
  since: number | undefined;
  /** The most of the newest messages that any of them asks for. */
  last: number;
}

/** What a root has of that: `count` messages after a position, up to its newest, as lines; or that it keeps none. */
export type Kept = { after: number; count: number; lines: string } | { none: true };

/** What can fill an object up. */
export type Load = "sockets" | "links";

export interface Filling {
  child: string;
  load: Load;
  full: boolean;
}

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

/** How often something has happened, by its name. */
export type Tally = Record<string, number>;

/** Things counted since the beginning. */
export interface Totals {
  rejected: number;
  connections: number;
  announcements: number;
  messages: number;
  subscribes: number;
  unsubscribes: number;
  pings: number;
  /** What only who runs the service wants to know. */
  others?: Tally | undefined;
}

/** The counters of an object that unlinks from `all`. */
export interface CounterReport {
  totals: Totals;
  /** The most sockets held at one time. */
  peak: number;
}

/** Asks for figures. */
export interface FiguresRequest {
  /** What names of channels are hashed with. */
  seed: number;
}

/** What one object says of itself, or with those below it in the tree of `all`. */
export interface Figures {
  totals: Totals;
  connections: number;
  peak: number;
  subscriptions: number;
  /** Subscriptions other than to `all`. */
  requested: number;
  /** The smallest hashes of the names of channels subscribed to, see `stats/distinct.ts`. */
  channels: number[];
  /** Objects that hold connections. */
  objects: number;
  /** Objects that did not answer; nothing of theirs is counted. */
  unreachable: number;
  /** The deepest hop that any event of theirs was in this life. */
  deepest?: number | undefined;
  /** Characters of messages that they keep. */
  kept?: number | undefined;
}

export interface ServiceFigures extends Omit<Figures, "channels"> {
  /** Milliseconds since 1970 at which the service was first used. */
  since: number;
  /** How many channels have subscribers. */
  channels: number;
}

export interface Described {
  channel: string;
}

/** One object of a channel's tree. */
export interface ObjectOfTree {
  object: string;
  /** By which one it hears the channel; undefined of the root. */
  parent?: string | undefined;
  /** Connections that are subscribed there. */
  listeners: number;
  /** The newest position that has arrived there, as far as it or its parent knows. */
  position?: number | undefined;
}

/** A part of a channel's tree. */
export interface Description {
  /** The object itself first; some may be left out where they are very many. */
  objects: ObjectOfTree[];
  /** How many are left out. */
  omitted: number;
  /** How many did not answer. */
  unreachable: number;
  /** What its root keeps, after which position; undefined where nothing is kept. */
  kept?: { after: number; count: number; characters: number } | undefined;
}
