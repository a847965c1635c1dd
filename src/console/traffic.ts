/** What goes over this page's own connections: how much, and how long it takes from one to the others. */

/** One second of it. */
export interface Second {
  heard: number;
  announced: number;
  /** Median and largest milliseconds from announcing to hearing; null if nothing came. */
  median: number | null;
  largest: number | null;
}

/** Announcements that are remembered, to know how long they take. */
const MOST_REMEMBERED = 5_000;

export class Traffic {
  #heard = 0;
  #announced = 0;
  #took: number[] = [];
  /** When each message was announced here, by its channel and text. */
  readonly #times = new Map<string, number>();

  announced(channel: string, text: string): void {
    this.#announced += 1;
    this.#times.set(`${channel} ${text}`, performance.now());
    if (this.#times.size <= MOST_REMEMBERED) return;
    for (const oldest of this.#times.keys()) {
      this.#times.delete(oldest);
      return;
    }
  }

  /** @param isLate whether that tells nothing of how long messages take */
  heard(channel: string, text: string, isLate = false): void {
    this.#heard += 1;
    if (isLate) return;
    const time = this.#times.get(`${channel} ${text}`);
    if (time !== undefined) this.#took.push(performance.now() - time);
  }

  /** What has been since it was asked last. */
  take(): Second {
    const took = this.#took.sort((one, other) => one - other);
    const median = took[took.length >> 1] ?? null;
    const second = { heard: this.#heard, announced: this.#announced, median, largest: took.at(-1) ?? null };
    this.#heard = this.#announced = 0;
    this.#took = [];
    return second;
  }
}
