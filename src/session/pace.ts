/**
 * Limits how long commands run before the object receives other events: one frame may contain thousands of commands, and
 * hundreds of frames may be pending.
 */
import type { Runtime } from "../runtime/runtime.ts";

export class Pace {
  readonly #runtime: Pick<Runtime, "sleep" | "hold">;
  readonly #most: number;
  readonly #room: () => Promise<void> | undefined;
  /** Work since the object last received events, in microseconds or so. */
  #work = 0;
  #pause: Promise<void> | undefined;

  /**
   * @param most work between two pauses, in microseconds or so
   * @param room returns a promise that resolves when all published lines are sent; undefined if they are
   */
  constructor(runtime: Pick<Runtime, "sleep" | "hold">, most: number, room: () => Promise<void> | undefined) {
    this.#runtime = runtime;
    this.#most = most;
    this.#room = room;
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
    const room = needsRoom ? this.#room() : undefined;
    if (room ?? this.#work >= this.#most) this.#pause ??= this.#rest(room);
    return this.#pause;
  }

  async #rest(room: Promise<void> | undefined): Promise<void> {
    await room;
    await this.letIn();
    this.#pause = undefined;
    this.#work = 0;
  }

  /**
   * Lets the object receive events. A timer makes the runtime look for them, which it may not do while other work is
   * ready. Until the timer fires it delivers none, and then one frame per client: a flood doesn't pile up here.
   */
  letIn(): Promise<void> {
    return this.#runtime.hold(() => this.#runtime.sleep(0));
  }
}
