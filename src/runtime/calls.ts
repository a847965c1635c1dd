/**
 * The calls between objects, and their types. This file imports nothing, so that it can be read on its own.
 *
 * A **link** is one object's subscription to a channel at another object, so that the subscribers of a channel form a
 * tree. An object requests a link from the channel's root, and then receives every message of the channel once, for any
 * number of subscribers. The requesting end is in `upstream.ts`, the delivering end in `downstream.ts`; `forwarding.ts`
 * sends announcements to a root.
 *
 * Two numbers keep both ends consistent when calls are slow, fail or overtake one another:
 *
 * - An **epoch** identifies one request for a link. Objects raise it with each request, and unlink requests contain the
 *   newest epoch that they end. So no request can end a link that was requested later.
 * - A **position** is the number of a message in its channel's order. Each delivery contains the position that it follows,
 *   so the receiver drops duplicates and notices gaps.
 *
 * A failed call may have been executed, may still be executed, or may never be: the caller can't know.
 */

/** All calls between objects, with their requests and answers. */
export interface Calls {
  /** Requests a link. */
  link: { request: LinkRequest; answer: LinkAnswer };
  /** Ends a link. */
  unlink: { request: UnlinkRequest; answer: undefined };
  /** Delivers messages along a link. */
  deliver: { request: Delivery; answer: DeliveryAnswer };
  /** Forwards announcements from an object to the root of their channel. */
  forward: { request: Batch; answer: BatchAnswer };
  /** Announces messages from HTTP clients at the root of their channel. */
  announce: { request: Announcement; answer: AnnounceAnswer };
  /** Requests missed messages from the root of a channel. */
  recover: { request: MissedRequest; answer: MissedAnswer };
  /** Reports the members with connections at an object to the root of a presence channel. */
  present: { request: PresenceReport; answer: PresenceAnswer };
  /** Asks an object to report all its members again, unless both objects agree. */
  restate: { request: RestateRequest; answer: undefined };
  /** Requests the members of a channel from the root of its presence channel. */
  members: { request: undefined; answer: MembersAnswer };
  /** Reports whether a child has room for more connections or links. */
  fill: { request: CapacityReport; answer: undefined };
  /** At the root of `all`: revokes the tokens of a subject. */
  revoke: { request: { sub: string }; answer: RevokeAnswer };
  /** Ends the connections of revoked tokens, at the object and at those below it in the tree of `all`. */
  revoked: { request: { revocations: Revocation[] }; answer: RevokedAnswer };
  /** Requests the revocations after a number from the root of `all`. */
  revocations: { request: { after: number }; answer: { revocations: Revocation[] } };
  /** Requests slots for new connections; the answer is how many are granted. */
  claim: { request: ConnectionClaim; answer: number };
  /** Asks an object to claim again, if the number of its connections has changed. */
  recount: { request: undefined; answer: undefined };
  /** Requests the figures of an object, with the seed for hashing channel names, and, in the tree of `all`, of all objects below it. */
  figures: { request: { seed: number }; answer: Figures };
  /** Requests the figures of the whole service from the root of `all`. */
  serviceFigures: { request: undefined; answer: ServiceFigures };
  /** Reports the counters of an object without a link to the root of `all`, or those of a Worker. */
  tally: { request: Totals; answer: undefined };
  /** Requests the channels in use at the object and, in the tree of `all`, at all objects below it. */
  channels: { request: ChannelsRequest; answer: ChannelsAnswer };
  /** Requests the position of the object's own channel, and the number of members that it knows of. */
  summary: { request: undefined; answer: ChannelSummary };
  /** Requests the part of a channel's tree that begins at the object. */
  describe: { request: { channel: string }; answer: TreeDescription };
}

/** The handlers of an object, by call. */
export type Handlers = {
  [Kind in keyof Calls]: (ask: Calls[Kind]["request"]) => Calls[Kind]["answer"] | Promise<Calls[Kind]["answer"]>;
};

export interface LinkRequest {
  /** Name of the requesting object. */
  from: string;
  epoch: number;
  /** Region of a child's connections, so that its parent sends it more from there. */
  region?: string | undefined;
  /** Set to ask whether a link with this epoch still exists, without creating one. */
  still?: LinkCheck | undefined;
  /** For a child, from its parent's answer: the epoch of the link between them, which the parent confirms. */
  vouched?: number | undefined;
}

