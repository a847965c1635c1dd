/** A link at its delivering end, and the deliveries that it sends. */

import type { Log } from "../channel/log.ts";
import type { Delivery } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { LinkRow } from "./link-rows.ts";
import type { PendingRetry } from "./retry.ts";

/** The most characters in one delivery; the runtime's own limit for a call is 32 MiB. */
const MAX_DELIVERY = 1_000_000;

/** The most characters in the deliveries that an object has in flight: a sixteenth of its 128 MB. */
const MAX_IN_FLIGHT = 8_000_000;

/**
 * Returns the most characters of messages in a delivery, not counting its last message. Each link has its own share, so
 * that links don't wait for each other.
 * @param links the number of links that the object has
 */
export function shareOf(links: number): number {
  return Math.min(MAX_DELIVERY, Math.floor(MAX_IN_FLIGHT / Math.max(1, links)));
}

export class DownstreamLink {
  readonly object: string;
  readonly epoch: number;
  /** The receiver has everything up to this position. */
  acknowledged: number;
  /** Whether the receiver has to be asked for its position first, because `acknowledged` is unknown. */
  isPositionUnknown = false;
  /** Whether the receiver may already have some of the messages after `acknowledged`, because a call failed. */
  mayRepeat = false;
  /** Set if messages for the link were dropped. Then the receiver is told only that, and the link ends. */
  loss: PendingRetry | undefined;
  /** Whether storage refused to record the loss. Until the receiver is told, this object must stay in memory. */
  isLossUnwritten = false;
  isSending = false;
  /** Whether the receiver has restarted during the call in flight. */
  hasRestarted = false;

  /**
   * Creates a new link, or restores one from its row.
   * @param lostAt the time of the loss, in milliseconds since 1970; the receiver is told when the alarm goes off
   */
  constructor(object: string, { epoch, lostAt }: LinkRow, acknowledged: number) {
    this.object = object;
    this.epoch = epoch;
    this.acknowledged = acknowledged;
    if (lostAt !== undefined) this.loss = { since: lostAt, next: undefined };
  }

  /** Marks the position as unknown, after a crash of either end during deliveries. The log has the messages that may be missing. */
  markUnknown(log: Log): void {
    this.acknowledged = log.start ?? 0;
    this.isPositionUnknown = true;
    this.mayRepeat = true;
  }

  /** Continues after the position that the receiver reported. Returns false if the log lacks messages after it. */
  resumeAt(last: number, { start = 0, position = 0 }: Log): boolean {
    this.isPositionUnknown = false;
    this.acknowledged = last;
    return last >= start && last <= position;
  }

  /** Marks the link as lost; returns its new row. */
  markLost(now: number): LinkRow {
    this.loss = { since: this.loss?.since ?? now, next: now };
    return { epoch: this.epoch, lostAt: this.loss.since };
  }

  /** The epoch, if the object may rely on the link. */
  get vouched(): number | undefined {
    return this.loss || this.isPositionUnknown ? undefined : this.epoch;
  }

  /** Whether there is something to send. */
  hasPending(log: Log): boolean {
    return this.loss !== undefined || this.isPositionUnknown || this.acknowledged < (log.position ?? 0);
  }

  /** Whether the log has dropped messages that the link still needs. */
  isBehindLog(log: Log): boolean {
    return !this.loss && !this.isPositionUnknown && this.acknowledged < (log.start ?? 0);
  }

  /**
   * Whether to send now. Links have one call in flight; losses that couldn't be reported wait for their next attempt.
   */
  maySend(now: number): boolean {
    if (this.isSending) return false;
    return !this.loss || (this.loss.next !== undefined && this.loss.next <= now);
  }

  /**
   * Returns the next delivery: messages, a request for the receiver's position, or the report of a loss.
   * @param from the name of this object
   * @param number the number of the delivery
   * @param most the most characters of messages
   */
  next(log: Log, from: string, number: number, most: number): Delivery {
    const { epoch, acknowledged, mayRepeat: again } = this;
    const lost = this.loss !== undefined;
    const where = this.isPositionUnknown && !lost;
    const call = { channel: channelOf(from), from, epoch, number, again, lost, where };
    if (lost || where) return { ...call, after: where ? (log.position ?? 0) : acknowledged, lines: "", count: 0 };
    const messages = log.since(acknowledged, most);
    const follows = messages.after === acknowledged ? undefined : acknowledged;
    return { ...call, ...messages, follows };
  }
}
