/** The objects of a simulated service: their lives, and the world that each lives in. */
import type { Verify } from "../../src/auth/verify.ts";
import { Broker } from "../../src/broker/broker.ts";
import type { Limits } from "../../src/broker/limits.ts";
import type { Answering, Calls } from "../../src/links/messages.ts";
import { parentOf } from "../../src/links/names.ts";
import { isRecord } from "../../src/links/rows.ts";
import type { World } from "../../src/links/world.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { type Rarity, SimulatedSocket } from "./client.ts";
import { type Action, Network } from "./network.ts";
import { storeOf } from "./store.ts";

/** One life of an object: from its waking to its crash or sleep. */
interface Life {
  broker: Broker;
  /** Timers, calls and other work that keep it in memory. */
  work: number;
  over: boolean;
}

export class SimulatedObject {
  readonly name: string;
  readonly rows = new Map<string, unknown>();
  sockets: SimulatedSocket[] = [];
  life: Life | undefined;
  alarm: number | undefined;
  /** The epoch of its newest link to each object that it has been told of. */
  readonly linked = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }
}

/** What is the same for all objects. */
export interface Rules {
  now(): number;
  /** Picks one of `among` things: a number from 0 to `among - 1`. */
  choose(among: number): number;
  limits: Limits;
  verify: Verify | undefined;
  meet(rarity: Rarity): void;
  /** Whether calls fail and objects crash. */
  withFaults: boolean;
}

export class Objects {
  readonly network = new Network();
  /** What is to happen later, in the order in which it was said. */
  readonly timers: Action[] = [];
  readonly #rules: Rules;
  readonly #byName = new Map<string, SimulatedObject>();

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  [Symbol.iterator](): Iterator<SimulatedObject> {
    return this.#byName.values();
  }

  of(name: string): SimulatedObject {
    const known = this.#byName.get(name);
    if (known) return known;
    const object = new SimulatedObject(name);
    this.#byName.set(name, object);
    return object;
  }

  /** The object itself, brought into memory if it is not there. */
  wake(name: string): Broker {
    return this.#alive(this.of(name)).broker;
  }

  /** Has an object leave memory. */
  end(object: SimulatedObject): void {
    if (object.life) object.life.over = true;
    object.life = undefined;
  }

  /** Ends an object and its connections; its storage stays. */
  crash(object: SimulatedObject): void {
    this.end(object);
    this.network.crash(object.name);
    for (const socket of object.sockets) {
      if (socket.open) socket.client.ended(1006, "");
      socket.open = false;
    }
    object.sockets = [];
  }

  #alive(object: SimulatedObject): Life {
    if (object.life) return object.life;
    const life: Life = { broker: Object.create(Broker.prototype), work: 0, over: false };
    object.life = life;
    const sockets = {
      acceptWebSocket: (socket: Socket) => {
        if (socket instanceof SimulatedSocket) object.sockets.push(socket);
      },
      getWebSockets: () => object.sockets.filter(({ open }) => open),
    };
    const { limits, verify } = this.#rules;
    life.broker = new Broker(this.#worldOf(object, life), sockets, limits, verify);
    return life;
  }

  #worldOf(object: SimulatedObject, life: Life): World {
    const after = (milliseconds: number, act: () => void) => {
      life.work += 1;
      const happen = () => {
        if (life.over) return;
        life.work -= 1;
        act();
      };
      this.timers.push({ label: `${object.name} after ${milliseconds} ms`, happen });
    };
    return {
      name: object.name,
      store: storeOf(object.rows),
      call: (name, kind, ask) => this.#call(object, life, name, kind, ask),
      now: () => this.#rules.now(),
      random: () => this.#rules.choose(64) / 64,
      after,
      turn: () => new Promise((resolve) => after(0, resolve)),
      sleep: (milliseconds) => new Promise((resolve) => after(milliseconds, resolve)),
      keep: (work) => {
        life.work += 1;
        const ended = () => {
          life.work -= 1;
        };
        work.then(ended, ended);
      },
      alarm: (time) => {
        object.alarm = time;
      },
    };
  }

  async #call<Name extends keyof Calls>(
    from: SimulatedObject,
    life: Life,
    to: string,
    name: Name,
    ask: Calls[Name]["ask"],
  ): Promise<Calls[Name]["answer"]> {
    const asked = structuredClone(ask);
    const carryOut = () => {
      const answering: Answering = this.wake(to);
      return answering[name](asked);
    };
    const label = `${from.name} -> ${to}: ${name} ${JSON.stringify(ask) ?? ""}`;
    const answer = await this.network.call<Calls[Name]["answer"]>(label, to, carryOut, () => life.over);
    const { after } = properties(answer);
    const { epoch } = properties(ask);
    // The answer to an older request may come last.
    const newest = Math.max(from.linked.get(to) ?? 0, Number(epoch));
    if (name === "link" && after !== undefined) from.linked.set(to, newest);
    this.#noteRarities(from.name, name, ask, answer);
    return answer;
  }

  #noteRarities(from: string, name: keyof Calls, ask: unknown, answer: unknown): void {
    const { again, lost, still, wanted } = properties(ask);
    const { newer, instead, gone } = properties(answer);
    if (newer !== undefined) this.#rules.meet(still ? "not linked any more" : "newer");
    if (instead !== undefined) this.#rules.meet("instead");
    if (again && gone) this.#rules.meet("gone while unsure");
    if (lost && parentOf(from) !== undefined) this.#rules.meet("a loss relayed");
    if (lost && parentOf(from) === undefined && !this.#rules.withFaults) this.#rules.meet("a link cut off");
    if (name === "claim" && answer !== wanted) this.#rules.meet("a claim refused");
  }
}

/** What a value has, if it has anything. */
export function properties(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
