/**
 * A service of simulated objects and clients, without time and without a network: every call between
 * objects, every timer and every client's next word waits in a list until it is chosen to happen.
 * Objects crash, or leave memory as they do when they hibernate.
 *
 * The objects are the real ones (`src/broker/broker.ts`). All that is not decided by them (time, chance,
 * calls, storage, what tokens grant) comes from here, and so from the choices alone.
 */
import { TokenError, type Verify } from "../../src/auth/verify.ts";
import { Broker } from "../../src/broker/broker.ts";
import { type Limits, readLimits } from "../../src/broker/limits.ts";
import type { Answering, Calls } from "../../src/links/messages.ts";
import { parentOf } from "../../src/links/names.ts";
import type { World } from "../../src/links/world.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { type Rarity, SimulatedClient, SimulatedSocket, type Surroundings } from "./client.ts";
import { type Action, Network } from "./network.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import { storeOf } from "./store.ts";

/** Turns of the microtask queue that any chain of promises in the objects needs at most. */
const MICROTASKS = 60;

/** Milliseconds between one thing that happens and the next. */
const STEP = 10;

/** Alarms set for later than this, in milliseconds, are not waited for when everything is to come to rest. */
const SOON = 20_000;

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

export interface Kind {
  withFaults: boolean;
  /** Connections of the whole service; 0 has nobody count them. */
  clientLimit: number;
  /** Whether clients need tokens. */
  withTokens: boolean;
  /** Whether so little may wait that links which are behind are cut off. */
  withTinyBuffers: boolean;
}

export class Simulation implements Surroundings {
  readonly objects = new Map<string, SimulatedObject>();
  readonly clients: SimulatedClient[] = [];
  /** What has happened, for a person to read. */
  readonly script: string[] = [];
  readonly met = new Set<Rarity>();
  now = 1;
  readonly kind: Kind;
  readonly #choose: (among: number) => number;
  readonly #network = new Network();
  readonly #timers: Action[] = [];
  readonly #limits: Limits;
  /** When the last fault was, and the objects that lived through it, awake or asleep. */
  #lastFault = { at: 0, survivors: new Set<string>() };

  /** @param choose picks one of `among` things: a number from 0 to `among - 1` */
  constructor(choose: (among: number) => number, kind: Kind) {
    this.#choose = choose;
    this.kind = kind;
    // So few that trees grow and shrink all the time.
    const few = { socketsPerObject: 1 + choose(2), linksPerObject: 1 + choose(2) };
    const little = kind.withTinyBuffers ? { maxBufferedBytes: 200 } : {};
    this.#limits = { ...readLimits({}), ...few, ...little, clientLimit: kind.clientLimit };
  }

  meet(rarity: Rarity): void {
    this.met.add(rarity);
  }

  // --- what happens

