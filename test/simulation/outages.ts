/** Objects that others can't reach for a while. */

interface Outage {
  /** The caller that is cut off; undefined for all. */
  from: string | undefined;
  to: string;
  /** When it ends, in milliseconds. */
  until: number;
}

export class Outages {
  readonly #now: () => number;
  #outages: Outage[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Cuts an object off from one other object, or from all, until a time. */
  begin(to: string, from: string | undefined, until: number): void {
    this.#outages.push({ from, to, until });
  }

  /** Ends all outages. */
  end(): void {
    this.#outages = [];
  }

  /** Whether a call from one object to another would fail now. */
  isCut(from: string, to: string): boolean {
    return this.#current.some((outage) => outage.to === to && (outage.from ?? from) === from);
  }

  get #current(): Outage[] {
    if (this.#outages.length === 0) return this.#outages;
    this.#outages = this.#outages.filter(({ until }) => this.#now() < until);
    return this.#outages;
  }
}
