/** The objects of a simulated service: their lives, and the runtime that each lives in. */

import { type Grants, grantsFault } from "../../src/auth/grants.ts";
import { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import type { RawRuntime } from "../../src/runtime/runtime.ts";
import { isAttachment } from "../../src/session/attachment.ts";
import type { Socket } from "../../src/session/socket.ts";
import { Calling } from "./calling.ts";
import { type Life, leave, type Rules, SimulatedObject } from "./life.ts";
import type { Action, Network } from "./network.ts";
import { kindOfRow, ROW_KINDS } from "./rows.ts";
import { Broken, Depth } from "./rules.ts";
import { SimulatedSocket } from "./socket.ts";
import { storeOf } from "./store.ts";

export class Objects {
  readonly #calling: Calling;
  /** What is to happen later, in the order in which it was said. */
  readonly timers: Action[] = [];
  readonly #rules: Rules;
  readonly #byName = new Map<string, SimulatedObject>();
  /** A rule of the platform that was broken. */
  broken: unknown;

  constructor(rules: Rules) {
    this.#rules = rules;
    this.#calling = new Calling(rules, {
      of: (name) => this.of(name),
      alive: (object) => this.#alive(object),
      isHolding: (name) => this.isHolding(name),
      breaks: (rule) => {
        this.broken ??= rule;
      },
    });
  }

  /** A call from a Worker, of which nobody else knows. */
  askFromWorker<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]) {
    return this.#calling.callFromWorker(to, kind, ask);
  }

  get network(): Network {
    return this.#calling.network;
  }

  [Symbol.iterator](): Iterator<SimulatedObject> {
    return this.#byName.values();
  }

  of(name: string): SimulatedObject {
    const known = this.#byName.get(name);
    if (known) return known;
    const object = new SimulatedObject(name, this.#rules.skew());
    this.#byName.set(name, object);
    return object;
  }

  /** Whether an object lets nothing come in for now. */
  isHolding(name: string): boolean {
    return this.of(name).life?.isHolding === true;
  }

  /** The object itself, brought into memory if it is not there. */
  wake(name: string): Broker {
    return this.#alive(this.of(name)).broker;
  }

  /** The same, for an event that is so many hops deep. */
  event(name: string, hop: number): Broker {
    const { broker, depth } = this.#alive(this.of(name));
    depth.begin(hop);
    return broker;
  }

  /** Whether an object would let in who has these grants, as its Worker asks it to. */
  admits(name: string, grants: Grants | undefined): boolean {
    return grantsFault(grants, this.#alive(this.of(name)).guard?.keys) === undefined;
  }

  /** The object's connections that have grants of a key that it doesn't take. */
  outdated({ life, sockets }: SimulatedObject): SimulatedSocket[] {
    if (!life) return [];
    return sockets.filter((socket) => {
      const attachment = socket.deserializeAttachment();
      return socket.open && isAttachment(attachment) && grantsFault(attachment.grants, life.guard?.keys);
    });
  }

  /** An object's alarm goes off. */
  ring(object: SimulatedObject): void {
    const life = this.#alive(object);
    if (life.alarm !== undefined && life.alarm <= life.now()) this.#rules.meet("a call made anew");
    life.alarm = undefined;
    this.#wrote(object, life);
    this.event(object.name, 1).alarmed();
  }

  /** Has an object leave memory. */
  end(object: SimulatedObject): void {
    if (object.life) object.life.over = true;
    object.life = undefined;
  }

  /** Ends an object and its connections; its storage stays. */
  crash(object: SimulatedObject): void {
    this.end(object);
    object.crashes += 1;
    this.network.crash(object.name);
    for (const socket of object.sockets) socket.breakOff();
    object.sockets = [];
  }

  #alive(object: SimulatedObject): Life {
    if (object.life) return object.life;
    const { isDenied, limits, isStrict, guard } = this.#rules;
    const now = () => this.#rules.now();
    const life: Life = {
      broker: Object.create(Broker.prototype),
      work: 0,
      over: false,
      now: () => now() + object.skew,
      depth: new Depth(now, isDenied),
      rows: isStrict ? new Map(object.rows) : object.rows,
      alarm: object.alarm,
      held: undefined,
      isHolding: false,
      guard: guard(),
    };
    object.life = life;
    for (const socket of object.sockets) socket.leave = (act) => leave(life, act);
    const sockets = {
      acceptWebSocket: (socket: Socket) => {
        if (!(socket instanceof SimulatedSocket)) return;
        socket.leave = (act) => leave(life, act);
        object.sockets.push(socket);
      },
      getWebSockets: () => object.sockets.filter(({ open }) => open),
    };
    life.broker = new Broker(this.#platformOf(object, life), sockets, limits, life.guard).start();
    return life;
  }

  /** Something has been written: what leaves the object from now on waits until that is durable. */
  #wrote(object: SimulatedObject, life: Life): void {
    if (!this.#rules.isStrict) object.alarm = life.alarm;
    else if (!life.held) {
      life.held = [];
      this.#later(life, `${object.name} commits`, 0, () => {
        object.rows = new Map(life.rows);
        object.alarm = life.alarm;
        const held = life.held ?? [];
        life.held = undefined;
        for (const act of held) act();
      });
    }
  }

  /** Has something happen in a while, if the object lives by then. */
  #later(life: Life, label: string, milliseconds: number, act: () => void): void {
    life.work += 1;
    const happen = () => {
      if (life.over) return;
      life.work -= 1;
      act();
    };
    this.timers.push({ label, happen, at: this.#rules.now() + milliseconds });
  }

  #platformOf(object: SimulatedObject, life: Life): RawRuntime {
    const after = (milliseconds: number, act: () => void) =>
      this.#later(life, `${object.name} after ${milliseconds} ms`, milliseconds, act);
    const durable = () => new Promise<void>((resolve) => leave(life, resolve));
    const takes = () => {
      const isTaken = this.#rules.takesRow();
      if (isTaken) this.#wrote(object, life);
      return isTaken;
    };
    const released = () => {
      this.#rules.meet("storage given back");
      life.alarm = undefined;
      this.#wrote(object, life);
    };
    const store = storeOf(life.rows, takes, released);
    const put = (key: string, value: unknown) => {
      if (!ROW_KINDS.includes(kindOfRow(key)))
        this.broken ??= new Broken(`'${key}' is of no known kind of rows`);
      return store.put(key, value);
    };
    return {
      log: () => {},
      name: object.name,
      store: { ...store, put, sync: durable },
      open: (name) => this.#calling.open(object, life, name),
      now: life.now,
      random: () => this.#rules.choose(64) / 64,
      after,
      turn: () => new Promise((resolve) => after(0, () => leave(life, resolve))),
      sleep: (milliseconds) => new Promise((resolve) => after(milliseconds, resolve)),
      within: (milliseconds, work) =>
        Promise.race([work, new Promise<void>((resolve) => after(milliseconds, resolve))]),
      hold: async (work) => {
        this.#rules.meet("nothing let in");
        life.isHolding = true;
        await work();
        life.isHolding = false;
      },
      keep: (work) => {
        life.work += 1;
        const ended = () => {
          life.work -= 1;
        };
        work.then(ended, ended);
      },
      alarm: (time) => {
        const before = life.alarm;
        life.alarm = time;
        const isTaken = takes();
        if (!isTaken) life.alarm = before;
        return Promise.resolve(isTaken);
      },
      alarmTime: () => life.alarm,
    };
  }
}
