/** Keeps the object in memory after an event, and settles it when nothing has changed for a second. */
import type { RawRuntime } from "../runtime/runtime.ts";

/** How long after the last change the object settles, in milliseconds. */
const SETTLE_AFTER = 1_000;

export interface ActivityParts {
  readonly runtime: Pick<RawRuntime, "now" | "after">;
  readonly upkeep: {
    /**
     * Called at least every second while the object is kept in memory.
     * @param milliseconds since the last call
     * @returns whether the object must stay in memory for another second
     */
    passed(milliseconds: number): boolean;
    /** Nothing has changed for a second. */
    settle(): void;
  };
}

export class Activity {
  readonly #parts: ActivityParts;
  /** The number of events so far. */
  count = 0;
  /** Events, and changes by work that outlasts its event. */
  #changes = 0;
  /** When the last change was, in milliseconds since 1970. */
  #last = 0;
  #isTiming = false;

  constructor(parts: ActivityParts) {
    this.#parts = parts;
  }

  /** Notes an event. The object stays in memory, and settles when nothing has changed for a second. */
  note(): void {
    this.count += 1;
    this.stay();
  }

  /** Notes a change that no event caused. */
  stay(): void {
    this.#changes += 1;
    this.#last = this.#parts.runtime.now();
    if (this.#isTiming) return;
    this.#isTiming = true;
    this.#wait(SETTLE_AFTER);
  }

  #wait(milliseconds: number): void {
    const { runtime, upkeep } = this.#parts;
    const before = this.#changes;
    const since = runtime.now();
    runtime.after(milliseconds, () => {
      const stays = upkeep.passed(runtime.now() - since);
      if (stays || before !== this.#changes) {
        const quiet = runtime.now() - this.#last;
        this.#wait(stays ? SETTLE_AFTER : Math.max(1, SETTLE_AFTER - quiet));
        return;
      }
      this.#isTiming = false;
      upkeep.settle();
    });
  }
}
