/** The traffic of this page's connections: message counts and delivery times. */

/** One second of traffic. */
export interface Second {
  received: number;
  sent: number;
  /** Median and largest delivery time, in milliseconds; null if no message was received. */
  median: number | null;
  largest: number | null;
}

/** Most announcements with remembered times. */
const MAX_REMEMBERED = 5_000;

export class Traffic {
  #received = 0;
  #sent = 0;
  #durations: number[] = [];
  /** When this page announced each message, by channel and text. */
  readonly #times = new Map<string, number>();

  sent(channel: string, text: string): void {
    this.#sent += 1;
    this.#times.set(`${channel} ${text}`, performance.now());
    if (this.#times.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#times.keys()) {
      this.#times.delete(oldest);
      return;
    }
  }

  /** @param isLate whether the message was delayed by an outage, so that its delivery time doesn't count */
  received(channel: string, text: string, isLate = false): void {
    this.#received += 1;
    if (isLate) return;
    const time = this.#times.get(`${channel} ${text}`);
    if (time !== undefined) this.#durations.push(performance.now() - time);
  }

  /** Returns the traffic since the previous call. */
  next(): Second {
    const durations = this.#durations.sort((one, other) => one - other);
    const median = durations[durations.length >> 1] ?? null;
    const second = { received: this.#received, sent: this.#sent, median, largest: durations.at(-1) ?? null };
    this.#received = this.#sent = 0;
    this.#durations = [];
    return second;
  }
}