/** State of the object that asks whether its link still exists. */
export interface LinkCheck {
  /** The position of the newest message received; undefined if the object has lost it from memory. */
  last: number | undefined;
  /** Whether the object has received nothing by the link since it started, and has no connections from before. */
  restarted?: boolean | undefined;
}

/**
 * The position after which deliveries begin; or the epoch that a new request must exceed; or, from an object without room,
 * the child to ask instead, with the epoch of that child's own link if it has one.
 */
export type LinkAnswer = { after: number } | { newer: number } | { instead: string; vouched?: number | undefined };

export interface UnlinkRequest {
  /** Name of the requesting object. */
  from: string;
  /** Of the link, or newer. */
  epoch: number;
  /** The counters of an object that unlinks from `all`: the parent adds them. */
  counters?: CounterReport | undefined;
}

export interface Delivery {
  channel: string;
  /** Name of the delivering object. */
  from: string;
  epoch: number;
  /** Rises from call to call, even across crashes of the sender, so that receivers reject calls that arrive late. */
  number: number;
  /** The position of the message before the first one here. */
  after: number;
  /** Set after the root has renumbered: the old position that `after` replaces, with no messages in between. */
  follows?: number | undefined;
  /** Number of messages. */
  count: number;
  /** The messages, as lines. */
  lines: string;
  /** Set when an earlier call with an unknown outcome may have delivered these messages. */
  again: boolean;
  /** Set when messages have been lost on this link: the call has no messages and ends the link. */
  lost: boolean;
  /** Set after a crash of the sender, to ask for the receiver's position: the call has no messages. */
  where: boolean;
}

/**
 * `gone` ends the link: the receiver has no link with that epoch. `last` is the position of the newest message received,
 * if requested. `newer` is the number that a delivery must exceed.
 */
export type DeliveryAnswer =
  | { gone: false; last?: number | undefined }
  | { gone: false; newer: number }
  | { gone: true };

/** Announcements to which the root of a channel gives consecutive positions. */
export interface Batch {
  /** Name of the forwarding object. */
  from: string;
  /** Rises from batch to batch, so that the root rejects batches that arrive late. */
  number: number;
  count: number;
  /** The messages, as lines. */
  lines: string;
  /** The idempotency keys of the messages, if they have any. */
  keys?: string[] | undefined;
}

/**
 * The newest position before the batch, and that of its last message; or that of each message if they have keys, undefined
 * where the key belongs to another message. Or the number that a batch must exceed.
 */
export type BatchAnswer =
  | { before: number; last: number }
  | { before: number; positions: (number | undefined)[] }
  | { newer: number };

/** Messages that get consecutive positions, or are all rejected. */
export interface Announcement {
  count: number;
  /** The messages, as lines. */
  lines: string;
  /** Their idempotency key, if they have one. */
  key?: string | undefined;
  /** Set to announce them only if the newest message has this position. */
  expected?: number | undefined;
}

/**
 * The position of the last message, undefined for a channel without history; or the newest position, if another was
 * expected. `conflict` means that the key belongs to other messages, `none` that keys and `expected` need history.
 */
export type AnnounceAnswer = { last: number | undefined } | { newest: number } | { conflict: true } | { none: true };

/** A request for missed messages, for all resuming connections of one object. */
export interface MissedRequest {
  /** The lowest position from which any of them resumes; undefined if none has a position. */
  since: number | undefined;
  /** The highest number of newest messages that any of them requests. */
  last: number;
}

/** `count` retained messages after a position, up to the newest one, as lines; or `none` for a channel without history. */
export type MissedAnswer = { after: number; count: number; lines: string } | { none: true };

/** The members of one channel that have connections at one object: all of them, or what has changed. */
export interface PresenceReport {
  /** Name of the reporting object. */
  from: string;
  /** Rises from report to report, so that a late report can't undo a newer one. */
  number: number;
  /** The number of the report that this one continues; undefined if it lists all members. */
  after: number | undefined;
  present: PresentMember[];
  gone: GoneMember[];
}

/** A member with connections at the reporting object. */
export interface PresentMember {
  member: string;
  data: string;
  /** The number of the first report with this state: it is carried out once, however often it is repeated. */
  change: number;
}

/** A member whose last connection at the reporting object has ended, or has left. */
export interface GoneMember {
  member: string;
  left: boolean;
  /** As in `PresentMember`. */
  change: number;
}

export interface RestateRequest {
  /** The channel whose members are asked for. */
  channel: string;
  /** The number of the object's newest report that was received; 0 for none. */
  number: number;
}

