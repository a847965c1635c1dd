/**
 * A service of simulated objects and clients, without time and without a network: every call between
 * objects, every timer and every client's next word waits in a list until it is chosen to happen.
 * Objects crash, or leave memory as they do when they hibernate.
 *
 * The objects are the real ones (`src/broker/broker.ts`). All that is not decided by them (time, chance,
 * calls, storage, what tokens grant) comes from here, and so from the choices alone.
 */
import { readLimits } from "../../src/broker/limits.ts";
import type { Calls } from "../../src/links/messages.ts";
import { parentOf } from "../../src/links/names.ts";
import { type Announcement, Breach, type Rarity, SimulatedClient, type Surroundings } from "./client.ts";
import { isBusy, type Overheard } from "./life.ts";
import type { Action } from "./network.ts";
import { Objects } from "./objects.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import { grantsIn, Secrets } from "./secrets.ts";

/** Turns of the microtask queue that any chain of promises in the objects needs at most. */
const MICROTASKS = 100;

/** Milliseconds between one thing that happens and the next. */
const STEP = 10;

/** Alarms set for later than this, in milliseconds, are not waited for when everything is to come to rest. */
const SOON = 20_000;

/** Seconds for which messages are kept: for all of a run, or for some of it. */
const LONG = 120;
const SHORT = 1;

/** Bytes that may wait for all clients of an object together, where they read late: three frames. */
const MOST_WAITING = 1_000;

/** Memory that a frame takes that waits, besides its bytes. */
const FRAME = 1_300;

export interface Kind {
  withFaults: boolean;
  /** Connections of the whole service; 0 has nobody count them. */
  clientLimit: number;
  /** Whether clients need tokens. */
  withTokens: boolean;
  /** Whether so little may wait that links which are behind are cut off. */
  withTinyBuffers: boolean;
  /** Whether clients take what is sent to them some time, not at once, and little may wait for all of an object. */
  withLateReaders: boolean;
  /** Whether history is kept. */
  withHistory: boolean;
  /** Whether the platform is as strict as in production: see `rules.ts`. */
  isStrict: boolean;
  /** Whether storage takes only so many rows, until everything comes to rest. */
  withFullStorage: boolean;
}

export class Simulation implements Surroundings {
  readonly objects: Objects;
  readonly clients: SimulatedClient[] = [];
  readonly secrets = new Secrets();
  /** What Workers have announced. */
  readonly posted = new Map<string, Announcement>();
  #posts = 0;
  /** What was found wrong with what Workers were answered. */
  #breach: unknown;
  /** What has happened, for a person to read. */
  readonly script: string[] = [];
  readonly met = new Set<Rarity>();
  /** Clients that have come back as others. */
  readonly returned = new Set<SimulatedClient>();
  /** Messages by their positions, and positions by their messages, of each channel. */
  readonly #found = new Map<string, string | number>();
  /** Told of each call that has been answered. */
  overheard: (call: Overheard) => void = () => {};
  now = 1;
  readonly kind: Kind;
  readonly #choose: (among: number) => number;
  /** How long messages are kept. */
  readonly #historySeconds: number;
  /** Rows that storage still takes. */
  rowsLeft = Number.POSITIVE_INFINITY;
  /** What has come to objects that let nothing in, oldest first. */
  readonly #waiting: { home: string; come: () => void }[] = [];
  /** When the last fault was, and the objects that lived through it, awake or asleep. */
  #lastFault = { at: 0, survivors: new Set<string>() };

