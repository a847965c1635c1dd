/**
 * A service of simulated objects and clients, with neither a clock nor a network. Every call between objects, every
 * timer and every client's next command is queued as an action until the scheduler (`scheduler.ts`) picks it.
 * Objects crash, and leave memory as they do when they hibernate.
 *
 * The objects run the real code (`src/object/broker.ts`). Everything else (time, randomness, calls, storage, tokens)
 * comes from here, and so from the choices alone.
 */
import { EVERYONE } from "../../src/protocol/channels.ts";
import { subjectOf } from "../../src/protocol/members.ts";
import type { Limits } from "../../src/runtime/limits.ts";
import { channelOf, parentOf } from "../../src/runtime/object-names.ts";
import type { CoverageGoal } from "./coverage.ts";
import { Histories } from "./histories.ts";
import { checkBuffers, checkGrants } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { MEMBER_CHANNELS, MembersTruth } from "./members-truth.ts";
import type { Action } from "./network.ts";
import type { ObservedCall, SimulatedObject } from "./object.ts";
import { Objects } from "./objects.ts";
import { limitsOf, type Profile } from "./profile.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import { grantsIn, Secrets } from "./secrets.ts";
import { SimulatedClient, type Surroundings } from "./sim-client.ts";
import type { WatchedService } from "./watching.ts";

/** Milliseconds between two actions. */
const STEP = 10;

/** When a run begins, in milliseconds: late enough that slow clocks don't show a time before 1970. */
const START = 1_000_000;

/** In milliseconds. */
const HOUR = 3_600_000;

/** Clock skews, in milliseconds, where clocks are off. */
const SKEWS = [0, 1_500, -1_500, 60_000, -60_000];

export class Simulation implements Surroundings {
  readonly profile: Profile;
  readonly objects: Objects;
  readonly clients: SimulatedClient[] = [];
  readonly ledger: Ledger;
  readonly histories: Histories;
  readonly secrets = new Secrets();
  readonly members: MembersTruth;
  readonly watched: WatchedService;
  /** What happened, for people to read. */
  readonly trace: string[] = [];
  readonly covered = new Set<CoverageGoal>();
  /** Clients that a new connection has replaced. */
  readonly reconnected = new Set<SimulatedClient>();
  /** Called after each call between objects. */
  observe: (call: ObservedCall) => void = () => {};
  /** The true time, in milliseconds. */
  now = START;
  /** Rows that storage still accepts. */
  rowsLeft = Number.POSITIVE_INFINITY;
  /** Whether storage has refused a row, and the channels whose objects have left memory since. */
  #hasRefused = false;
  readonly #unsure = new Set<string>();
  /** How long messages are retained, in milliseconds. */
  readonly retention: number;
  /** A violation found where it can't be thrown. */
  violation: unknown;
  readonly #choose: (among: number) => number;
  /** Events for objects that block their input, oldest first. */
  readonly #queued: { home: string; deliver: () => void }[] = [];
  /** Checks that no member has stayed too long, unless faults can delay that until the end of the run. */
  checkGhosts(): void {
    const { withPresence, withFaults, withFullStorage } = this.profile;
    if (withPresence && !withFaults && !withFullStorage) this.members.checkGhosts();
  }

  /** The time of the last fault, and the objects that survived it, in memory or hibernating. */
  #lastFault = { at: 0, survivors: new Set<string>() };

