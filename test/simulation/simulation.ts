/**
 * A service of simulated objects and clients, without a clock and without a network: every call between objects,
 * every timer and every client's next word waits in a list until it is chosen to happen; `course.ts` chooses.
 * Objects crash, or leave memory as they do when they hibernate.
 *
 * The objects are the real ones (`src/object/broker.ts`). All that is not decided by them (time, chance,
 * calls, storage, what tokens grant) comes from here, and so from the choices alone.
 */
import { parentOf } from "../../src/runtime/object-names.ts";
import { type Kind, limitsOf } from "./kind.ts";
import { Ledger } from "./ledger.ts";
import type { Overheard } from "./life.ts";
import type { Action } from "./network.ts";
import { Objects } from "./objects.ts";
import type { Rarity } from "./rarities.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import { grantsIn, Secrets } from "./secrets.ts";
import { SimulatedClient, type Surroundings } from "./sim-client.ts";
import { checkGrants, checkPending } from "./watching.ts";

/** Turns of the microtask queue that any chain of promises in the objects needs at most. */
const MICROTASKS = 100;

/** Milliseconds between one thing that happens and the next. */
const STEP = 10;

/** When a run begins, in milliseconds: so late that clocks which are behind are not before 1970. */
const START = 1_000_000;

/** By how much clocks are ahead, in milliseconds, where they are off. */
const SKEWS = [0, 1_500, -1_500, 60_000, -60_000];

export class Simulation implements Surroundings {
  readonly kind: Kind;
  readonly objects: Objects;
  readonly clients: SimulatedClient[] = [];
  readonly ledger: Ledger;
  readonly secrets = new Secrets();
  /** What has happened, for a person to read. */
  readonly script: string[] = [];
  readonly met = new Set<Rarity>();
  /** Clients that have come back as others. */
  readonly returned = new Set<SimulatedClient>();
  /** Told of each call that has been answered. */
  overheard: (call: Overheard) => void = () => {};
  /** The true time, in milliseconds. */
  now = START;
  /** Rows that storage still takes. */
  rowsLeft = Number.POSITIVE_INFINITY;
  /** What somebody found wrong who can't throw it. */
  breach: unknown;
  readonly #choose: (among: number) => number;
  /** What has come to objects that let nothing in, oldest first. */
  readonly #waiting: { home: string; come: () => void }[] = [];
  /** When the last fault was, and the objects that lived through it, awake or asleep. */
  #lastFault = { at: 0, survivors: new Set<string>() };

