/** The schedule of one object: when it sends buffered lines, when its alarm goes off, and how long it stays in memory. */
import type { Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import type { CommandParts } from "../session/commands.ts";
import { Activity, type ActivityParts } from "./activity.ts";
import type { Alarm } from "./alarm.ts";

/** Turns of the event loop without an event after which no more events are expected to be queued. */
const QUIET_TURNS = 2;
/** The most turns for which buffered lines wait. */
const MAX_TURNS = 64;
/** Sockets that take some milliseconds to send to: after that many, clients' events are let in before the next flush. */
const MANY_SOCKETS = 250;

interface ScheduleParts extends ActivityParts, CommandParts {
  readonly runtime: Runtime;
  readonly alarm: Alarm;
}

export class ObjectSchedule extends Activity implements Schedule {
  readonly #parts: ScheduleParts;
  #isFlushDue = false;
  flushed = Promise.resolve();
  /** Settles when other events could come in after a large flush. */
  #rest: Promise<void> | undefined;

  constructor(parts: ScheduleParts) {
    super(parts);
    this.#parts = parts;
  }

  flush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.flushed = this.#flushWhenQuiet();
    this.#parts.runtime.keep(this.flushed);
  }

  /** Sends even if waiting fails, so that the next flush can begin. */
  async #flushWhenQuiet(): Promise<void> {
    const { connections, drain, pace } = this.#parts;
    try {
      await this.#rest;
      await this.#untilQuiet();
    } finally {
      const areMany = connections.due >= MANY_SOCKETS;
      this.#isFlushDue = false;
      while (!drain.send()) await drain.makeRoom();
      if (areMany) this.#rest = pace.admitEvents();
    }
  }

  /**
   * Turns the event loop until no new event comes in. A frame costs the same however many lines it has, so sending once
   * pays. A turn costs about as much as a send, so there are at most a quarter as many turns as sockets to send to. If
   * events still come in, the object is flooded: the runtime gets one chance to deliver all queued events, so that no
   * flood delays the flush for long.
   */
  async #untilQuiet(): Promise<void> {
    const { runtime } = this.#parts;
    let quiet = 0;
    for (let turn = 0, seen = this.count; quiet < QUIET_TURNS && turn < this.#maxTurns; turn++) {
      await runtime.turn();
      quiet = seen === this.count ? quiet + 1 : 0;
      seen = this.count;
    }
    if (quiet < QUIET_TURNS) await runtime.sleep(0);
  }

  get #maxTurns(): number {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, this.#parts.connections.due >> 2));
  }

  due(at: number): void {
    void this.#parts.alarm.due(at);
  }

  mark(): void {
    this.#parts.alarm.mark();
    this.stay();
  }

  get rest(): number | undefined {
    return this.#parts.alarm.rest;
  }

  set rest(time: number | undefined) {
    this.#parts.alarm.rest = time;
  }
}
