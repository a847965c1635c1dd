/** That things happen to an object, and that nothing has happened for a while. */
import type { Runtime } from "../runtime/runtime.ts";

/** How long after an event what must outlive this object's time in memory is written, in milliseconds. */
const SETTLE_AFTER = 1_000;

export interface ActivityEvents {
  /**
   * Some time has passed, a second at most.
   * @param milliseconds for which this object has been kept in memory since
   * @returns whether this object has to stay in memory for another second, though nothing may happen
   */
  passed(milliseconds: number): boolean;
  /** Nothing has happened for a second. */
  settle(): void;
}

export class Activity {
  readonly #runtime: Runtime;
  readonly #events: ActivityEvents;
  #count = 0;
  /** Events, and other work that must be settled. */
  #changes = 0;
  /** When the last event was, in milliseconds since 1970. */
  #last = 0;
  #settling = false;

  constructor(runtime: Runtime, events: ActivityEvents) {
    this.#runtime = runtime;
    this.#events = events;
  }

  /** How many events there have been. */
  get count(): number {
    return this.#count;
  }

  /** Notes an event. What must not be forgotten is written in a while; until then this object stays. */
  note(): void {
    this.#count += 1;
    this.settleLater();
  }

  /** Has the object settle a second from now, though no event has come: work of an earlier one has changed something. */
  settleLater(): void {
    this.#changes += 1;
    this.#last = this.#runtime.now();
    if (this.#settling) return;
    this.#settling = true;
    this.#wait(SETTLE_AFTER);
  }

  #wait(milliseconds: number): void {
    const before = this.#changes;
    const since = this.#runtime.now();
    this.#runtime.after(milliseconds, () => {
      const stays = this.#events.passed(this.#runtime.now() - since);
      if (stays || before !== this.#changes) {
        const quiet = this.#runtime.now() - this.#last;
        this.#wait(stays ? SETTLE_AFTER : Math.max(1, SETTLE_AFTER - quiet));
        return;
      }
      this.#settling = false;
      this.#events.settle();
    });
  }
}
