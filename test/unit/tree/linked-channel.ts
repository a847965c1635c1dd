/** One channel's log and links, used together as a router does. */
import { ChannelLog } from "../../../src/channel/channel-log.ts";
import type { HistoryLimits } from "../../../src/channel/retained.ts";
import type { Keeper, Runtime } from "../../../src/runtime/runtime.ts";
import type { Schedule } from "../../../src/runtime/schedule.ts";
import { Downstream } from "../../../src/tree/downstream.ts";

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

export class LinkedChannel {
  readonly channel: ChannelLog;
  readonly downstream: Downstream;
  readonly schedule: Schedule;

  constructor(runtime: Runtime, maxBuffered: number, limits: HistoryLimits, handlers: Handlers, keeper: Keeper) {
    this.schedule = scheduleOf(handlers);
    const renumbered = (position: number, count: number) => {
      this.downstream.scheduleDelivery();
      handlers.renumbered?.(position, count);
    };
    const parts = { runtime, schedule: this.schedule, connections: keeper, limits: { maxBufferedBytes: maxBuffered } };
    this.channel = new ChannelLog(parts, limits, renumbered);
    const ended = (object: string) => handlers.ended?.(object);
    this.downstream = new Downstream(parts, this.channel, ended);
    this.channel.history?.restore();
    this.downstream.start();
  }

  get log() {
    return this.channel.log;
  }

  get history() {
    return this.channel.history;
  }

  append(lines: string, count: number, key?: string) {
    return this.downstream.append(lines, count, key);
  }

  relay(lines: string, count: number, after: number): void {
    this.downstream.relay(lines, count, after);
  }

  renumber(position: number): void {
    this.channel.renumber(position);
    this.downstream.scheduleDelivery();
  }

  locate() {
    return this.channel.locate();
  }

  readMissed(...missing: Parameters<ChannelLog["readMissed"]>) {
    return this.channel.readMissed(...missing);
  }

  store(): void {
    this.channel.store();
  }

  expire(isCounted: boolean): void {
    this.channel.history?.expire(isCounted);
    this.downstream.trim();
  }

  flush(): void {
    this.downstream.flush();
  }

  link(...request: Parameters<Downstream["link"]>) {
    return this.downstream.link(...request);
  }

  unlink(...request: Parameters<Downstream["unlink"]>) {
    return this.downstream.unlink(...request);
  }

  settle(isCounted: boolean) {
    return this.downstream.settle(isCounted);
  }

  loseAll(): void {
    this.downstream.loseAll();
  }

  reportLosses(): void {
    this.downstream.reportLosses();
  }

  get lossReportAt() {
    return this.downstream.lossReportAt;
  }

  get isBusy() {
    return this.downstream.isBusy;
  }

  get size() {
    return this.downstream.size;
  }

  get objects() {
    return this.downstream.objects;
  }

  epochOf(object: string) {
    return this.downstream.linkTo(object)?.epoch;
  }

  vouchFor(object: string) {
    return this.downstream.linkTo(object)?.vouched;
  }

  acknowledgedBy(object: string) {
    return this.downstream.linkTo(object)?.acknowledged;
  }
}
