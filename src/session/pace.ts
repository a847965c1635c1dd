/**
 * Limits how much work clients cause before other events can come in: one client's frame may hold thousands of commands,
 * and hundreds of frames may wait for one answer.
 */
import type { Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";

export class Pace {
  readonly #runtime: Pick<Runtime, "sleep" | "hold">;
  readonly #maxWork: number;
  readonly #schedule: Pick<Schedule, "flushed">;
  readonly #connections: { readonly areHeld: boolean };
  /** Work done since other events could come in. */
  #work = 0;
  #pause: Promise<void> | undefined;

  /** @param maxWork work that is done at a time, in about microseconds */
  constructor(
    runtime: Pick<Runtime, "sleep" | "hold">,
    maxWork: number,
    schedule: Pick<Schedule, "flushed">,
    connections: { readonly areHeld: boolean },
  ) {
    this.#runtime = runtime;
    this.#maxWork = maxWork;
    this.#schedule = schedule;
    this.#connections = connections;
  }

  /** A client's event has come in, so others could too. */
  begin(): void {
    this.#work = 0;
  }

  /**
   * Counts the work of a step.
   * @param needsRoom whether the next step should wait until everything published before has been sent
   * @returns a promise that resolves when the next step may run; undefined if that's now
   */
  after(work: number, needsRoom: boolean): Promise<void> | undefined {
    this.#work += work;
    const room = needsRoom && this.#connections.areHeld ? this.#schedule.flushed : undefined;
    if (room ?? this.#work >= this.#maxWork) this.#pause ??= this.#rest(room);
    return this.#pause;
  }

  async #rest(room: Promise<void> | undefined): Promise<void> {
    await room;
    await this.letIn();
    this.#pause = undefined;
    this.#work = 0;
  }

  /**
   * Resolves when other events could come in. A timer makes the runtime look for events; otherwise it may run all
   * promises that are ready first. No event is delivered before the timer has gone off, and then one frame per client, so
   * that a flood doesn't pile up here.
   */
  letIn(): Promise<void> {
    return this.#runtime.hold(() => this.#runtime.sleep(0));
  }
}
