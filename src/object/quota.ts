/**
 * Limits the connections of the whole service. The root of `all` counts them: every object reports how many connections
 * it has, and asks before it takes more.
 */
import type { ConnectionClaim } from "../runtime/calls.ts";
import { isNumber, rowOf } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";

const HELD = "held:";

interface Entry {
  connections: number;
  /** The number of the newest claim. */
  number: number;
}

export class Quota {
  readonly #runtime: Runtime;
  readonly #limit: number;
  readonly #recount: (object: string) => Promise<void>;
  /** By object. */
  readonly #held = new Map<string, Entry>();
  #total = 0;
  #isRecounting = false;

  /** @param recount makes an object claim its connections again */
  constructor(runtime: Runtime, limit: number, recount: (object: string) => Promise<void>) {
    this.#runtime = runtime;
    this.#limit = limit;
    this.#recount = recount;
  }

  /** Restores what objects have claimed. */
  start(): void {
    for (const [key, value] of this.#runtime.store.list(HELD)) {
      const connections = rowOf(value, isNumber) ?? 0;
      this.#held.set(key.slice(HELD.length), { connections, number: 0 });
      this.#total += connections;
    }
  }

  /** Notes the connections of an object; returns how many of the wanted ones are granted. */
  claim({ from, number, held, wanted }: ConnectionClaim): number {
    const known = this.#held.get(from) ?? { connections: 0, number: 0 };
    // The sender has given this claim up and made a newer one.
    if (number <= known.number) return 0;
    const room = Math.max(0, this.#limit - (this.#total - known.connections) - held);
    const granted = Math.min(wanted, room);
    this.#note(from, { connections: held + granted, number });
    if (granted < wanted && !this.#isRecounting) this.#runtime.keep(this.#recountAny());
    return granted;
  }

  /** Asks a random object to claim again: it may have crashed and lost connections. */
  async #recountAny(): Promise<void> {
    const objects = [...this.#held.keys()];
    const object = objects[Math.floor(this.#runtime.random() * objects.length)];
    if (object === undefined) return;
    this.#isRecounting = true;
    await this.#recount(object).catch(() => {});
    this.#isRecounting = false;
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