  /** @param choose picks one of `among` things: a number from 0 to `among - 1` */
  constructor(choose: (among: number) => number, kind: Kind) {
    this.#choose = choose;
    this.kind = kind;
    // So few that trees grow and shrink all the time.
    const few = { socketsPerObject: 1 + choose(2), linksPerObject: 1 + choose(2) };
    const little = kind.withTinyBuffers ? { maxBufferedBytes: 200 } : {};
    this.#historySeconds = choose(4) === 3 ? SHORT : LONG;
    const history = { historySeconds: kind.withHistory ? this.#historySeconds : 0 };
    const late = kind.withLateReaders ? { mostWaiting: MOST_WAITING, socketsPerObject: 4 } : {};
    this.objects = new Objects({
      now: () => this.now,
      choose,
      limits: { ...readLimits({}), ...few, ...little, ...late, ...history, clientLimit: kind.clientLimit },
      guard: () => (kind.withTokens ? this.secrets.guard() : undefined),
      meet: (rarity) => this.meet(rarity),
      withFaults: kind.withFaults,
      isStrict: kind.isStrict,
      // What is not made goes again by an alarm, which full storage does not take.
      isDenied: () => kind.isStrict && !kind.withFullStorage && choose(4) === 0,
      overheard: (call) => this.overheard(call),
      takesRow: () => this.#takesRow(),
    });
  }

  #takesRow(): boolean {
    if (this.rowsLeft === 0) this.meet("a row not taken");
    this.rowsLeft = Math.max(0, this.rowsLeft - 1);
    return this.rowsLeft > 0;
  }

  meet(rarity: Rarity): void {
    this.met.add(rarity);
  }

  /** Whether clients count. */
  get areCounting(): boolean {
    return this.kind.withHistory;
  }

  get mayForget(): boolean {
    return this.forgetsKeys || this.kind.withTinyBuffers;
  }

  /** Whether what was announced under a key may be announced again. */
  get forgetsKeys(): boolean {
    return this.kind.withFullStorage || this.#historySeconds === SHORT;
  }

  found(channel: string, position: number, message: string): void {
    this.#note(`${channel} ${position}`, message);
    this.#note(`${channel}:${message}`, position);
  }

  answeredOnce(key: string, position: number): void {
    if (this.#found.get(key) === position) this.meet("announced before");
    this.#note(key, position);
  }

  #note(what: string, is: string | number): void {
    const known = this.#found.get(what) ?? is;
    if (known !== is) throw new Breach(`${what} is ${known} and ${is}`);
    this.#found.set(what, is);
  }

  // --- what happens

  /**
   * Lets one thing happen: mostly what is pending anyway, else one of the caller's `wishes`, a fault,
   * or an object leaving memory.
   */
  async step(wishes: Action[], withFaults: boolean): Promise<void> {
    const pending = this.pending();
    const faults = withFaults ? this.#faults() : [];
    const kinds = [pending, pending, pending, wishes, wishes, this.#sleeps(), faults, this.#reads()];
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
    if (this.objects.broken) throw this.objects.broken;
    if (this.#breach !== undefined) throw this.#breach;
    if (this.kind.withLateReaders) this.#checkWaiting();
    if (this.kind.withTokens) this.#checkGrants();
  }

  /** Who came with a token of a key that isn't valid any more is closed when the object wakes. */
  #checkGrants(): void {
    for (const object of this.objects) {
      const [outdated] = this.objects.outdated(object);
      if (outdated)
        throw new Breach(`${outdated.client.name} stays at ${object.name} with an outdated token`);
    }
  }

  /** What waits for all clients of an object has a bound, those included that it has closed. */
  #checkWaiting(): void {
    for (const { name, sockets } of this.objects) {
      // That a connection is closed comes on top, once for each.
      const frames = sockets.flatMap(({ unread }) => unread.filter(({ bytes }) => bytes > 0));
      const waiting = frames.reduce((sum, { bytes }) => sum + bytes + FRAME, 0);
      if (waiting > MOST_WAITING + 3 * FRAME)
        throw new Breach(`${waiting} bytes wait for the clients of ${name}`);
    }
  }

