/** The objects of a simulated service, and the runtime that each of them gets. */

import { type Grants, grantsFault } from "../../src/auth/grants.ts";
import { SEGMENT } from "../../src/channel/history-rows.ts";
import { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import { parentOf } from "../../src/runtime/object-names.ts";
import type { RawRuntime } from "../../src/runtime/runtime.ts";
import { isAttachment } from "../../src/session/attachment.ts";
import type { Socket } from "../../src/session/socket.ts";
import { copy } from "./copy.ts";
import type { Action, Network } from "./network.ts";
import { type Environment, type Incarnation, leave, SimulatedObject } from "./object.ts";
import { ObjectCalls } from "./object-calls.ts";
import { Depth, RuleViolation } from "./platform-rules.ts";
import { kindOfRow, ROW_KINDS } from "./rows.ts";
import { SimulatedSocket } from "./socket.ts";
import { storeOf } from "./store.ts";
import { lastRelease, today } from "./versions.ts";

export class Objects {
  readonly #calls: ObjectCalls;
  /** Pending timers, oldest first. */
  readonly timers: Action[] = [];
  readonly #environment: Environment;
  readonly #byName = new Map<string, SimulatedObject>();
  /** The first violation of a platform rule. */
  broken: unknown;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#calls = new ObjectCalls(environment, {
      of: (name) => this.of(name),
      inMemory: (object) => this.#inMemory(object),
      isHolding: (name) => this.isHolding(name),
      breaks: (rule) => {
        this.broken ??= rule;
      },
    });
  }

  /** Calls an object as a Worker does. */
  askFromWorker<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]) {
    return this.#calls.callFromWorker(to, kind, ask);
  }

  /** Whether the root of `all` has carried out an older claim of an object's connections after a newer one. */
  hasStaleClaim(name: string): boolean {
    return this.#calls.staleClaims.has(name);
  }

  get network(): Network {
    return this.#calls.network;
  }

  [Symbol.iterator](): Iterator<SimulatedObject> {
    return this.#byName.values();
  }

  of(name: string): SimulatedObject {
    const known = this.#byName.get(name);
    if (known) return known;
    const object = new SimulatedObject(name, this.#environment.skew());
    this.#byName.set(name, object);
    return object;
  }

  /** Whether an object blocks its input. */
  isHolding(name: string): boolean {
    return this.of(name).incarnation?.isHolding === true;
  }

  /** Returns an object's broker; brings the object into memory if needed. */
  wake(name: string): Broker {
    return this.#inMemory(this.of(name)).broker;
  }

  /** Does the same for an event with this hop count. */
  event(name: string, hop: number): Broker {
    const { broker, depth } = this.#inMemory(this.of(name));
    depth.begin(hop);
    return broker;
  }

  /** Whether an object accepts a client with these grants, as its Worker asks. */
  admits(name: string, grants: Grants | undefined): boolean {
    return grantsFault(grants, this.#inMemory(this.of(name)).guard?.keys) === undefined;
  }

  /** The object's connections whose grants come from a key that is no longer valid. */
  outdated({ incarnation, sockets }: SimulatedObject): SimulatedSocket[] {
    if (!incarnation) return [];
    return sockets.filter((socket) => {
      const attachment = socket.deserializeAttachment();
      return socket.open && isAttachment(attachment) && grantsFault(attachment.grants, incarnation.guard?.keys);
    });
  }

  /** Fires an object's alarm. */
  ring(object: SimulatedObject): void {
    const incarnation = this.#inMemory(object);
    if (incarnation.alarm !== undefined && incarnation.alarm <= incarnation.now())
      this.#environment.cover("a call retried by alarm");
    incarnation.alarm = undefined;
    this.#wrote(object, incarnation);
    this.event(object.name, 1).alarmed();
  }

  /** Evicts an object from memory. */
  end(object: SimulatedObject): void {
    this.#environment.ending(object);
    if (object.incarnation) object.incarnation.over = true;
    object.incarnation = undefined;
  }

  /** Crashes an object, which ends its connections; the durable rows stay. */
  crash(object: SimulatedObject): void {
    this.#environment.crashing(object);
    this.end(object);
    object.crashes += 1;
    this.network.crash(object.name);
    for (const socket of object.sockets) socket.abort();
    object.sockets = [];
  }

  #inMemory(object: SimulatedObject): Incarnation {
    if (object.incarnation) return object.incarnation;
    const { isDenied, limits, isStrict, guard } = this.#environment;
    const now = () => this.#environment.now();
    const incarnation: Incarnation = {
      broker: Object.create(Broker.prototype),
      work: 0,
      over: false,
      now: () => now() + object.skew,
      depth: new Depth(now, isDenied),
      rows: isStrict ? new Map(object.rows) : object.rows,
      alarm: object.alarm,
      held: undefined,
      histories: [],
      isHolding: false,
      reporting: new Set(),
      guard: guard(),
    };
    object.incarnation = incarnation;
    for (const socket of object.sockets) socket.leave = (act) => leave(incarnation, act);
    const sockets = {
      acceptWebSocket: (socket: Socket) => {
        if (!(socket instanceof SimulatedSocket)) return;
        socket.leave = (act) => leave(incarnation, act);
        object.sockets.push(socket);
      },
      getWebSockets: () => object.sockets.filter(({ open }) => open),
    };
    const version = this.#versionOf(object);
    incarnation.broker = version(this.#platformOf(object, incarnation), sockets, limits, incarnation.guard);
    return incarnation;
  }

  /** Draws whether a deploy has reached an object when it wakes. */
  #versionOf(object: SimulatedObject) {
    object.isUpgraded ||= !this.#environment.isDeploying || this.#environment.choose(3) === 0;
    if (!object.isUpgraded) return lastRelease;
    if (this.#environment.isDeploying && object.rows.size > 0) this.#environment.cover("rows of an older version");
    return today;
  }

  /** Notes a write: output of the object is held until the write commits. */
  #wrote(object: SimulatedObject, incarnation: Incarnation): void {
    if (!this.#environment.isStrict) object.alarm = incarnation.alarm;
    else if (!incarnation.held) {
      incarnation.held = [];
      this.#later(incarnation, `${object.name} commits`, 0, () => {
        object.rows = new Map(incarnation.rows);
        object.alarm = incarnation.alarm;
        for (const row of incarnation.histories.splice(0)) this.#environment.retained(object, row);
        const held = incarnation.held ?? [];
        incarnation.held = undefined;
        for (const act of held) act();
      });
    }
  }

  /** Notes a row of a root's history. */
  #noteHistory(object: SimulatedObject, row: unknown, isStored: boolean): void {
    if (!isStored) this.#environment.notRetained(object);
    else if (object.incarnation?.held) object.incarnation.histories.push(copy(row));
    else this.#environment.retained(object, row);
  }

  /** Schedules work, which is dropped if the object leaves memory first. */
  #later(incarnation: Incarnation, label: string, milliseconds: number, act: () => void): void {
    incarnation.work += 1;
    const happen = () => {
      if (incarnation.over) return;
      incarnation.work -= 1;
      act();
    };
    this.timers.push({ label, happen, at: this.#environment.now() + milliseconds });
  }

  #platformOf(object: SimulatedObject, incarnation: Incarnation): RawRuntime {
    const after = (milliseconds: number, act: () => void) =>
      this.#later(incarnation, `${object.name} after ${milliseconds} ms`, milliseconds, act);
    const durable = () => new Promise<void>((resolve) => leave(incarnation, resolve));
    const accepts = () => {
      const isAccepted = this.#environment.acceptsRow();
      if (isAccepted) this.#wrote(object, incarnation);
      return isAccepted;
    };
    const released = () => {
      this.#environment.cover("storage released");
      incarnation.alarm = undefined;
      this.#wrote(object, incarnation);
    };
    const store = storeOf(incarnation.rows, accepts, released);
    const put = (key: string, value: unknown) => {
      if (!ROW_KINDS.includes(kindOfRow(key)))
        this.broken ??= new RuleViolation(`'${key}' is of an unknown kind of row`);
      const isStored = store.put(key, value);
      if (key.startsWith(SEGMENT) && parentOf(object.name) === undefined) this.#noteHistory(object, value, isStored);
      return isStored;
    };
    return {
      log: () => {},
      name: object.name,
      store: { ...store, put, sync: durable },
      open: (name) => this.#calls.open(object, incarnation, name),
      now: incarnation.now,
      random: () => this.#environment.choose(64) / 64,
      after,
      turn: () => new Promise((resolve) => after(0, () => leave(incarnation, resolve))),
      sleep: (milliseconds) => new Promise((resolve) => after(milliseconds, resolve)),
      within: (milliseconds, work) =>
        Promise.race([work, new Promise<void>((resolve) => after(milliseconds, resolve))]),
      hold: async (work) => {
        this.#environment.cover("input blocked");
        incarnation.isHolding = true;
        await work();
        incarnation.isHolding = false;
      },
      keep: (work) => {
        incarnation.work += 1;
        const ended = () => {
          incarnation.work -= 1;
        };
        work.then(ended, ended);
      },
      alarm: (time) => {
        const before = incarnation.alarm;
        incarnation.alarm = time;
        const isAccepted = accepts();
        if (!isAccepted) incarnation.alarm = before;
        return Promise.resolve(isAccepted);
      },
      alarmTime: () => incarnation.alarm,
    };
  }
}
