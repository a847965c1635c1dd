/** The delivering end of links: sends a channel's messages to the objects that are linked to this one. */
import { assert } from "../assert.ts";
import type { ChannelLog } from "../channel/channel-log.ts";
import type { AppendedMessages } from "../channel/log.ts";
import type { Delivery, DeliveryAnswer, LinkAnswer, LinkCheck, LinkRequest, UnlinkRequest } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import { rowOf } from "../runtime/rows.ts";
import { wasNotMade } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { DownstreamLink, shareOf } from "./delivery.ts";
import {
  isLinkRow,
  isOrderRow,
  isSameOrder,
  LINK,
  type LinkRow,
  ORDER,
  type OrderRow,
  restoreOrder,
} from "./link-rows.ts";
import { earliestRetry, isDue, type PendingRetry, postpone, retry } from "./retry.ts";

interface DownstreamParts extends CoreParts {
  /** The most characters that are buffered for links which are behind. */
  readonly limits: Pick<Limits, "maxBufferedBytes">;
}

/**
 * One channel's links. Each has one call in flight; later messages go with its next call. All links share the channel's
 * log, so a slow link costs memory once; links that are too far behind are cut off.
 */
export class Downstream {
  readonly #parts: DownstreamParts;
  readonly #channel: ChannelLog;
  readonly #ended: (object: string) => void;
  readonly #links = new Map<string, DownstreamLink>();
  /** The number of the newest delivery. Numbers are times, so they rise even if the object leaves memory in between. */
  #newest = 0;
  /** Whether a crash would leave links in doubt. */
  isBusy = false;
  /** The row that storage has under `order`. */
  #row: OrderRow | undefined;

  /** @param ended called with the object whose link has ended */
  constructor(parts: DownstreamParts, channel: ChannelLog, ended: (object: string) => void) {
    this.#parts = parts;
    this.#channel = channel;
    this.#ended = ended;
  }

