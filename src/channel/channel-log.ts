/** One channel's messages at one object: their order and, at the channel's root, the retained messages. */
import { assert } from "../assert.ts";
import type { MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import { parentOf } from "../runtime/object-names.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { History, type HistoryEvents } from "./history.ts";
import { type AppendedMessages, Log } from "./log.ts";
import type { HistoryLimits } from "./retained.ts";
import { UnstoredPosition } from "./unstored-position.ts";

export class ChannelLog {
  readonly log = new Log(undefined);
  /** Undefined at a child: the channel's root retains its messages. */
  readonly history: History | undefined;
  readonly #unstored: UnstoredPosition;

  constructor(
    runtime: Runtime,
    limits: HistoryLimits,
    keeper: Keeper,
    schedule: Pick<Schedule, "due">,
    events: HistoryEvents,
  ) {
    this.#unstored = new UnstoredPosition(keeper);
    if (parentOf(runtime.name) === undefined) {
      this.history = new History(runtime, this.log, limits, keeper, schedule, events);
    }
  }

  /** Restores the retained messages from storage. */
  start(): void {
    this.history?.restore();
  }

  /** The position of the newest message; undefined while this object doesn't know it. */
  get position(): number | undefined {
    return this.log.position;
  }

  /** The newest position that storage refused before the object hibernated. */
  get unstoredPosition(): number | undefined {
    return this.#unstored.position;
  }

  /** Whether messages are retained. */
  get hasHistory(): boolean {
    return this.history?.isOn === true;
  }

  /** Continues after a position, unless the log is there already. */
  continueAfter(position: number | undefined): void {
    if (position === undefined || position === this.log.position) return;
    if (this.history) this.history.begin(position, position === this.#unstored.position);
    else this.log.begin(position);
  }

  /**
   * Gives messages the next positions.
   * @param hasLinks whether links need the messages; otherwise only retained messages stay in the log
   */
  append(lines: string, count: number, key: string | undefined, hasLinks: boolean): AppendedMessages {
    if (!hasLinks && !this.hasHistory) return this.log.skip(lines, count);
    const appended = this.log.append(lines, count, key);
    this.history?.indexKey(appended);
    return appended;
  }

  /** Appends messages that the parent has delivered, which keep their positions. */
  relay(lines: string, count: number, after: number, hasLinks: boolean): AppendedMessages {
    if (this.log.position === undefined) this.log.begin(after);
    assert(this.log.position === after, "a parent's messages follow the newest one here");
    return this.append(lines, count, undefined, hasLinks);
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

  /**
   * Deletes the rows of expired messages, and the expired position.
   * @param isCounted whether clients count positions from the newest one, so that it can't expire
   */
  expire(isCounted: boolean): void {
    this.history?.expire(isCounted);
  }

  /**
   * Stores the newest position before the object leaves memory, if storage refused it before.
   * @param isCounted whether clients count positions from the newest one
   */
  settle(isCounted: boolean): void {
    this.history?.settle(isCounted);
  }

  /**
   * Saves the newest position in a socket's attachment if storage refused it.
   * @param isOrderStored whether storage has the position that links need
   * @returns whether nothing is left to save
   */
  saveUnstored(isOrderStored: boolean): boolean {
    const isStored = isOrderStored && this.history?.isStored !== false;
    return this.#unstored.save(isStored ? undefined : this.log.position);
  }
}