  /**
   * Lets one thing happen: mostly what is pending anyway, else one of the caller's `wishes`, a fault,
   * or an object leaving memory.
   */
  async step(wishes: Action[], withFaults: boolean): Promise<void> {
    const pending = this.#pending();
    const faults = withFaults ? this.#faults() : [];
    const kinds = [pending, pending, pending, wishes, wishes, this.#sleeps(), faults];
    const kind = kinds[this.#choose(kinds.length)] ?? [];
    const actions = kind.length > 0 ? kind : wishes;
    const action = actions[this.#choose(actions.length)];
    if (action) await this.perform(action);
  }

  /** Has some object crash, or all of them. */
  async crash(): Promise<void> {
    const crashes = this.#crashes();
    const crash = crashes[this.#choose(crashes.length)];
    if (crash) await this.perform(crash);
  }

  async perform({ label, happen, isFault }: Action): Promise<void> {
    this.now += STEP;
    this.script.push(label);
    happen();
    if (isFault) this.#noteFault();
    for (let turn = 0; turn < MICROTASKS; turn++) await undefined;
    for (const { socket } of this.clients) if (socket.breach) throw socket.breach;
  }

  /** Lets everything pending happen, in order, without faults, until nothing is pending. */
  async quiesce(): Promise<void> {
    for (let steps = 0; steps < 5_000; steps++) {
      const [next] = [...this.#pending(), ...this.#alarms()];
      if (!next) return;
      await this.perform(next);
    }
    throw new Error("does not come to rest");
  }

  /** What would happen by itself, oldest first. */
  #pending(): Action[] {
    const timers = this.#timers.map(({ label, happen }, i): Action => {
      const fire = () => {
        this.#timers.splice(i, 1);
        happen();
      };
      return { label, happen: fire };
    });
    return [...this.#network.pending(), ...timers];
  }

  #faults(): Action[] {
    return [...this.#network.faults(), ...this.#alarms(), ...this.#crashes()];
  }

  /** Those in the middle of deliveries are likelier: others cost little. */
  #crashes(): Action[] {
    const awake = [...this.objects.values()].filter(({ life }) => life);
    const busy = awake.filter(({ rows }) => properties(rows.get("order")).busy === true);
    const crashes = [...awake, ...busy, ...busy, ...busy].map((object) => ({
      label: `${object.name} crashes`,
      happen: () => this.#crash(object),
      isFault: true,
    }));
    return [...crashes, { label: "a deploy", happen: () => this.#deploy(), isFault: true }];
  }

  /** As in the runtime, an object leaves memory only when nothing of it or for it is under way. */
  #sleeps(): Action[] {
    const idle = [...this.objects.values()].filter(
      ({ name, life }) => life?.work === 0 && !this.#network.concerns(name),
    );
    return idle.map((object) => ({ label: `${object.name} sleeps`, happen: () => this.#end(object) }));
  }

  /** Those that are due soon; the clock does not wait for them. */
  #alarms(): Action[] {
    const due = [...this.objects.values()].filter(
      ({ alarm }) => alarm !== undefined && alarm < this.now + SOON,
    );
    return due.map((object) => {
      const happen = () => {
        object.alarm = undefined;
        this.#alive(object).broker.alarmed();
      };
      return { label: `the alarm of ${object.name}`, happen };
    });
  }

  #end(object: SimulatedObject): void {
    if (object.life) object.life.over = true;
    object.life = undefined;
  }

  /** Ends every object and every connection; storage stays. */
  #deploy(): void {
    for (const object of this.objects.values()) this.#crash(object);
  }

  #crash(object: SimulatedObject): void {
    this.#end(object);
    this.#network.crash(object.name);
    for (const socket of object.sockets) {
      if (socket.open) socket.client.ended(1006, "");
      socket.open = false;
    }
    object.sockets = [];
  }

  #noteFault(): void {
    const alive = [...this.objects.values()].filter(
      ({ life, sockets }) => life || sockets.some(({ open }) => open),
    );
    this.#lastFault = { at: this.now, survivors: new Set(alive.map(({ name }) => name)) };
  }

  // --- clients

  connect(channel: string): SimulatedClient {
    const name = `${String.fromCharCode(97 + (this.clients.length % 26))}${this.clients.length}`;
    const client = new SimulatedClient(this, name, channel);
    this.clients.push(client);
    client.home = this.#place(channel);
    const token = this.kind.withTokens ? this.token() : undefined;
    const grants = token === undefined ? undefined : grantsIn(token);
    if (grants) client.until = grants.until;
    this.#alive(this.object(client.home)).broker.opened(client.socket, "", grants);
    return client;
  }

  /** The object of a channel's tree in which there is room, as the Worker finds it. */
  #place(root: string): string {
    let full = "";
    for (let object = root; ; ) {
      const place = this.#alive(this.object(object)).broker.placeFor("", full);
      if (place === undefined) return object;
      full = place === "" ? object : "";
      object = place === "" ? root : place;
    }
  }