  /** @param choose picks one of `among` options: a number from 0 to `among - 1` */
  constructor(choose: (among: number) => number, profile: Profile) {
    this.#choose = choose;
    this.profile = profile;
    const limits = limitsOf(profile, choose);
    const { withFaults, withFullStorage, withTinyBuffers, withSkew, isStrict } = profile;
    const mayForget = withFullStorage || withTinyBuffers;
    const lateness = withFaults ? 100_000 : 10_000;
    this.members = this.#truthOf(limits);
    this.watched = {
      now: () => this.now,
      members: this.members,
      retention: limits.historySeconds * 1000,
      lateness,
      mayForget: mayForget || profile.withLittleHistory,
      mayRenumber: withFullStorage,
      cover: (goal) => this.cover(goal),
    };
    this.ledger = new Ledger(
      {
        milliseconds: limits.historySeconds * 1000,
        mayForget: mayForget || profile.withLittleHistory,
        mayRenumber: withFullStorage,
        lateness,
      },
      () => this.now,
    );
    const { historySeconds, historyBytes, maxBufferedBytes } = limits;
    this.retention = historySeconds * 1000;
    const rules = {
      milliseconds: historySeconds * 1000,
      bytes: historyBytes,
      charactersForLinks: maxBufferedBytes / 2,
    };
    this.histories = new Histories(rules, () => this.now);
    this.objects = new Objects({
      now: () => this.now,
      choose,
      skew: () => (withSkew ? (SKEWS[choose(SKEWS.length)] ?? 0) : 0),
      limits,
      guard: () => (profile.withTokens ? this.secrets.guard() : undefined),
      cover: (goal) => this.cover(goal),
      withFaults,
      isDeploying: profile.withDeploy,
      isStrict,
      // A call that can't be made is retried by an alarm, and full storage refuses alarms.
      isDenied: () => isStrict && !withFullStorage && choose(4) === 0,
      observe: (call) => this.observe(call),
      acceptsRow: () => this.#acceptsRow(),
      retained: ({ name, skew }, row) => this.#checking(() => this.histories.store(name, row, skew)),
      notRetained: ({ name }) => this.histories.refuse(name),
      ending: (object) => this.#noteEnd(object),
      crashing: (object) => this.#noteCrash(object),
    });
  }