  /** Lets everything pending happen, in order, without faults, until nothing is pending. */
  async quiesce(): Promise<void> {
    for (let steps = 0; steps < 5_000; steps++) {
      const [next] = [...this.#reads(), ...this.pending(), ...this.#alarms(SOON)];
      if (!next) return;
      await this.perform(next);
    }
    throw new Error("does not come to rest");
  }

  /** What would happen by itself, oldest first. */
  pending(): Action[] {
    const timers = this.objects.timers.map(({ label, happen }, i): Action => {
      const fire = () => {
        this.objects.timers.splice(i, 1);
        happen();
      };
      return { label, happen: fire };
    });
    return [...this.objects.network.pending(), ...this.#alarms(0), ...this.#arrivals(), ...timers];
  }

  /** What has come to an object that let nothing in: of each, the first. */
  #arrivals(): Action[] {
    const firsts = new Map([...this.#waiting].reverse().map((arrival) => [arrival.home, arrival]));
    const free = [...firsts.values()].filter(({ home }) => !this.objects.isHolding(home));
    return free.map((arrival) => ({
      label: `${arrival.home} lets in what waited`,
      happen: () => {
        this.#waiting.splice(this.#waiting.indexOf(arrival), 1);
        arrival.come();
      },
    }));
  }

  /** Clients that read late take the next of what has been sent to them. */
  #reads(): Action[] {
    const late = this.clients.filter(({ socket }) => socket.unread.length > 0);
    return late.map((client) => ({ label: `${client.name} reads`, happen: () => this.#read(client) }));
  }

  #read(client: SimulatedClient): void {
    client.socket.unread.shift()?.take();
    if (client.ending) this.#leave(client);
  }

  #faults(): Action[] {
    return [...this.objects.network.faults(), ...this.#alarms(SOON), ...this.#crashes()];
  }

  /** Those in the middle of deliveries are likelier: others cost little. */
  #crashes(): Action[] {
    const awake = [...this.objects].filter(({ life }) => life);
    const busy = awake.filter(isBusy);
    const crashes = [...awake, ...busy, ...busy, ...busy].map((object) => ({
      label: `${object.name} crashes`,
      happen: () => this.objects.crash(object),
      isFault: true,
    }));
    return [...crashes, { label: "a deploy", happen: () => this.#deploy(), isFault: true }];
  }

  /** As in the runtime, an object leaves memory only when nothing of it or for it is under way. */
  #sleeps(): Action[] {
    const idle = [...this.objects].filter(
      ({ name, life }) => life?.work === 0 && !this.objects.network.concerns(name),
    );
    return idle.map((object) => ({ label: `${object.name} sleeps`, happen: () => this.objects.end(object) }));
  }

  /** Those that are due by then, in milliseconds. */
  #alarms(within: number): Action[] {
    const due = [...this.objects].filter(({ alarm, life }) => {
      // It is not what it was if the object has just set it anew.
      if (alarm === undefined || (life && life.alarm !== alarm)) return false;
      return alarm <= this.now + within;
    });
    return due.map((object) => {
      return { label: `the alarm of ${object.name}`, happen: () => this.objects.ring(object) };
    });
  }

  /** Ends every object and every connection; storage stays. */
  #deploy(): void {
    for (const object of this.objects) this.objects.crash(object);
  }

  #noteFault(): void {
    const alive = [...this.objects].filter(({ life, sockets }) => life || sockets.some(({ open }) => open));
    this.#lastFault = { at: this.now, survivors: new Set(alive.map(({ name }) => name)) };
  }

  /** A Worker announces messages that have come to it by HTTP. */
  post(channel: string, count: number, isOnce: boolean): void {
    this.#posts += 1;
    const author = `post${this.#posts}`;
    const messages = Array.from({ length: count }, (_, i) => `${author}.${i + 1}`);
    const lines = messages.map((message) => `${channel}!${message}\n`).join("");
    let isPlaced = false;
    const placed = () => isPlaced;
    for (const message of messages) this.posted.set(message, { channel, issued: this.now, placed });
    const place = (answer: Calls["announce"]["answer"]) => {
      isPlaced = "last" in answer;
      if (!("last" in answer) || answer.last === undefined || !this.areCounting) return;
      const first = answer.last - count + 1;
      try {
        for (const [i, message] of messages.entries()) this.found(channel, first + i, message);
      } catch (breach) {
        this.#breach = breach;
      }
    };
    const key = isOnce && this.kind.withHistory ? author : undefined;
    const ask = () => this.objects.askFromWorker(channel, "announce", { lines, count, key });
    // Announced again under the same key, it is announced once.
    const again = () => (key !== undefined && !this.mayForget ? ask().then(place, () => {}) : undefined);
    ask()
      .then(place, () => {})
      .then(again);
  }

  // --- clients

  /** An earlier client comes back, to go on where it was. */
  comeBack(earlier: SimulatedClient): void {
    const counted = earlier.counting.get(earlier.channel) ?? earlier.paused.get(earlier.channel);
    const client = this.connect(earlier.channel, "", counted?.position);
    client.comeBack(earlier);
    client.catchUp();
    this.returned.add(earlier);
  }

  /**
   * @param region where it comes from
   * @param since the position from which on it wants to hear the channel
   */
  connect(channel: string, region = "", since?: number): SimulatedClient {
    const name = `${String.fromCharCode(97 + (this.clients.length % 26))}${this.clients.length}`;
    const client = new SimulatedClient(this, name, channel, since);
    this.clients.push(client);
    client.home = this.#place(channel, region);
    const token = this.kind.withTokens ? this.token() : undefined;
    const grants = token === undefined ? undefined : grantsIn(token);
    if (grants) client.until = grants.until;
    const { home, socket } = client;
    if (!this.objects.admits(home, grants)) {
      this.meet("an upgrade refused");
      socket.open = false;
      client.ended(1005, "");
      return client;
    }
    const from = since === undefined ? undefined : { since };
    this.#come(home, () => this.objects.event(home, 2).opened(socket, region, grants, from));
    return client;
  }

  /** The object of a channel's tree in which there is room, as the Worker finds it. */
  #place(root: string, region: string): string {
    let full = "";
    let below = false;
    for (let object = root; ; ) {
      const place = this.objects.wake(object).placeFor(region, full, below);
      if (place === undefined) return object;
      full = place.object === "" ? object : "";
      object = place.object === "" ? (parentOf(object) ?? root) : place.object;
      below = place.below;
    }
  }

