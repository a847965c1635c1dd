/** One link at its delivering end, and what goes down it at a time. */

import type { Log } from "../channel/log.ts";
import type { Delivery } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { LinkRow } from "./link-rows.ts";
import { earliestRetry, isDue, type PendingRetry } from "./retry.ts";

/** Most characters in one delivery; the runtime's own limit for a call is 32 MiB. */
const MAX_DELIVERY = 1_000_000;

/** Most characters in the deliveries of one object that are under way: a sixteenth of its 128 MB. */
const MOST_DELIVERED = 8_000_000;

/**
 * Returns how many characters of messages a delivery may have, but for its last message. Each link has its own share,
 * so that no delivery has to wait for another link's.
 * @param links that the object has
 */
export function shareOf(links: number): number {
  return Math.min(MAX_DELIVERY, Math.floor(MOST_DELIVERED / Math.max(1, links)));
}

export class DownstreamLink {
  readonly object: string;
  readonly epoch: number;
  /** Everything up to this position has arrived. */
  acknowledged: number;
  /** How far it is has to be asked first. */
  isPositionUnknown = false;
  /** A call failed since then, so some of what follows may have arrived too. */
  mayRepeat = false;
  /** Set if messages were dropped: all that is left to send is this fact. */
  loss: PendingRetry | undefined;
  /** Storage would not take that; until it is told, this object must not leave memory. */
  isLossUnwritten = false;
  isSending = false;

  /**
   * A link that is new, or of an earlier life.
   * @param lostAt when it was lost, in milliseconds since 1970: that is told when the alarm goes off
   */
  constructor(object: string, { epoch, lostAt }: LinkRow, acknowledged: number) {
    this.object = object;
    this.epoch = epoch;
    this.acknowledged = acknowledged;
    if (lostAt !== undefined) this.loss = { since: lostAt, next: undefined };
  }

  /** After a crash in the middle of deliveries it has to say itself how far it is; the log has what it misses. */
  markUnknown(log: Log): void {
    this.acknowledged = log.start ?? 0;
    this.isPositionUnknown = true;
    this.mayRepeat = true;
  }

  /** It has said how far it is; returns whether the log has all that it misses. */
  resumeAt(last: number, { start = 0, position = 0 }: Log): boolean {
    this.isPositionUnknown = false;
    this.acknowledged = last;
    return last >= start && last <= position;
  }

  /** Notes that it is lost; returns what storage is to remember of it. */
  markLost(now: number): LinkRow {
    this.loss = { since: this.loss?.since ?? now, next: now };
    return { epoch: this.epoch, lostAt: this.loss.since };
  }

  /** Whether there is something to send. */
  hasPending(log: Log): boolean {
    return this.loss !== undefined || this.isPositionUnknown || this.acknowledged < (log.position ?? 0);
  }

  /** Whether the log does not have all that it lacks. */
  isBehindLog(log: Log): boolean {
    return !this.loss && !this.isPositionUnknown && this.acknowledged < (log.start ?? 0);
  }

  /** Whether to send it now: what could not be told for a while is not tried all the time. */
  maySend(now: number): boolean {
    if (this.isSending) return false;
    return !this.loss || (this.loss.next !== undefined && this.loss.next <= now);
  }
}

/** What every link has, but for those that are lost. */
export function lowestAcknowledged(links: Iterable<DownstreamLink>, log: Log): number {
  let lowest = log.position ?? 0;
  for (const { loss, acknowledged } of links) if (!loss) lowest = Math.min(lowest, acknowledged);
  return lowest;
}

/** When to tell lost links so again, in milliseconds since 1970; infinite if none is lost. */
export function nextLossReport(links: Iterable<DownstreamLink>, now: number): number {
  return earliestRetry(lossesOf(links), now);
}

/** Has lost links be told so now, if it is time to. */
export function reportDueLosses(links: Iterable<DownstreamLink>, now: number): void {
  for (const loss of lossesOf(links)) if (isDue(loss, now)) loss.next = now;
}

function lossesOf(links: Iterable<DownstreamLink>): PendingRetry[] {
  return [...links].flatMap(({ loss }) => loss ?? []);
}

/**
 * What a link is behind by, or what is to be asked or said before that.
 * @param most characters of messages in it
 */
export function nextDelivery(
  { epoch, acknowledged, isPositionUnknown, mayRepeat: again, loss }: DownstreamLink,
  log: Log,
  from: string,
  number: number,
  most: number,
): Delivery {
  const lost = loss !== undefined;
  const channel = channelOf(from);
  const where = isPositionUnknown && !lost;
  const call = { channel, from, epoch, number, again, lost, where };
  if (lost || isPositionUnknown)
    return { ...call, after: where ? (log.position ?? 0) : acknowledged, lines: "", count: 0 };
  const messages = log.since(acknowledged, most);
  const follows = messages.after === acknowledged ? undefined : acknowledged;
  return { ...call, ...messages, follows };
}