  #truthOf({ presenceGraceSeconds, membersPerChannel }: Limits): MembersTruth {
    const { withFullStorage, withLittleHistory } = this.profile;
    const isComplete = !withFullStorage && !withLittleHistory;
    return new MembersTruth(
      { grace: presenceGraceSeconds * 1000, most: membersPerChannel, isComplete, mayRenumber: withFullStorage },
      {
        now: () => this.now,
        cover: (goal) => this.cover(goal),
        rowsOf: (name) => this.objects.of(name).rows,
      },
    );
  }

  #acceptsRow(): boolean {
    if (this.rowsLeft === 0) this.cover("a row refused");
    this.rowsLeft = Math.max(0, this.rowsLeft - 1);
    this.#hasRefused ||= this.rowsLeft === 0;
    return this.rowsLeft > 0;
  }

  /** Notes that an object leaves memory, and forgets what storage has refused. */
  #noteEnd({ name }: SimulatedObject): void {
    if (this.#hasRefused && this.profile.withFaults) this.#unsure.add(channelOf(name)).add(EVERYONE);
  }

  /** Notes what a crash leaves undone: an object without an alarm doesn't wake by itself. */
  #noteCrash({ name, alarm }: SimulatedObject): void {
    const { network } = this.objects;
    const hasReports = network.labelsOf(name).some((label) => label.includes(": present "));
    if (subjectOf(name) !== undefined && hasReports) this.cover("a report in flight at a crash");
    // An alarm for the end of a token may be due long after the run.
    if (alarm !== undefined && alarm < this.now + HOUR && !this.profile.withFullStorage) return;
    this.members.strand(this.clients.filter(({ home }) => home === name).map(({ presences }) => presences));
  }

  /** Keeps a violation, because objects swallow what their storage throws. */
  #checking(act: () => void): void {
    try {
      act();
    } catch (violation) {
      this.violation ??= violation;
    }
  }

  cover(goal: CoverageGoal): void {
    this.covered.add(goal);
  }

  /** Performs one action, and everything that follows from it immediately. */
  async perform({ label, happen, isFault, at = 0 }: Action): Promise<void> {
    this.now = Math.max(this.now + STEP, at);
    this.trace.push(`${(this.now / 1000).toFixed(2)} s: ${label}`);
    happen();
    if (isFault) this.#noteFault();
    await settle();
    for (const { socket } of this.clients) this.violation ??= socket.violation;
    if (this.violation !== undefined) throw this.violation;
    if (this.objects.broken) throw this.objects.broken;
    if (this.profile.withSlowReaders) checkBuffers(this.objects);
    if (this.profile.withTokens) checkGrants(this.objects);
    if (this.profile.withPresence) this.members.scan();
  }

  /** Returns the actions that follow by themselves, oldest first. */
  immediate(): Action[] {
    return [...this.objects.network.pending(), ...this.#arrivals()];
  }

  /** For each object that accepts events again, the oldest queued one. */
  #arrivals(): Action[] {
    const firsts = new Map([...this.#queued].reverse().map((arrival) => [arrival.home, arrival]));
    const free = [...firsts.values()].filter(({ home }) => !this.objects.isHolding(home));
    return free.map((arrival) => ({
      label: `${arrival.home} receives a queued event`,
      happen: () => {
        this.#queued.splice(this.#queued.indexOf(arrival), 1);
        arrival.deliver();
      },
    }));
  }

  /** Slow clients read the next frame sent to them. */
  reads(): Action[] {
    const late = this.clients.filter(({ socket }) => socket.unread.length > 0);
    return late.map((client) => ({ label: `${client.name} reads`, happen: () => this.#read(client) }));
  }

  #read(client: SimulatedClient): void {
    client.socket.unread.shift()?.read();
    if (client.ending) this.#leave(client);
  }

  #noteFault(): void {
    const alive = [...this.objects].filter(
      ({ incarnation, sockets }) => incarnation || sockets.some(({ open }) => open),
    );
    this.#lastFault = { at: this.now, survivors: new Set(alive.map(({ name }) => name)) };
  }

  // --- clients

  /** Connects a new client that replaces an earlier one, and resumes from its positions. */
  reconnect(earlier: SimulatedClient): void {
    const { counting, paused } = earlier.received;
    const counted = counting.get(earlier.channel) ?? paused.get(earlier.channel);
    const client = this.connect(earlier.channel, "", counted?.position);
    client.received.reconnect(earlier.received);
    for (const [channel, watching] of earlier.watching) client.watching.get(channel)?.reconnect(watching);
    client.catchUp();
    if (this.profile.withPresence) this.#enterAgain(client, earlier);
    this.reconnected.add(earlier);
  }

  /** Most clients that reconnect enter again. */
  #enterAgain(client: SimulatedClient, earlier: SimulatedClient): void {
    for (const channel of MEMBER_CHANNELS) {
      const settled = earlier.presences.settled(channel);
      if (settled && this.#choose(4) > 0) client.enter(channel, settled);
    }
  }

  /**
   * @param region the client's region
   * @param since the position to resume the channel from
   */
  connect(channel: string, region = "", since?: number): SimulatedClient {
    const name = `${String.fromCharCode(97 + (this.clients.length % 26))}${this.clients.length}`;
    const client = new SimulatedClient(this, name, channel, since);
    this.clients.push(client);
    client.home = this.#findObject(channel, region);
    const grants = this.profile.withTokens ? grantsIn(this.token()) : undefined;
    if (grants) client.until = grants.until;
    if (grants) client.mayEnter = grants.enter !== undefined;
    const { home, socket } = client;
    const from = since === undefined ? undefined : { since };
    this.#deliver(home, () => {
      if (!this.objects.admits(home, grants)) this.#refuse(client);
      else this.objects.event(home, 2).opened(socket, region, grants, from);
    });
    return client;
  }

  /** Refuses an upgrade. */
  #refuse(client: SimulatedClient): void {
    this.cover("an upgrade refused");
    client.socket.open = false;
    client.ended(1005, "");
  }

  /** Returns the object of the channel's tree that has room, found as the Worker finds it. */
  #findObject(root: string, region: string): string {
    let full = "";
    let below = false;
    for (let object = root; ; ) {
      const next = this.objects.wake(object).placementFor(region, full, below);
      if (next === undefined) return object;
      full = next.object === "" ? object : "";
      object = next.object === "" ? (parentOf(object) ?? root) : next.object;
      below = next.below;
    }
  }

  /** Returns a token that expires soon, or long after the run. */
  token(): string {
    const soon = Math.ceil(this.now / 1000) + this.#choose(2);
    const until = 1000 * (this.#choose(2) ? soon : 1_000_000);
    const mayEnter = this.profile.withPresence && this.#choose(4) > 0;
    return this.secrets.tokenUntil(until, this.profile.withLongGrants, mayEnter);
  }

  /** Restarts every object, with the current secrets. No work may be in progress. */
  restartAll(): void {
    for (const object of this.objects) this.objects.end(object);
  }

  /**
   * Whether messages of a channel may be lost silently, which is one of the rare exceptions: an object that crashes while
   * it delivers has no record of that if storage is full, and one that couldn't join `all` doesn't retry.
   */
  mayLose(channel: string): boolean {
    return this.#unsure.has(channel);
  }

  get hasLongGrants(): boolean {
    return this.profile.withLongGrants;
  }

  get isReliable(): boolean {
    const { withFaults, withFullStorage, withTinyBuffers, withLongGrants, withHistory } = this.profile;
    return withHistory && !withFaults && !withFullStorage && !withTinyBuffers && !withLongGrants;
  }

  get readLate(): boolean {
    return this.profile.withSlowReaders;
  }

  arrive({ home, socket }: SimulatedClient, frame: string): void {
    this.#deliver(home, () => {
      if (socket.open) this.objects.event(home, 1).received(socket, frame);
    });
  }

  /** Delivers an event to an object, or queues it until the object accepts events. */
  #deliver(home: string, deliver: () => void): void {
    const isBehind = this.#queued.some((arrival) => arrival.home === home);
    if (isBehind || this.objects.isHolding(home)) this.#queued.push({ home, deliver });
    else deliver();
  }

  /** Disconnects a client. */
  disconnect(client: SimulatedClient): void {
    if (!client.socket.open) return;
    client.socket.open = false;
    client.ended(1005, "");
    this.#leave(client);
  }

  /** Reports the end of a connection to its object, whichever side ended it. */
  #leave({ home, socket }: SimulatedClient): void {
    socket.unread.length = 0;
    this.#deliver(home, () => {
      const object = this.objects.of(home);
      if (!object.sockets.includes(socket)) return;
      this.objects.event(home, 1).closed(socket);
      object.sockets = object.sockets.filter((other) => other !== socket);
    });
  }

  isLinkedToAll(home: string): boolean {
    if (home === "all") return true;
    // Storage refused to delete rows, so a row proves nothing.
    if (Number.isFinite(this.rowsLeft)) return false;
    const { rows, linked } = this.objects.of(home);
    const row = rows.get("upstream:all");
    if (!isUpstream(row) || row.epoch !== linked.get(row.parent)) return false;
    if (!isOfEpoch(this.objects.of(row.parent).rows.get(`downstream:${home}`), row.epoch)) return false;
    return row.parent === "all" || this.isLinkedToAll(row.parent);
  }

  /** Notes that every connection of a linked object receives `all` from now on, however late its object was linked. */
  noteLinksToAll(): void {
    for (const client of this.clients) {
      if (client.open && this.isLinkedToAll(client.home)) client.receivesAllSince ??= this.now;
    }
  }

  /**
   * Whether no fault can affect a client, because all are older than its connection.
   * An object that survived the last fault can't know whether its links are still good without asking for each
   * new client, so a client accepted on the strength of such a link may still be closed.
   */
  isUnaffected({ home, connected }: SimulatedClient, channels: string[]): boolean {
    const { at, survivors } = this.#lastFault;
    if (connected <= at || this.profile.withTinyBuffers || this.profile.withFullStorage) return false;
    // Frames read now were sent over links that may since have been replaced.
    if (this.profile.withSlowReaders) return false;
    if (!survivors.has(home)) return true;
    const { rows, skew } = this.objects.of(home);
    const links = channels.filter((channel) => channel !== home).map((channel) => rows.get(`upstream:${channel}`));
    // Epochs are times, by the object's own clock.
    return links.every((link) => isUpstream(link) && link.epoch - skew > at);
  }

  /** Has every object claim its connections again. */
  recountAll(): void {
    for (const { name } of this.objects) void this.objects.event(name, 1).called("recount", undefined, 1);
  }
}

/** Waits until every chain of promises in the objects has settled. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