  /** A token that ends soon, or long after everything. */
  token(): string {
    const soon = Math.ceil(this.now / 1000) + this.#choose(2);
    return this.secrets.tokenUntil(1000 * (this.#choose(2) ? soon : 1_000_000));
  }

  /** Has every object begin another life, with the settings of now. Nothing may be under way. */
  wakeAnew(): void {
    for (const object of this.objects) this.objects.end(object);
  }

  get areLate(): boolean {
    return this.kind.withLateReaders;
  }

  arrive({ home, socket }: SimulatedClient, frame: string): void {
    this.#come(home, () => {
      if (socket.open) this.objects.event(home, 1).received(socket, frame);
    });
  }

  /** Something comes to an object, now or when it lets that in. */
  #come(home: string, come: () => void): void {
    const isBehind = this.#waiting.some((arrival) => arrival.home === home);
    if (isBehind || this.objects.isHolding(home)) this.#waiting.push({ home, come });
    else come();
  }

  /** A client goes away. */
  disconnect(client: SimulatedClient): void {
    if (!client.socket.open) return;
    client.socket.open = false;
    client.ended(1005, "");
    this.#leave(client);
  }

  /** A connection has ended, by whichever side. */
  #leave({ home, socket }: SimulatedClient): void {
    socket.unread.length = 0;
    this.#come(home, () => {
      const object = this.objects.of(home);
      if (!object.sockets.includes(socket)) return;
      this.objects.event(home, 1).closed(socket);
      object.sockets = object.sockets.filter((other) => other !== socket);
    });
  }

  isLinkedToEveryone(home: string): boolean {
    if (home === "all") return true;
    // What storage could not be told to forget says nothing.
    if (Number.isFinite(this.rowsLeft)) return false;
    const { rows, linked } = this.objects.of(home);
    const row = rows.get("upstream:all");
    if (!isUpstream(row) || row.epoch !== linked.get(row.parent)) return false;
    if (!isOfEpoch(this.objects.of(row.parent).rows.get(`downstream:${home}`), row.epoch)) return false;
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
    if (connected <= at || this.kind.withTinyBuffers || this.kind.withFullStorage) return false;
    // What is read now was said on the strength of links that may not be these any more.
    if (this.kind.withLateReaders) return false;
    if (!survivors.has(home)) return true;
    const { rows } = this.objects.of(home);
    const links = channels
      .filter((channel) => channel !== home)
      .map((channel) => rows.get(`upstream:${channel}`));
    return links.every((link) => isUpstream(link) && link.epoch > at);
  }

  /** Has every object claim anew what it holds. */
  recountAll(): void {
    for (const { name } of this.objects) void this.objects.event(name, 1).called("recount", undefined, 1);
  }
}
