/** The schedule of one object: its alarm, its flushes, and how long it stays in memory. */
import type { Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { Activity, type ActivityEvents } from "./activity.ts";
import type { Alarm } from "./alarm.ts";
import { Flush, type Sender } from "./flush.ts";

export class ObjectSchedule implements Schedule {
  readonly #alarm: Alarm;
  readonly #activity: Activity;
  readonly #flush: Flush;

  constructor(runtime: Runtime, alarm: Alarm) {
    this.#alarm = alarm;
    this.#activity = new Activity(runtime);
    this.#flush = new Flush(runtime, this.#activity);
  }

  /** Begins to settle the object by `upkeep`, and to flush by `sender`. */
  start(upkeep: ActivityEvents, sender: Sender): void {
    this.#activity.start(upkeep);
    this.#flush.start(sender);
  }

  /** Notes an event: a flush waits for events that follow it closely. */
  note(): void {
    this.#activity.note();
  }

  flush(): void {
    this.#flush.soon();
  }

  get flushed(): Promise<void> {
    return this.#flush.done;
  }

  stay(): void {
    this.#activity.stay();
  }

  due(at: number): void {
    void this.#alarm.due(at);
  }

  mark(): void {
    this.#alarm.mark();
    this.#activity.stay();
  }

  get rest(): number | undefined {
    return this.#alarm.rest;
  }

  set rest(time: number | undefined) {
    this.#alarm.rest = time;
  }
}