  /**
   * Restores links and the channel's position from storage. If the object crashed during deliveries, it can't know what
   * was received: then every link is lost.
   */
  start(): void {
    const { unstoredPosition } = this.#channel;
    this.#setRow(rowOf(this.#parts.runtime.store.get(ORDER), isOrderRow));
    const { position, isBehind, isInDoubt } = restoreOrder(
      this.#row,
      this.#channel.position,
      unstoredPosition,
      this.#parts.runtime,
    );
    this.#channel.continueAfter(position);
    this.isBusy = isBehind || isInDoubt;
    // Storage may have taken a link, and then no more rows.
    const isUnknown = position === undefined || !(this.#row || unstoredPosition !== undefined);
    for (const [key, value] of this.#parts.runtime.store.list(LINK)) {
      const row = rowOf(value, isLinkRow);
      if (!row) continue;
      const link = this.#add(key.slice(LINK.length), row);
      if (isInDoubt || isUnknown) this.#noteLoss(link);
      else if (this.isBusy) link.markUnknown(this.#channel.log);
    }
    this.#parts.schedule.due(this.lossReportAt);
  }

  #setRow(row: OrderRow | undefined): void {
    this.#row = row;
    this.#parts.schedule.rest = row?.alarm;
  }

  /** The names of the linked objects. */
  get objects(): Iterable<string> {
    return this.#links.keys();
  }

  /** The number of linked objects. */
  get size(): number {
    return this.#links.size;
  }

  /** Returns the link to an object; undefined if there is none. */
  linkTo(object: string): DownstreamLink | undefined {
    return this.#links.get(object);
  }

  /** Gives messages the next positions, and schedules their delivery. */
  append(lines: string, count: number, key?: string): AppendedMessages {
    const hasLinks = this.#links.size > 0;
    const appended = this.#channel.append(lines, count, key, hasLinks);
    if (hasLinks || this.#channel.hasHistory) {
      this.scheduleDelivery();
      if (this.#channel.log.size > this.#maxBuffered) this.#shorten(appended.last);
    }
    return appended;
  }

  /** Appends messages that the parent has delivered, which keep their positions. */
  relay(lines: string, count: number, after: number): void {
    const { log } = this.#channel;
    if (log.position === undefined) log.begin(after);
    assert(log.position === after, "a parent's messages follow the newest one here");
    this.append(lines, count);
  }

  get #maxBuffered(): number {
    return this.#parts.limits.maxBufferedBytes;
  }

  /** Schedules a delivery to every link. */
  scheduleDelivery(): void {
    if (!this.isBusy && this.#links.size > 0) this.#parts.schedule.mark();
    this.isBusy = this.#links.size > 0;
    this.#parts.schedule.flush();
  }

  /** Cuts off every link: messages are missing here. */
  loseAll(): void {
    for (const link of this.#links.values()) if (!link.loss) this.#cutOff(link);
    this.#channel.log.forgetPosition();
    this.#writeOrder();
    this.flush();
  }

  /** Starts to deliver what each link is behind by, after storing it. Returns at once. */
  flush(): void {
    this.#channel.store();
    this.trim();
    const now = this.#parts.runtime.now();
    for (const link of this.#links.values()) {
      if (link.hasPending(this.#channel.log) && link.maySend(now)) this.#parts.runtime.keep(this.#send(link));
    }
  }

  /** Drops messages that every link has received and that aren't retained. */
  trim(): void {
    let lowest = this.#channel.position ?? 0;
    for (const { loss, acknowledged } of this.#links.values()) if (!loss) lowest = Math.min(lowest, acknowledged);
    this.#channel.log.trim(lowest);
  }

  /** When to call `reportLosses`, in milliseconds since 1970; infinite if no link is lost. */
  get lossReportAt(): number {
    return earliestRetry(this.#losses, this.#parts.runtime.now());
  }

  /** Tells lost links so again, if it is time to: objects that were unreachable may have recovered. */
  reportLosses(): void {
    const now = this.#parts.runtime.now();
    for (const loss of this.#losses) if (isDue(loss, now)) loss.next = now;
    this.flush();
  }

  get #losses(): PendingRetry[] {
    return [...this.#links.values()].flatMap(({ loss }) => loss ?? []);
  }

  /**
   * Links an object, unless it is linked already. The answer has the position after which deliveries begin.
   * @throws Error if storage refuses the row
   */
  link({ from, epoch, still }: LinkRequest): LinkAnswer {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) return this.#answerAgain(known, still);
    if (still) return { newer: epoch };
    if (known) this.#end(known);
    this.#channel.store();
    const { position } = this.#channel;
    assert(position !== undefined, "a parent knows its position before it accepts links");
    const row: LinkRow = { epoch, lostAt: undefined };
    if (!this.#parts.runtime.store.put(LINK + from, row)) throw new Error("storage takes no more links");
    this.#add(from, row);
    if (this.#row?.position === undefined) this.#writeOrder();
    return { after: position };
  }

  /** Answers an object that asks for its link again, or whether it still has it. */
  #answerAgain(link: DownstreamLink, still: LinkCheck | undefined): LinkAnswer {
    if (still) this.#compare(link, still);
    if (!link.loss) return { after: link.acknowledged };
    // The answer may get lost.
    this.#parts.schedule.flush();
    return { newer: link.epoch };
  }

  /** Compares both ends of a link. */
  #compare(link: DownstreamLink, { last, restarted = false }: LinkCheck): void {
    if (link.loss) return;
    link.hasRestarted = link.isSending && restarted;
    // A call failed, and neither end knows whether its messages were received.
    if (last === undefined && link.mayRepeat) this.#cutOff(link);
    if (last === undefined) return;
    if (link.isPositionUnknown ? !link.resumeAt(last, this.#channel.log) : last > (this.#channel.position ?? 0)) {
      this.#cutOff(link);
    }
  }

  /** Ends the link of an object, unless it was requested after `epoch`. */
  unlink({ from, epoch }: UnlinkRequest): void {
    const known = this.#links.get(from);
    if (!known || known.epoch > epoch) return;
    this.#end(known);
    this.#ended(from);
  }

  /**
   * Writes that every link has all messages, if that is so.
   * @param isCounted whether clients count on from the newest position
   * @returns whether nothing would be lost if the object left memory
   */
  settle(isCounted: boolean): boolean {
    for (const link of this.#links.values()) {
      if (link.isLossUnwritten) this.#cutOff(link);
      if (link.isSending || link.isLossUnwritten || (link.hasPending(this.#channel.log) && !link.loss)) return false;
    }
    this.isBusy = false;
    this.#channel.history?.settle(isCounted);
    this.#writeOrder();
    const isInOrder = this.#links.size === 0 || this.#row?.position === this.#channel.position;
    // A child that continued from an old row would deliver messages twice.
    return this.#channel.saveUnstored(isInOrder) || this.#channel.history !== undefined;
  }

  #add(object: string, row: LinkRow): DownstreamLink {
    const link = new DownstreamLink(object, row, this.#channel.position ?? 0);
    this.#links.set(object, link);
    return link;
  }

  /** Delivers once, with as many attempts as that takes; later messages go with the next flush. */
  async #send(link: DownstreamLink): Promise<void> {
    link.isSending = true;
    const isLinked = () => this.#links.get(link.object) === link;
    const deliver = () => retry(this.#parts.runtime, () => this.#deliver(link), isLinked);
    const reached = await deliver().catch(() => {
      // The link ended while the call was in flight; don't write its row again.
      if (link.loss || !isLinked()) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.isSending = false;
    if (!reached && link.loss) postpone(link.loss, this.#parts.runtime.now());
    if (reached && isLinked() && link.hasPending(this.#channel.log)) this.#parts.schedule.flush();
  }

  async #deliver(link: DownstreamLink): Promise<true> {
    // A repeated call takes along later messages.
    this.#channel.store();
    if (link.isBehindLog(this.#channel.log)) this.#cutOff(link);
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const share = shareOf(this.#links.size);
    const delivery = link.next(this.#channel.log, this.#parts.runtime.name, this.#newest, share);
    try {
      const hasOwnBudget = delivery.lines.length <= share;
      this.#acknowledge(link, delivery, await this.#parts.runtime.call(link.object, "deliver", delivery, hasOwnBudget));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.mayRepeat = true;
      throw error;
    }
  }

  #acknowledge(link: DownstreamLink, delivery: Delivery, answer: DeliveryAnswer): void {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link);
      this.#ended(link.object);
      return;
    }
    if ("newer" in answer) {
      this.#newest = Math.max(this.#newest, answer.newer);
      return;
    }
    // The link was cut off during the call: the other object hasn't received all it was promised.
    if (link.loss) return;
    link.mayRepeat = false;
    if (link.hasRestarted) {
      // The answer may be from before the receiver crashed.
      link.hasRestarted = false;
      link.markUnknown(this.#channel.log);
      return;
    }
    const last = answer.last ?? delivery.after + delivery.count;
    if (!link.isPositionUnknown) link.acknowledged = last;
    else if (!link.resumeAt(last, this.#channel.log)) this.#cutOff(link);
    if (!link.hasPending(this.#channel.log)) this.trim();
  }

  /** Drops what every link has; if that isn't enough, cuts off the links that are furthest behind. */
  #shorten(last: number): void {
    this.trim();
    if (this.#channel.log.size <= this.#maxBuffered) return;
    const start = this.#channel.log.trimTo(this.#maxBuffered / 2) ?? last;
    for (const link of this.#links.values()) {
      if (!link.loss && link.acknowledged < start) this.#cutOff(link);
    }
  }

  #cutOff(link: DownstreamLink): void {
    this.#noteLoss(link);
    this.#parts.schedule.due(this.lossReportAt);
  }

  #noteLoss(link: DownstreamLink): void {
    const row = link.markLost(this.#parts.runtime.now());
    link.isLossUnwritten = !this.#parts.runtime.store.put(LINK + link.object, row);
  }

  #end(link: DownstreamLink): void {
    this.#links.delete(link.object);
    this.#parts.runtime.store.delete(LINK + link.object);
    if (this.#links.size > 0) return;
    this.#channel.log.trim(this.#channel.position ?? 0);
    this.isBusy = false;
    this.#setRow(undefined);
    this.#parts.runtime.store.delete(ORDER);
  }

  /** Writes what storage must know of the order, unless it has it. */
  #writeOrder(): void {
    if (this.#links.size === 0) return;
    // The row may only name stored positions.
    this.#channel.store();
    const { position, hasHistory } = this.#channel;
    // Pending deliveries don't matter if the object has a history.
    const row: OrderRow = hasHistory
      ? { position, busy: false, alarm: undefined, kept: true }
      : { position, busy: this.isBusy, alarm: this.#parts.runtime.alarmTime(), kept: false };
    if (!(this.#row && isSameOrder(this.#row, row)) && this.#parts.runtime.store.put(ORDER, row)) this.#setRow(row);
  }
}
