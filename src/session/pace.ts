/**
 * How much of what clients have sent is carried out before others can come in: one client's frame may hold thousands of
 * commands, and hundreds of frames may wait for one answer.
 */
import type { Runtime } from "../runtime/runtime.ts";

export class Pace {
  readonly #runtime: Pick<Runtime, "sleep" | "hold">;
  readonly #most: number;
  readonly #room: () => Promise<void> | undefined;
  /** Work done since others could come in. */
  #work = 0;
  #pause: Promise<void> | undefined;

  /**
   * @param most work that is done at a time, in microseconds or so
   * @param room returns what resolves when all that was published is sent; undefined if it is
   */
  constructor(runtime: Pick<Runtime, "sleep" | "hold">, most: number, room: () => Promise<void> | undefined) {
    this.#runtime = runtime;
    this.#most = most;
    this.#room = room;
  }

  /** A client's event comes in, so others that were there before could, too. */
  begin(): void {
    this.#work = 0;
  }

  /**
   * Counts the work of a step.
   * @param needsRoom whether the next step had better wait until all that was published is sent
   * @returns what resolves when there may be another step; undefined if that's now
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
   * Resolves when others could come in. A timer has the runtime look what there is, as it may do all that is ready
   * before. Nothing comes in until it has gone off, and then one frame of each client: a flood doesn't pile up here.
   */
  letIn(): Promise<void> {
    return this.#runtime.hold(() => this.#runtime.sleep(0));
  }
}
