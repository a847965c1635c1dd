/**
 * How many connections the whole service has, where that is limited. The root of `all` keeps the count:
 * every object says how many connections it holds, and asks before it takes more.
 */
import { ATTEMPTS, backoff, type Claim, countFailure, type World } from "./links.ts";

const HELD = "held:";
const TOLD = "told";

interface Entry {
  connections: number;
  /** Of the newest claim. */
  number: number;
}

/** The count, kept by the root of `all`. */
export class Quota {
  readonly #store: World["store"];
  readonly #limit: number;
  /** By object. */
  readonly #held = new Map<string, Entry>();
  #total = 0;

  constructor(store: World["store"], limit: number) {
    this.#store = store;
    this.#limit = limit;
    for (const [key, connections] of store.list<number>(HELD)) {
      this.#held.set(key.slice(HELD.length), { connections, number: 0 });
      this.#total += connections;
    }
  }

  /** Notes what an object holds; says how many it may take of those that it wants. */
  claim({ from, number, held, wanted }: Claim): number {
    const known = this.#held.get(from) ?? { connections: 0, number: 0 };
    // Its sender has given it up, and has claimed anew since.
    if (number <= known.number) return 0;
    const room = Math.max(0, this.#limit - (this.#total - known.connections) - held);
    const granted = Math.min(wanted, room);
    this.#note(from, { connections: held + granted, number });
    return granted;
  }

  /** Any object, to be asked whether it still holds what it said. */
  any(): string | undefined {
    return [...this.#held.keys()][Math.floor(Math.random() * this.#held.size)];
  }

  #note(object: string, entry: Entry): void {
    this.#total += entry.connections - (this.#held.get(object)?.connections ?? 0);
    if (entry.connections > 0) {
      this.#held.set(object, entry);
      this.#store.put(HELD + object, entry.connections);
    } else {
      this.#held.delete(object);
      this.#store.delete(HELD + object);
    }
  }
}

/** What an object claims for its own connections. */
export class Claims {
  readonly #world: World;
  readonly #ask: (claim: Claim) => Promise<number>;
  readonly #unfinished: () => void;
  #held: number;
  #told: number;
  #newest = 0;
  #waiting: ((admitted: boolean) => void)[] = [];
  #asking = false;

  /**
   * @param held connections that are there already
   * @param ask makes a claim at the root of `all`
   * @param unfinished called when that does not answer: `recount` is to be called later
   */
  constructor(world: World, held: number, ask: (claim: Claim) => Promise<number>, unfinished: () => void) {
    this.#world = world;
    this.#held = held;
    this.#ask = ask;
    this.#unfinished = unfinished;
    this.#told = world.store.get<number>(TOLD) ?? 0;
    this.#report();
  }

  /** Asks for one more connection. While there is no answer to be had it is admitted. */
  admit(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#report();
    });
  }

  /** One that was admitted has gone. */
  release(): void {
    this.#held -= 1;
    this.#report();
  }

  /** Claims anew, whatever the root of `all` knows. */
  recount(): void {
    this.#told = Number.NaN;
    this.#report();
  }

  /** Tells the root of `all` what it does not know yet. */
  #report(): void {
    if (this.#asking || this.#isKnown) return;
    this.#asking = true;
    this.#world.keep(this.#untilKnown());
  }

  get #isKnown(): boolean {
    return this.#waiting.length === 0 && this.#told === this.#held;
  }

  async #untilKnown(): Promise<void> {
    // What changes in the same turn goes out together.
    await undefined;
    for (let failures = 0; !this.#isKnown && failures < ATTEMPTS; ) {
      const asking = this.#waiting;
      this.#waiting = [];
      try {
        await this.#claim(asking);
        failures = 0;
      } catch (error) {
        failures = countFailure(failures, error);
        this.#waiting.unshift(...asking);
        if (failures < ATTEMPTS) await this.#world.sleep(backoff(failures));
      }
    }
    this.#asking = false;
    if (this.#isKnown) return;
    this.#admit(this.#waiting.splice(0), Number.POSITIVE_INFINITY);
    this.#unfinished();
  }

  async #claim(asking: ((admitted: boolean) => void)[]): Promise<void> {
    this.#newest = Math.max(this.#newest + 1, this.#world.now());
    const claim = { from: this.#world.name, number: this.#newest, held: this.#held, wanted: asking.length };
    const granted = await this.#ask(claim);
    this.#told = claim.held + granted;
    if (this.#told === 0) this.#world.store.delete(TOLD);
    else this.#world.store.put(TOLD, this.#told);
    this.#admit(asking, granted);
  }

  #admit(asking: ((admitted: boolean) => void)[], granted: number): void {
    this.#held += Math.min(asking.length, granted);
    for (const [i, answer] of asking.entries()) answer(i < granted);
  }
}
