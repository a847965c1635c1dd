/** The objects of a simulated service: their lives, and the world that each lives in. */
import type { Verify } from "../../src/auth/verify.ts";
import type { Broker } from "../../src/broker/broker.ts";
import type { Limits } from "../../src/broker/limits.ts";
import type { Calls } from "../../src/links/messages.ts";
import { parentOf } from "../../src/links/names.ts";
import { isRecord } from "../../src/links/rows.ts";
import type { Platform, Way } from "../../src/links/world.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { type Rarity, SimulatedSocket } from "./client.ts";
import { type Action, Network } from "./network.ts";
import { kindOfRow, ROW_KINDS } from "./rows.ts";
import { Broken, Depth } from "./rules.ts";
import { storeOf } from "./store.ts";
import { BEFORE, errorFor, TODAY, type Version, widened } from "./versions.ts";

/** One life of an object: from its waking to its crash or sleep. */
interface Life {
  version: Version;
  broker: Broker;
  /** Timers, calls and other work that keep it in memory. */
  work: number;
  over: boolean;
  depth: Depth;
  /** Its storage as it sees it itself; what is not durable yet dies with it. */
  rows: Map<string, unknown>;
  alarm: number | undefined;
  /** What leaves when all is durable; undefined if that is so. */
  held: (() => void)[] | undefined;
}

export class SimulatedObject {
  readonly name: string;
  /** What is durable. */
  rows = new Map<string, unknown>();
  sockets: SimulatedSocket[] = [];
  life: Life | undefined;
  alarm: number | undefined;
  /** How often it has crashed: ways to it that were used before are spent. */
  crashes = 0;
  /** What its last life was. */
  version: Version | undefined;
  /** The epoch of its newest link to each object that it has been told of. */
  readonly linked = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }
}

/** Whether storage says that a crash now would leave links in doubt. */
export function isBusy({ rows, alarm }: SimulatedObject): boolean {
  const row = rows.get("order");
  if (row === undefined) return false;
  const { busy, alarm: rest } = properties(row);
  return busy === true || (alarm !== undefined && alarm !== rest);
}

/** A call on its way from one object to another one. */
interface Call<Kind extends keyof Calls> {
  to: string;
  /** How deep it is. */
  hop: number;
  /** How deep its caller says that it is. */
  told: number | undefined;
  kind: Kind;
  ask: Calls[Kind]["ask"];
}

/** A call, and its answer. */
export interface Overheard {
  from: string;
  to: string;
  kind: keyof Calls;
  ask: Calls[keyof Calls]["ask"];
  answer: Calls[keyof Calls]["answer"];
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
  /** Whether the platform is as strict as in production. */
  isStrict: boolean;
  /** Whether another way may not be opened now. */
  isDenied(): boolean;
  /** Told of each call that has been answered, while its caller still waits. */
  overheard(call: Overheard): void;
  /** Whether storage takes another row. */
  takesRow(): boolean;
  /** Whether each life of an object may be one of the version before. */
  isMixed: boolean;
  /** Whether all that is kept and said has properties that no version here knows. */
  isWidened: boolean;
}

export class Objects {
  readonly network: Network;
  /** What is to happen later, in the order in which it was said. */
  readonly timers: Action[] = [];
  readonly #rules: Rules;
  readonly #byName = new Map<string, SimulatedObject>();
  /** A rule of the platform that was broken. */
  broken: unknown;

  constructor(rules: Rules) {
    this.#rules = rules;
    this.network = new Network(rules.isStrict ? 1 + rules.choose(6) : Number.POSITIVE_INFINITY);
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

  /** The same, for an event that is so many hops deep. */
  event(name: string, hop: number): Broker {
    const { broker, depth } = this.#alive(this.of(name));
    depth.begin(hop);
    return broker;
  }

  /** An object's alarm goes off. */
  ring(object: SimulatedObject): void {
    if (object.alarm !== undefined && object.alarm <= this.#rules.now()) this.#rules.meet("a call made anew");
    const life = this.#alive(object);
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
    for (const socket of object.sockets) {
      if (socket.client.open) socket.client.ended(1006, "");
      socket.open = false;
    }
    object.sockets = [];
  }

  #alive(object: SimulatedObject): Life {
    if (object.life) return object.life;
    const { now, isDenied, limits, isStrict } = this.#rules;
    const version = this.#versionOf(object);
    const life: Life = {
      version,
      broker: Object.create(version.Broker.prototype),
      work: 0,
      over: false,
      depth: new Depth(now, isDenied, version === TODAY),
      rows: isStrict ? new Map(object.rows) : object.rows,
      alarm: object.alarm,
      held: undefined,
    };
    object.life = life;
    for (const socket of object.sockets) socket.leave = (act) => leave(life, act);
    const sockets = {
      acceptWebSocket: (socket: Socket) => {
        if (!(socket instanceof SimulatedSocket)) return;
        socket.leave = (act) => leave(life, act);
        socket.kept = (attachment) => this.#onItsWay(attachment);
        object.sockets.push(socket);
      },
      getWebSockets: () => object.sockets.filter(({ open }) => open),
    };
    // Limits that there are no more.
    const all = { ...version.readLimits({}), ...limits };
    life.broker = new version.Broker(this.#platformOf(object, life), sockets, all, this.#verifyFor(version));
    return life;
  }

  #versionOf(object: SimulatedObject): Version {
    const version = this.#rules.isMixed && this.#rules.choose(2) === 1 ? BEFORE : TODAY;
    if (object.version === BEFORE && version === TODAY) this.#rules.meet("an update");
    if (object.version === TODAY && version === BEFORE) this.#rules.meet("a rollback");
    object.version = version;
    return version;
  }

  #verifyFor(version: Version): Verify | undefined {
    const { verify } = this.#rules;
    return verify && ((token) => verify(token).catch((error) => Promise.reject(errorFor(version, error))));
  }