/**
 * The members that were refused, because the channel has too many, the position of the presence channel after the
 * changes, and whether anything was announced just now; or the number that a report must exceed, and that of the object's newest one; or that the
 * next report must list all members; or that storage refused the changes; or that the server retains no messages.
 */
export type PresenceAnswer =
  | { refused: string[]; position: number; isNew: boolean }
  | { newer: number; known: number }
  | { behind: true }
  | { full: true }
  | { none: true };

/** The members of a channel at a position of its presence channel; or `none` on a server without retention. */
export type MembersAnswer = { position: number; members: Member[] } | { none: true };

export interface Member {
  member: string;
  data: string;
}

/** A subject whose tokens have been revoked; see `auth/revocations.ts`. */
export interface Revocation {
  sub: string;
  before: number;
  until: number;
  number: number;
}

/** A revocation, how many objects it has reached, and how many didn't answer. Or that there are too many revocations. */
export type RevokeAnswer = { revocation: Revocation; objects: number; unreachable: number } | { limit: number };

/** How many objects have ended the connections of revoked tokens, and the names of those that didn't answer. */
export interface RevokedAnswer {
  objects: number;
  unreachable: string[];
}

/** A kind of load that can fill an object. */
export type Load = "sockets" | "links";

export interface CapacityReport {
  child: string;
  load: Load;
  full: boolean;
}

/** The connections of an object, reported to the root of `all` if the service limits their number. */
export interface ConnectionClaim {
  /** Name of the object. */
  from: string;
  /** Rises from claim to claim, so that a late claim can't undo a newer one. */
  number: number;
  /** Connections that it has. */
  held: number;
  /** Connections that await admission. */
  wanted: number;
}

/** How often events have occurred, by name. */
export type Tally = Record<string, number>;

/** Counters since the service was first used. */
export interface Totals {
  rejected: number;
  connections: number;
  announcements: number;
  messages: number;
  subscribes: number;
  unsubscribes: number;
  pings: number;
  /** Counters for metrics, which `info` doesn't show. */
  others?: Tally | undefined;
}

/** The counters of an object that unlinks from `all`. */
export interface CounterReport {
  totals: Totals;
  /** The most sockets at a time. */
  peak: number;
}

/** The figures of one object, or of all objects below it in the tree of `all` too. */
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
  /** Objects that did not answer; the other figures exclude them. */
  unreachable: number;
  /** The most hops of any recent chain of calls that reached one of them. */
  deepest?: number | undefined;
  /** Characters of retained messages. */
  kept?: number | undefined;
  /** Members with connections there: one in several objects counts several times. */
  members?: number | undefined;
}

export interface ServiceFigures extends Omit<Figures, "channels"> {
  /** Milliseconds since 1970 at which the service was first used. */
  since: number;
  /** Number of channels with subscribers. */
  channels: number;
}

/** A request for the first `limit` channels that begin with a prefix and follow a name. */
export interface ChannelsRequest {
  prefix: string;
  after: string;
  limit: number;
}

/** Channels in use, in the order of their names, and the number of objects that didn't answer. */
export interface ChannelsAnswer {
  channels: ChannelEntry[];
  unreachable: number;
}

/** What some objects know of a channel in use. */
export interface ChannelEntry {
  channel: string;
  subscribers: number;
  /** Whether members have connections at one of these objects. */
  hasMembers: boolean;
  /** The newest position, if the channel's root is among these objects and knows it. */
  position?: number | undefined;
  /** The number of members, if the root of the presence channel is among these objects. */
  members?: number | undefined;
}

export interface ChannelSummary {
  position?: number | undefined;
  /** At the root of a presence channel. */
  members?: number | undefined;
}

/** One object of a channel's tree. */
export interface TreeNode {
  object: string;
  /** The object at the other end of its link; undefined for the root. */
  parent?: string | undefined;
  /** Number of subscribed connections. */
  listeners: number;
  /** The newest position received there, if it or its parent knows it. */
  position?: number | undefined;
}

/** A part of a channel's tree. */
export interface TreeDescription {
  /** The queried object first. Large trees may be incomplete. */
  objects: TreeNode[];
  /** Number of objects left out. */
  omitted: number;
  /** Number of objects that did not answer. */
  unreachable: number;
  /** The retained messages of the root, which follow the position `after`; undefined without history. */
  kept?: { after: number; count: number; bytes: number } | undefined;
}
