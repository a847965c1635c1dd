/** The time of a simulated world, and the timers of its clients and Workers. */

/** Something that can happen next. */
export interface Pending {
  label: string;
  happen(): void;
  isFault?: boolean;
  /** When it is due, in milliseconds. */
  at?: number;
}

interface Timer {
  owner: object;
  at: number;
  label: string;
  act(): void;
}

/** When a run begins, in milliseconds since 1970. */
const START = 1_700_000_000_000;

export class Clock {
  /** In whole milliseconds since 1970, as in the runtime. */
  now = START;
  readonly #timers = new Set<Timer>();

  /** Calls `act` once after a delay, in milliseconds, on behalf of an owner; returns a function that cancels it. */
  later(owner: object, label: string, milliseconds: number, act: () => void): () => void {
    if (!(milliseconds >= 0)) throw new Error(`a timer of ${milliseconds} ms`);
    const timer = { owner, at: Math.ceil(this.now + milliseconds), label, act };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Cancels the timers of an owner. */
  cancelAll(owner: object): void {
    for (const timer of this.#timers) if (timer.owner === owner) this.#timers.delete(timer);
  }

  /** The labels of an owner's timers. */
  of(owner: object): string[] {
    return [...this.#timers].filter((timer) => timer.owner === owner).map(({ label }) => label);
  }

  /** The timers, in the order in which they were set. */
  get timers(): Pending[] {
    return [...this.#timers].map((timer) => ({
      label: timer.label,
      at: timer.at,
      happen: () => {
        this.#timers.delete(timer);
        timer.act();
      },
    }));
  }
}
