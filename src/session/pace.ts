/**
 * Limits how long commands run before the object receives other events: one frame may contain thousands of commands, and
 * hundreds of frames may be pending.
 */
import type { SessionParts } from "./parts.ts";

export class Pace {
  readonly #parts: SessionParts;
  /** Work since the object last received events, in microseconds or so. */
  #work = 0;
  #pause: Promise<void> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Resets the work: the object receives a client's event, so it has received all earlier ones. */
  begin(): void {
    this.#work = 0;
  }

  /**
   * Counts the work of a step.
   * @param needsRoom whether the next step should wait until all published lines are sent
   * @returns a promise that resolves when the next step may run; undefined if that's now
   */
  after(work: number, needsRoom: boolean): Promise<void> | undefined {
    this.#work += work;
    const { connections, schedule, limits } = this.#parts;
    const room = needsRoom && connections.isBlocked ? schedule.flushed : undefined;
    if (room ?? this.#work >= limits.maxWork) this.#pause ??= this.#rest(room);
    return this.#pause;
  }

  async #rest(room: Promise<void> | undefined): Promise<void> {
    await room;
    await this.admitEvents();
    this.#pause = undefined;
    this.#work = 0;
  }

  /**
   * Lets the object receive events. A timer makes the runtime look for them; otherwise it may run all ready promises
   * first. Until the timer fires it delivers none, and then one frame per client, so that a flood doesn't pile up here.
   */
  admitEvents(): Promise<void> {
    return this.#parts.runtime.hold(() => this.#parts.runtime.sleep(0));
  }
}