  /** What is kept or said, as whoever reads it finds it. */
  #onItsWay<T>(value: T): T {
    return this.#rules.isWidened ? widened(value) : structuredClone(value);
  }

  /** Something has been written: what leaves the object from now on waits until that is durable. */
  #wrote(object: SimulatedObject, life: Life): void {
    if (!this.#rules.isStrict) object.alarm = life.alarm;
    else if (!life.held) {
      life.held = [];
      this.#later(life, `${object.name} commits`, () => {
        object.rows = new Map(life.rows);
        object.alarm = life.alarm;
        const held = life.held ?? [];
        life.held = undefined;
        for (const act of held) act();
      });
    }
  }

  /** Has something happen some time, if the object lives by then. */
  #later(life: Life, label: string, act: () => void): void {
    life.work += 1;
    const happen = () => {
      if (life.over) return;
      life.work -= 1;
      act();
    };
    this.timers.push({ label, happen });
  }

  #platformOf(object: SimulatedObject, life: Life): Platform {
    const after = (milliseconds: number, act: () => void) =>
      this.#later(life, `${object.name} after ${milliseconds} ms`, act);
    const durable = () => new Promise<void>((resolve) => leave(life, resolve));
    const takes = () => {
      const isTaken = this.#rules.takesRow();
      if (isTaken) this.#wrote(object, life);
      return isTaken;
    };
    const store = storeOf(life.rows, takes);
    const put = (key: string, value: unknown) => {
      if (!ROW_KINDS.includes(kindOfRow(key)))
        this.broken ??= new Broken(`'${key}' is of no known kind of rows`);
      return store.put(key, this.#onItsWay(value));
    };
    return {
      name: object.name,
      store: { ...store, put, sync: durable },
      open: (name) => this.#open(object, life, name),
      now: () => this.#rules.now(),
      random: () => this.#rules.choose(64) / 64,
      after,
      turn: () => new Promise((resolve) => after(0, () => leave(life, resolve))),
      sleep: (milliseconds) => new Promise((resolve) => after(milliseconds, resolve)),
      within: (milliseconds, work) =>
        Promise.race([work, new Promise<void>((resolve) => after(milliseconds, resolve))]),
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

  /** A way to another object; as deep as this one is when that is first used. */
  #open(object: SimulatedObject, life: Life, to: string): Way {
    let depth: number | undefined;
    let { crashes } = this.of(to);
    return {
      call: async (kind, ask, known?: number) => {
        // An older version may not say which hop it is.
        const hop = life.version === BEFORE && this.#rules.choose(4) === 1 ? undefined : known;
        try {
          if (depth === undefined) life.depth.open(to);
          if (depth === undefined) crashes = this.of(to).crashes;
          else if (crashes !== this.of(to).crashes) throw new Error("the far object has crashed");
          depth ??= life.depth.now;
          if (hop !== undefined && hop > 5) this.#rules.meet("a deep call");
          this.#checkDepth(life, depth, hop);
          return await this.#call(object, life, { to, told: hop, hop: depth + 1, kind, ask });
        } catch (error) {
          throw errorFor(life.version, error);
        }
      },
    };
  }

  #checkDepth({ depth }: Life, deep: number, told: number | undefined): void {
    try {
      depth.call(deep, told);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.broken ??= error;
    }
  }

  async #call<Kind extends keyof Calls>(
    from: SimulatedObject,
    life: Life,
    call: Call<Kind>,
  ): Promise<Calls[Kind]["answer"]> {
    const { to, kind, ask } = call;
    const asked = { ...call, ask: this.#onItsWay(ask) };
    const label = `${from.name} -> ${to}: ${kind} ${JSON.stringify(ask) ?? ""}`;
    await new Promise<void>((resolve) => leave(life, resolve));
    const answer = await this.network.call<Calls[Kind]["answer"]>(
      label,
      { from: from.name, to },
      () => this.#answer(life.version, asked),
      () => life.over,
    );
    const { after } = properties(answer);
    const { epoch } = properties(ask);
    // The answer to an older request may come last.
    const newest = Math.max(from.linked.get(to) ?? 0, Number(epoch));
    if (kind === "link" && after !== undefined) from.linked.set(to, newest);
    this.#noteRarities(from.name, kind, ask, answer);
    this.#rules.overheard({ from: from.name, to, kind, ask: asked.ask, answer });
    return answer;
  }

  async #answer<Kind extends keyof Calls>(
    asker: Version,
    { to, told, hop, kind, ask }: Call<Kind>,
  ): Promise<Calls[Kind]["answer"]> {
    const life = this.#alive(this.of(to));
    if (life.version !== asker) this.#rules.meet("a call between versions");
    // Who was told less than is true is not to blame.
    const answered = life.depth.beginToAnswer(told ?? hop);
    try {
      return this.#onItsWay(await life.broker.called(kind, ask, told));
    } finally {
      answered();
      await new Promise<void>((resolve) => leave(life, resolve));
    }
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

/** Has something leave an object: at once, or when what that has written is durable. */
function leave(life: Life, act: () => void): void {
  if (life.held) life.held.push(act);
  else act();
}

/** What a value has, if it has anything. */
export function properties(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
