/** Objects that other objects can't reach for a while. */

interface Outage {
  /** Whose calls fail; undefined if all do. */
  from: string | undefined;
  to: string;
  /** When it is over, in milliseconds. */
  until: number;
}

export class Outages {
  readonly #now: () => number;
  #outages: Outage[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Cuts an object off from another one, or from all, until a time. */
  begin(to: string, from: string | undefined, until: number): void {
    this.#outages.push({ from, to, until });
  }

  /** Ends all of them. */
  end(): void {
    this.#outages = [];
  }

  /** Whether a call from one object to another one fails now. */
  isCut(from: string, to: string): boolean {
    return this.#current.some((outage) => outage.to === to && (outage.from ?? from) === from);
  }

  /** Whether there are any. */
  get areAny(): boolean {
    return this.#current.length > 0;
  }

  get #current(): Outage[] {
    if (this.#outages.length === 0) return this.#outages;
    this.#outages = this.#outages.filter(({ until }) => this.#now() < until);
    return this.#outages;
  }
}