  /** A token that ends soon, or long after everything: all that it says is when, in milliseconds. */
  token(): string {
    const soon = Math.ceil(this.now / 1000) + this.#choose(2);
    return String(1000 * (this.#choose(2) ? soon : 1_000_000));
  }

  arrive(client: SimulatedClient, frame: string): void {
    if (client.socket.open) this.#alive(this.object(client.home)).broker.received(client.socket, frame);
  }

  /** A client goes away. */
  disconnect({ home, socket }: SimulatedClient): void {
    const object = this.object(home);
    if (!socket.open) return;
    socket.open = false;
    socket.client.ended(1005, "");
    this.#alive(object).broker.closed(socket);
    object.sockets = object.sockets.filter((other) => other !== socket);
  }

  isLinkedToEveryone(home: string): boolean {
    if (home === "all") return true;
    const { rows, linked } = this.object(home);
    const row = rows.get("upstream:all");
    if (!isUpstream(row) || row.epoch !== linked.get(row.parent)) return false;
    if (!isOfEpoch(this.object(row.parent).rows.get(`downstream:${home}`), row.epoch)) return false;
    return row.parent === "all" || this.isLinkedToEveryone(row.parent);
  }

  /** From now on every connection hears `all`, however late its object could join. */
  noteWhoHearsEveryone(): void {
    for (const client of this.clients) {
      if (client.open && this.isLinkedToEveryone(client.home)) client.hearsEveryoneSince ??= this.now;
    }
  }

  /**
   * Whether a client that connected at some time has nothing to do with any fault: all are older.
   * An object that lived through the last one cannot know whether the links that it had then are still
   * good, unless it asked for each newcomer; who is let in on the strength of one may be sent away.
   */
  isUnconcerned({ home, connected }: SimulatedClient, channels: string[]): boolean {
    const { at, survivors } = this.#lastFault;
    if (connected <= at || this.kind.withTinyBuffers) return false;
    if (!survivors.has(home)) return true;
    const { rows } = this.object(home);
    const links = channels
      .filter((channel) => channel !== home)
      .map((channel) => rows.get(`upstream:${channel}`));
    return links.every((link) => isUpstream(link) && link.epoch > at);
  }

  /** Has every object claim anew what it holds. */
  recountAll(): void {
    for (const object of this.objects.values()) this.#alive(object).broker.recount();
  }

  // --- objects

  object(name: string): SimulatedObject {
    const known = this.objects.get(name);
    if (known) return known;
    const object = new SimulatedObject(name);
    this.objects.set(name, object);
    return object;
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
    const verify = this.kind.withTokens ? verifyToken : undefined;
    life.broker = new Broker(this.#worldOf(object, life), sockets, this.#limits, verify);
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
      this.#timers.push({ label: `${object.name} after ${milliseconds} ms`, happen });
    };
    return {
      name: object.name,
      store: storeOf(object.rows),
      call: (name, kind, ask) => this.#call(object, life, name, kind, ask),
      now: () => this.now,
      random: () => this.#choose(64) / 64,
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
      const answering: Answering = this.#alive(this.object(to)).broker;
      return answering[name](asked);
    };
    const label = `${from.name} -> ${to}: ${name} ${JSON.stringify(ask) ?? ""}`;
    const answer = await this.#network.call<Calls[Name]["answer"]>(label, to, carryOut, () => life.over);
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
    if (newer !== undefined) this.meet(still ? "not linked any more" : "newer");
    if (instead !== undefined) this.meet("instead");
    if (again && gone) this.meet("gone while unsure");
    if (lost && parentOf(from) !== undefined) this.meet("a loss relayed");
    if (lost && parentOf(from) === undefined && !this.kind.withFaults) this.meet("a link cut off");
    if (name === "claim" && answer !== wanted) this.meet("a claim refused");
  }
}

function properties(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function grantsIn(token: string) {
  return { subscribe: ["*"], announce: ["*", "all"], until: Number(token) };
}

const verifyToken: Verify = (token) =>
  token === "forged" ? Promise.reject(new TokenError("it is forged")) : Promise.resolve(grantsIn(token));
