/** One channel's log and links, used together as a router does. */
import { ChannelLog } from "../../../src/channel/channel-log.ts";
import type { HistoryLimits } from "../../../src/channel/retained.ts";
import type { Keeper, Runtime } from "../../../src/runtime/runtime.ts";
import type { Schedule } from "../../../src/runtime/schedule.ts";
import { Downstream } from "../../../src/tree/downstream.ts";
import type { Receiver } from "../../../src/tree/upstream.ts";

/** Callbacks of the test; by default, none. */
export interface Handlers {
  mark?: () => void;
  due?: (at: number) => void;
  flush?: () => void;
  renumbered?: (position: number, count: number) => void;
  ended?: (object: string) => void;
}

export function scheduleOf({ mark = () => {}, due = () => {}, flush = () => {} }: Handlers = {}): Schedule {
  return { mark, due, flush, stay: () => {}, flushed: Promise.resolve(), rest: undefined };
}

export class LinkedChannel extends Downstream {
  readonly channel: ChannelLog;
  readonly schedule: Schedule;

  constructor(runtime: Runtime, maxBuffered: number, limits: HistoryLimits, handlers: Handlers, keeper: Keeper) {
    const schedule = scheduleOf(handlers);
    const renumbered = (position: number, count: number) => {
      this.scheduleDelivery();
      handlers.renumbered?.(position, count);
    };
    const parts = { runtime, schedule, connections: keeper, limits: { maxBufferedBytes: maxBuffered } };
    const channel = new ChannelLog(parts, limits, renumbered);
    super(parts, channel, (object) => handlers.ended?.(object));
    this.schedule = schedule;
    this.channel = channel;
    this.channel.history?.restore();
    this.start();
  }

  get log() {
    return this.channel.log;
  }

  expire(isCounted: boolean): void {
    this.channel.history?.expire(isCounted);
    this.trim();
  }

  epochOf(object: string) {
    return this.linkTo(object)?.epoch;
  }

  vouchFor(object: string) {
    return this.linkTo(object)?.vouched;
  }

  acknowledgedBy(object: string) {
    return this.linkTo(object)?.acknowledged;
  }
}

/** Returns the receiver of an object's links; by default, the object subscribes to every channel and ignores what it gets. */
export function receiverOf(some: Partial<Receiver> = {}): Receiver {
  const ignore = () => {};
  return { needs: () => true, receive: ignore, renumber: ignore, lose: ignore, takeCounters: () => undefined, ...some };
}
