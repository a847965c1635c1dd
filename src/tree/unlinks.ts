/**
 * Links that this object no longer wants. Their rows stay in storage until the other ends know: so a crash forgets none
 * of them, and where the other end can't be reached, it is told later.
 */

import type { CounterReport } from "../runtime/calls.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import { firstTry, isDue, putOff, retry, type Undone } from "./retry.ts";

export const LINK = "upstream:";

/** What storage has of each link asked for, under `upstream:<channel>`. */
export interface LinkRow {
  parent: string;
  epoch: number;
  /** Since when the parent can't be told that the link has ended, in milliseconds since 1970. */
  left?: number | undefined;
}

export function isLinkRow(row: unknown): row is LinkRow {
  if (!isRecord(row) || typeof row.parent !== "string" || !isNumber(row.epoch)) return false;
  return row.left === undefined || isNumber(row.left);
}

/** A link that has ended here. */
export interface Ending {
  readonly channel: string;
  readonly parent: string;
  readonly epoch: number;
  /** Settles when the parent has answered the request for it. */
  readonly asking: Promise<void> | undefined;
  /** The counters that the parent is to add. */
  counters?: CounterReport | undefined;
}

interface Pending extends Ending {
  /** Set if the parent could not be told. */
  undone: Undone | undefined;
  hasRow: boolean;
  /** Whether that row says since when the parent could not be told. */
  isNoted: boolean;
  /** Whether the parent knows: all that is left is the row. */
  isKnown: boolean;
  /** Whether the parent is being told. */
  isTelling: boolean;
}

export class Endings {
  readonly #runtime: Runtime;
  readonly #keeper: Keeper;
  readonly #tell: (ending: Ending) => Promise<void>;
  readonly #isWanted: (channel: string) => boolean;
  readonly #onChange: () => void;
  /** By channel: one at a time has the row. */
  readonly #pending = new Map<string, Pending>();

  /**
   * @param keeper keeps what storage would not take while this object sleeps
   * @param tell tells the parent of a link that it has ended; throws if that does not answer
   * @param isWanted whether there is to be another link to a channel: asking for that tells the parent, too
   * @param onChange called when a parent has been told, and when it could not be: then that is due at `dueAt`
   */
  constructor(
    runtime: Runtime,
    keeper: Keeper,
    tell: (ending: Ending) => Promise<void>,
    isWanted: (channel: string) => boolean,
    onChange: () => void,
  ) {
    this.#runtime = runtime;
    this.#keeper = keeper;
    this.#tell = tell;
    this.#isWanted = isWanted;
    this.#onChange = onChange;
  }

  /** Whether the row of a channel is of a link that has ended. */
  has(channel: string): boolean {
    return this.#pending.has(channel);
  }

  /**
   * Ends a link, and tells its parent.
   * @param hasRow whether storage has a row of it
   * @param left as in that row
   */
  begin(ending: Ending, hasRow = true, left?: number): void {
    this.#runtime.keep(this.#untilKnown(this.#add(ending, hasRow, left)));
  }

  /** Ends a link of which nobody knows whether its parent has it, as that does not answer now. */
  postpone(ending: Ending): void {
    this.#defer(this.#add(ending, true));
  }

  /** Ends a link of which the parent knows. */
  finish(ending: Ending): void {
    const pending = this.#add(ending, true);
    pending.isKnown = true;
    this.#forget(pending);
  }

  /** Another link has its row in the same place now. */
  replace(channel: string): void {
    this.#pending.delete(channel);
  }

  /** Tries again what could not be done, if it is time to. */
  retry(): void {
    const now = this.#runtime.now();
    for (const pending of this.#untold) {
      const { isTelling, undone } = pending;
      if (!isTelling && undone && isDue(undone, now)) this.#runtime.keep(this.#untilKnown(pending));
    }
  }

  get #untold(): Pending[] {
    return [...this.#pending.values()].filter(({ channel }) => !this.#isWanted(channel));
  }

  /** When to call `retry`, in milliseconds since 1970; infinite if there is no need. */
  get dueAt(): number {
    return firstTry(
      this.#untold.flatMap(({ undone }) => undone ?? []),
      this.#runtime.now(),
    );
  }

  /**
   * Deletes rows again that storage would not delete; has it outlive sleep that there are such rows.
   * @param isUnsure whether storage has rows of links that this object could not make sure of
   */
  settle(isUnsure: boolean): void {
    for (const pending of [...this.#pending.values()]) if (pending.isKnown) this.#forget(pending);
    const isDoubtful = ({ hasRow, isNoted }: Pending) => hasRow && !isNoted;
    const areDoubtful = isUnsure || [...this.#pending.values()].some(isDoubtful);
    if (areDoubtful !== areRowsDoubtful(this.#keeper)) this.#keeper.keep({ areRowsDoubtful: areDoubtful });
  }

  #add({ channel, parent, epoch, asking, counters }: Ending, hasRow: boolean, left?: number): Pending {
    const pending = {
      channel,
      parent,
      epoch,
      asking,
      counters,
      undone: left === undefined ? undefined : { since: left, next: undefined },
      hasRow: hasRow || this.#pending.get(channel)?.hasRow === true,
      isNoted: left !== undefined,
      isKnown: false,
      isTelling: false,
    };
    this.#pending.set(channel, pending);
    return pending;
  }

  async #untilKnown(pending: Pending): Promise<void> {
    pending.isTelling = true;
    // An end that overtook the request for its link would leave that one behind.
    await pending.asking?.catch(() => {});
    try {
      await retry(this.#runtime, () => this.#tell(pending));
    } catch {
      pending.isTelling = false;
      this.#defer(pending);
      return;
    }
    pending.isKnown = true;
    this.#forget(pending);
    this.#onChange();
    // Nothing else may keep this object in memory until that is written.
    await this.#runtime.store.sync();
  }

  /** Notes that the parent can't be told, and since when. */
  #defer(pending: Pending): void {
    if (this.#pending.get(pending.channel) !== pending) return;
    const now = this.#runtime.now();
    const { channel, parent, epoch } = pending;
    pending.undone ??= { since: now, next: undefined };
    putOff(pending.undone, now);
    const row: LinkRow = { parent, epoch, left: pending.undone.since };
    pending.isNoted ||= this.#runtime.store.put(LINK + channel, row);
    pending.hasRow ||= pending.isNoted;
    this.#onChange();
  }

  #forget(pending: Pending): void {
    const { channel, hasRow } = pending;
    if (this.#pending.get(channel) !== pending) return;
    if (!hasRow || this.#runtime.store.delete(LINK + channel)) this.#pending.delete(channel);
  }
}

/** Whether storage has rows of links that may have ended, which an object that has slept can't tell from others. */
export function areRowsDoubtful({ kept }: Keeper): boolean {
  return kept !== undefined && "areRowsDoubtful" in kept && kept.areRowsDoubtful === true;
}
