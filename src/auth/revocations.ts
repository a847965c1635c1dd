/** Which tokens are revoked: those of a subject that were issued before it was revoked. */
import type { Grants } from "./grants.ts";

/** A subject whose tokens have been revoked. */
export interface Revocation {
  /** The claim `sub` of the tokens. */
  sub: string;
  /** When they were revoked, in Unix seconds: tokens issued in that second or earlier are invalid. */
  before: number;
  /** When they have expired, and this is forgotten, in milliseconds since 1970. */
  until: number;
  /** Rises from revocation to revocation. */
  number: number;
}

/** How long a list of revocations is used before it is fetched again, in milliseconds. */
const FRESH_FOR = 5_000;

/** The revocations that an isolate or an object knows. The root of `all` knows them all. */
export class Revocations {
  readonly #fetch: (after: number) => Promise<Revocation[]>;
  readonly #now: () => number;
  readonly #bySub = new Map<string, Revocation>();
  /** The newest number of a fetched list. */
  #newest = 0;
  /** When the list was fetched, in milliseconds since 1970. */
  #fetched = 0;

  /** @param fetch returns the revocations whose number is higher than `after` */
  constructor(fetch: (after: number) => Promise<Revocation[]>, now: () => number) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Fetches the newest revocations, unless that was done in the last seconds. @throws if they can't be fetched */
  async refresh(): Promise<void> {
    const age = this.#now() - this.#fetched;
    if (age < 0 || age >= FRESH_FOR) await this.fetch();
  }

  /** Fetches the newest revocations. @throws if they can't be fetched */
  async fetch(): Promise<void> {
    const began = this.#now();
    const revocations = await this.#fetch(this.#newest);
    this.add(revocations);
    // Only a fetched list is complete up to its newest number.
    for (const { number } of revocations) this.#newest = Math.max(this.#newest, number);
    this.#fetched = began;
  }

  /** Adds revocations; earlier ones may be missing still. */
  add(revocations: Revocation[]): void {
    const now = this.#now();
    for (const revocation of revocations) {
      const known = this.#bySub.get(revocation.sub);
      if (!known || known.number < revocation.number) this.#bySub.set(revocation.sub, revocation);
    }
    for (const [sub, { until }] of this.#bySub) if (until <= now) this.#bySub.delete(sub);
  }

  /** Whether the token of these grants is revoked. A token without `iat` counts as old. */
  isRevoked({ sub, iat = 0 }: Pick<Grants, "sub" | "iat">): boolean {
    const revocation = sub === undefined ? undefined : this.#bySub.get(sub);
    return revocation !== undefined && iat < revocation.before + 1;
  }
}
