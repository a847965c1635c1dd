/** One channel's messages at one object: their order and, at the channel's root, the retained messages. */
import type { MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import { parentOf } from "../runtime/object-names.ts";
import { isNumber } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { History, type Renumbered } from "./history.ts";
import { type AppendedMessages, Log } from "./log.ts";
import type { HistoryLimits } from "./retained.ts";

export class ChannelLog {
  readonly log = new Log(undefined);
  /** Undefined at a child: the channel's root retains its messages. */
  readonly history: History | undefined;
  readonly #keeper: Keeper;

  constructor(parts: CoreParts, limits: HistoryLimits, renumbered: Renumbered) {
    this.#keeper = parts.connections;
    if (parentOf(parts.runtime.name) === undefined) this.history = new History(parts, this.log, limits, renumbered);
  }

  /** The position of the newest message; undefined while this object doesn't know it. */
  get position(): number | undefined {
    return this.log.position;
  }

  /** Whether messages are retained. */
  get hasHistory(): boolean {
    return this.history?.isOn === true;
  }

  /** Continues after a position, unless the log is there already. */
  continueAfter(position: number | undefined): void {
    if (position === undefined || position === this.log.position) return;
    if (this.history) this.history.begin(position, position === this.unstoredPosition);
    else this.log.begin(position);
  }

  /**
   * Gives messages the next positions.
   * @param hasLinks whether links need the messages; otherwise only retained messages stay in the log
   */
  append(lines: string, count: number, key: string | undefined, hasLinks: boolean): AppendedMessages {
    if (!hasLinks && !this.hasHistory) return this.log.skip(lines, count);
    const appended = this.log.append(lines, count, key);
    this.history?.index.indexKey(appended);
    return appended;
  }

  /** Continues after the position to which the root has moved, because its storage refuses rows. */
  renumber(position: number): void {
    if (this.log.position === undefined) this.log.begin(position);
    else this.log.renumber(this.log.position, position);
  }

  /** Returns the newest position, and retains it for the client that will count positions from it. */
  locate(): number | undefined {
    this.store(true);
    return this.log.position;
  }

  /** Returns the retained messages after a position, and at least the newest ones that the request asks for. */
  readMissed(missing: MissedRequest): MissedAnswer {
    this.store(true);
    return this.history?.readMissed(missing) ?? { none: true };
  }

  /**
   * Stores the messages to retain; the platform holds back output until they are durable.
   * @param sendsPosition whether the newest position is about to be sent to a client, even if there is no message
   */
  store(sendsPosition = false): void {
    this.history?.store(sendsPosition);
  }

  /** The newest position, which storage refused before the object hibernated; undefined if storage has it. */
  get unstoredPosition(): number | undefined {
    const { kept } = this.#keeper;
    return kept && "position" in kept && isNumber(kept.position) ? kept.position : undefined;
  }

  /**
   * Saves the newest position in a socket's attachment if storage refused it.
   * @param isOrderStored whether storage has the position that links need
   * @returns whether nothing is left to save
   */
  saveUnstored(isOrderStored: boolean): boolean {
    const position = isOrderStored && !this.history?.isRefused ? undefined : this.log.position;
    return position === this.unstoredPosition || this.#keeper.keep({ position }) || position === undefined;
  }
}
