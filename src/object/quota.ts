/**
 * How many connections the whole service has, where that is limited. The root of `all` keeps the count:
 * every object says how many connections it holds, and asks before it takes more.
 */
import type { Claim } from "../runtime/calls.ts";
import { isNumber, rowOf } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";

const HELD = "held:";

interface Entry {
  connections: number;
  /** Of the newest claim. */
  number: number;
}

export class Quota {
  readonly #runtime: Runtime;
  readonly #limit: number;
  readonly #recount: (object: string) => Promise<void>;
  /** By object. */
  readonly #held = new Map<string, Entry>();
  #total = 0;
  #recounting = false;

  /** @param recount has an object claim anew */
  constructor(runtime: Runtime, limit: number, recount: (object: string) => Promise<void>) {
    this.#runtime = runtime;
    this.#limit = limit;
    this.#recount = recount;
    for (const [key, value] of runtime.store.list(HELD)) {
      const connections = rowOf(value, isNumber) ?? 0;
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
    if (granted < wanted && !this.#recounting) this.#runtime.keep(this.#recountAny());
    return granted;
  }

  /** Some object is asked whether it still has what it said: it may have crashed. */
  async #recountAny(): Promise<void> {
    const objects = [...this.#held.keys()];
    const object = objects[Math.floor(this.#runtime.random() * objects.length)];
    if (object === undefined) return;
    this.#recounting = true;
    await this.#recount(object).catch(() => {});
    this.#recounting = false;
  }

  #note(object: string, entry: Entry): void {
    const { store } = this.#runtime;
    this.#total += entry.connections - (this.#held.get(object)?.connections ?? 0);
    if (entry.connections > 0) {
      this.#held.set(object, entry);
      store.put(HELD + object, entry.connections);
    } else {
      this.#held.delete(object);
      store.delete(HELD + object);
    }
  }
}
