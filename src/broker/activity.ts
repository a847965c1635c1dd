/** That things happen to an object, and that nothing has happened for a while. */
import type { World } from "../links/world.ts";

/** How long after an event what must outlive this object's time in memory is written, in milliseconds. */
const SETTLE_AFTER = 1_000;

export interface ActivityEvents {
  /**
   * A second has passed, the `seconds`th in a row in which this object has stayed in memory.
   * @returns whether it has to stay for another one, though nothing may happen
   */
  passed(seconds: number): boolean;
  /** Nothing has happened for a second. */
  settle(): void;
}

export class Activity {
  readonly #world: World;
  readonly #events: ActivityEvents;
  #count = 0;
  #settling = false;

  constructor(world: World, events: ActivityEvents) {
    this.#world = world;
    this.#events = events;
  }

  /** How many events there have been. */
  get count(): number {
    return this.#count;
  }

  /** Notes an event. What must not be forgotten is written in a while; until then this object stays. */
  note(): void {
    this.#count += 1;
    if (this.#settling) return;
    this.#settling = true;
    this.#wait(1);
  }

  #wait(seconds: number): void {
    const before = this.#count;
    this.#world.after(SETTLE_AFTER, () => {
      const stays = this.#events.passed(seconds);
      if (stays || before !== this.#count) {
        this.#wait(seconds + 1);
        return;
      }
      this.#settling = false;
      this.#events.settle();
    });
  }
}