  /** @param choose picks one of `among` things: a number from 0 to `among - 1` */
  constructor(choose: (among: number) => number, kind: Kind) {
    this.#choose = choose;
    this.kind = kind;
    const limits = limitsOf(kind, choose);
    const { withFaults, withFullStorage, withTinyBuffers, withSkew, isStrict } = kind;
    this.ledger = new Ledger(
      {
        milliseconds: limits.historySeconds * 1000,
        characters: kind.withLittleHistory ? limits.historyBytes / 2 : Number.POSITIVE_INFINITY,
        mayForget: withFullStorage || withTinyBuffers,
        mayRenumber: withFullStorage,
        lateness: withFaults ? 100_000 : 10_000,
      },
      () => this.now,
    );
    this.objects = new Objects({
      now: () => this.now,
      choose,
      skew: () => (withSkew ? (SKEWS[choose(SKEWS.length)] ?? 0) : 0),
      limits,
      guard: () => (kind.withTokens ? this.secrets.guard() : undefined),
      meet: (rarity) => this.meet(rarity),
      withFaults,
      isStrict,
      // What is not made goes again by an alarm, which full storage does not take.
      isDenied: () => isStrict && !withFullStorage && choose(4) === 0,
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

  /** Has one thing happen, and all that follows from it at once. */
  async perform({ label, happen, isFault, at = 0 }: Action): Promise<void> {
    this.now = Math.max(this.now + STEP, at);
    this.script.push(`${(this.now / 1000).toFixed(2)} s: ${label}`);
    happen();
    if (isFault) this.#noteFault();
    for (let turn = 0; turn < MICROTASKS; turn++) await undefined;
    const { breach = this.breach } = this.clients.map(({ socket }) => socket).find(hasBreach) ?? {};
    if (breach !== undefined) throw breach;
    if (this.objects.broken) throw this.objects.broken;
    if (this.kind.withLateReaders) checkPending(this.objects);
    if (this.kind.withTokens) checkGrants(this.objects);
  }

  /** What would happen by itself at once, oldest first. */
  immediate(): Action[] {
    return [...this.objects.network.pending(), ...this.#arrivals()];
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
  reads(): Action[] {
    const late = this.clients.filter(({ socket }) => socket.unread.length > 0);
    return late.map((client) => ({ label: `${client.name} reads`, happen: () => this.#read(client) }));
  }

  #read(client: SimulatedClient): void {
    client.socket.unread.shift()?.take();
    if (client.ending) this.#leave(client);
  }

  #noteFault(): void {
    const alive = [...this.objects].filter(({ life, sockets }) => life || sockets.some(({ open }) => open));
    this.#lastFault = { at: this.now, survivors: new Set(alive.map(({ name }) => name)) };
  }

  // --- clients

  /** An earlier client comes back, to go on where it was. */
  comeBack(earlier: SimulatedClient): void {
    const { counting, paused } = earlier.reading;
    const counted = counting.get(earlier.channel) ?? paused.get(earlier.channel);
    const client = this.connect(earlier.channel, "", counted?.position);
    client.reading.comeBack(earlier.reading);
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
    const grants = this.kind.withTokens ? grantsIn(this.token()) : undefined;
    if (grants) client.until = grants.until;
    const { home, socket } = client;
    const from = since === undefined ? undefined : { since };
    this.#come(home, () => {
      if (!this.objects.admits(home, grants)) this.#refuse(client);
      else this.objects.event(home, 2).opened(socket, region, grants, from);
    });
    return client;
  }

  /** An upgrade is refused. */
  #refuse(client: SimulatedClient): void {
    this.meet("an upgrade refused");
    client.socket.open = false;
    client.ended(1005, "");
  }

  /** The object of a channel's tree in which there is room, as the Worker finds it. */
  #place(root: string, region: string): string {
    let full = "";
    let below = false;
    for (let object = root; ; ) {
      const place = this.objects.wake(object).placementFor(region, full, below);
      if (place === undefined) return object;
      full = place.object === "" ? object : "";
      object = place.object === "" ? (parentOf(object) ?? root) : place.object;
      below = place.below;
    }
  }

  /** A token that ends soon, or long after everything. */
  token(): string {
    const soon = Math.ceil(this.now / 1000) + this.#choose(2);
    return this.secrets.tokenUntil(1000 * (this.#choose(2) ? soon : 1_000_000), this.kind.withLongGrants);
  }

  /** Has every object begin another life, with the settings of now. Nothing may be under way. */
  wakeAnew(): void {
    for (const object of this.objects) this.objects.end(object);
  }

  /** A root that crashes in a delivery, and could write nothing about it, does not know who lacks the message. */
  get mayLose(): boolean {
    return this.kind.withFullStorage && this.kind.withFaults;
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
    const { rows, skew } = this.objects.of(home);
    const links = channels
      .filter((channel) => channel !== home)
      .map((channel) => rows.get(`upstream:${channel}`));
    // Epochs are times, by the clock of the object.
    return links.every((link) => isUpstream(link) && link.epoch - skew > at);
  }

  /** Has every object claim anew what it holds. */
  recountAll(): void {
    for (const { name } of this.objects) void this.objects.event(name, 1).called("recount", undefined, 1);
  }
}

function hasBreach({ breach }: { breach: unknown }): boolean {
  return breach !== undefined;
}
