/**
 * Ends links that this object no longer needs. The row of a link stays in storage until the parent knows that the link
 * has ended: so a crash forgets none, and a parent that is unreachable is told later.
 */
import type { CounterReport } from "../runtime/calls.ts";
import { isNumber, isString, optional, shape } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { earliestRetry, isDue, type PendingRetry, postpone, retry } from "./retry.ts";

export const LINK = "upstream:";

/** The row of a requested link, under `upstream:<channel>`. */
export interface LinkRow {
  parent: string;
  epoch: number;
  /** Since when the parent couldn't be told that the link has ended, in milliseconds since 1970. */
  left?: number | undefined;
}

export const isLinkRow: (row: unknown) => row is LinkRow = shape({
  parent: isString,
  epoch: isNumber,
  left: optional(isNumber),
});

/** A link that has ended here. */
export interface EndedLink {
  readonly channel: string;
  readonly parent: string;
  readonly epoch: number;
  /** Settles when the parent has answered the request for the link. */
  readonly asking: Promise<void> | undefined;
  /** The counters that the parent is to add. */
  readonly counters?: CounterReport | undefined;
}

interface PendingUnlink extends EndedLink {
  counters: CounterReport | undefined;
  /** Set while the parent can't be told. */
  pendingRetry: PendingRetry | undefined;
  /** Whether the row says since when the parent couldn't be told. */
  isNoted: boolean;
  /** Whether the parent knows, and only the row is left to delete. */
  isKnown: boolean;
  isTelling: boolean;
}

export class Unlinks {
  readonly #parts: CoreParts;
  readonly #isNeeded: (channel: string) => boolean;
  /** By channel: one at a time has the row. */
  readonly #pending = new Map<string, PendingUnlink>();

  /** @param isNeeded returns whether the channel is about to be linked again: that request tells the parent too */
  constructor(parts: CoreParts, isNeeded: (channel: string) => boolean) {
    this.#parts = parts;
    this.#isNeeded = isNeeded;
  }

  /** Whether the row of a channel belongs to a link that has ended. */
  has(channel: string): boolean {
    return this.#pending.has(channel);
  }

  /**
   * Tells the parent that a link has ended.
   * @param left as in its row
   */
  begin(link: EndedLink, left?: number): void {
    this.#parts.runtime.keep(this.#untilKnown(this.#add(link, left)));
  }

  /** Tells the parent later: it doesn't answer, and may or may not have the link. */
  postpone(link: EndedLink): void {
    this.#defer(this.#add(link));
  }

  /** Deletes the row of a link whose end the parent knows. */
  finish(link: EndedLink): void {
    const pending = this.#add(link);
    pending.isKnown = true;
    this.#forget(pending);
  }

  /** Notes that a new link has overwritten the row of a channel. */
  replace(channel: string): void {
    this.#pending.delete(channel);
  }

  /** Retries the unlinks that are due. */
  retry(): void {
    const now = this.#parts.runtime.now();
    for (const pending of this.#unneeded) {
      const { isTelling, pendingRetry } = pending;
      if (!isTelling && pendingRetry && isDue(pendingRetry, now)) this.#parts.runtime.keep(this.#untilKnown(pending));
    }
  }

  get #unneeded(): PendingUnlink[] {
    return [...this.#pending.values()].filter(({ channel }) => !this.#isNeeded(channel));
  }

  /** When to call `retry`, in milliseconds since 1970; infinite if nothing is left to do. */
  get dueAt(): number {
    return earliestRetry(
      this.#unneeded.flatMap(({ pendingRetry }) => pendingRetry ?? []),
      this.#parts.runtime.now(),
    );
  }

  /**
   * Deletes rows that storage refused to delete, and persists whether it still has any.
   * @param isUnsure whether storage has rows of links that this object couldn't confirm
   */
  settle(isUnsure: boolean): void {
    for (const pending of [...this.#pending.values()]) if (pending.isKnown) this.#forget(pending);
    const areDoubtful = isUnsure || [...this.#pending.values()].some(({ isNoted }) => !isNoted);
    if (areDoubtful !== areRowsDoubtful(this.#parts.connections))
      this.#parts.connections.keep({ areRowsDoubtful: areDoubtful });
  }

  #add({ channel, parent, epoch, asking, counters }: EndedLink, left?: number): PendingUnlink {
    const pending = {
      channel,
      parent,
      epoch,
      asking,
      counters,
      pendingRetry: left === undefined ? undefined : { since: left, next: undefined },
      isNoted: left !== undefined,
      isKnown: false,
      isTelling: false,
    };
    this.#pending.set(channel, pending);
    return pending;
  }

  async #untilKnown(pending: PendingUnlink): Promise<void> {
    pending.isTelling = true;
    // An unlink that overtook the request for its link would leave the link behind.
    await pending.asking?.catch(() => {});
    try {
      await retry(this.#parts.runtime, () => this.#tell(pending));
    } catch {
      pending.isTelling = false;
      this.#defer(pending);
      return;
    }
    pending.isKnown = true;
    this.#forget(pending);
    this.#changed();
    // Hold the object in memory until the write commits.
    await this.#parts.runtime.store.sync();
  }

  /** Counters go with the first attempt only: if that fails, the parent may have added them. */
  async #tell(pending: PendingUnlink): Promise<void> {
    const { parent, epoch, counters } = pending;
    pending.counters = undefined;
    await this.#parts.runtime.call(parent, "unlink", { from: this.#parts.runtime.name, epoch, counters });
  }

  /** Notes in storage that the parent couldn't be told. */
  #defer(pending: PendingUnlink): void {
    if (this.#pending.get(pending.channel) !== pending) return;
    const now = this.#parts.runtime.now();
    const { channel, parent, epoch } = pending;
    pending.pendingRetry ??= { since: now, next: undefined };
    postpone(pending.pendingRetry, now);
    const row: LinkRow = { parent, epoch, left: pending.pendingRetry.since };
    pending.isNoted ||= this.#parts.runtime.store.put(LINK + channel, row);
    this.#changed();
  }

  #changed(): void {
    this.#parts.schedule.due(this.dueAt);
    this.#parts.schedule.stay();
  }

  #forget(pending: PendingUnlink): void {
    const { channel } = pending;
    if (this.#pending.get(channel) !== pending) return;
    if (this.#parts.runtime.store.delete(LINK + channel)) this.#pending.delete(channel);
  }
}

/** Whether storage has rows of links that may have ended: after hibernation they look like any others. */
export function areRowsDoubtful({ kept }: Keeper): boolean {
  return kept !== undefined && "areRowsDoubtful" in kept && kept.areRowsDoubtful === true;
}
