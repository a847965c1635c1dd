/** A whole world: clients, the Worker's isolates and the objects, with the network between them, in one process. */
import type { Guard } from "../../../src/auth/verify.ts";
import { presenceOf } from "../../../src/protocol/members.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { Objects } from "../objects.ts";
import { kindOfRow } from "../rows.ts";
import { Violation } from "../violation.ts";
import type { NewIsolate } from "./bundle.ts";
import { Clock, type Pending } from "./clock.ts";
import type { Goal } from "./coverage.ts";
import { signed } from "./crypto.ts";
import { requestOf, type World as Surroundings } from "./internet.ts";
import { Isolate } from "./isolate.ts";
import type { Line } from "./line.ts";
import { CHANNELS, FLEETING, Program, type Transport } from "./program.ts";
import { Truth } from "./truth.ts";

/** How a world behaves. */
export interface Scenario {
  transports: Transport[];
  /** Whether clients need tokens, which they renew. */
  withTokens: boolean;
  /** How long messages are retained, in seconds. */
  historySeconds: number;
  /** Whether few clients are accepted per object, so that channels become trees. */
  withTrees: boolean;
  /** Whether clients may send few commands and requests per second. */
  hasLowRate: boolean;
  withFaults: boolean;
  /** Whether output of an object waits until its writes are durable, and a crash loses both. */
  isStrict: boolean;
}

const SECRET = "a-secret-of-the-simulation-with-more-than-32-bytes";

/** How long tokens are valid, in seconds; and at the end, when streams must not end any more. */
const LIFETIMES = [20, 60, 600];
const LONG = 3_600;

/** How late other events may make a timer, in milliseconds. */
const MOST_LATE = 1_000;

/** The time within which everything has to settle, in milliseconds: clients use requests for five minutes. */
const SETTLE_TIMEOUT = 900_000;

/** How long it is silent at the end, in milliseconds. */
const SILENCE = 6 * 3_600_000;

/** Durations of outages of an object, in milliseconds. */
const OUTAGES = [2_000, 2_000, 20_000, 120_000];

/** The kinds of rows that the root of `all` keeps for the whole service, and to continue its positions. */
const OF_SERVICE = ["service", "counted", "history"];

const PRESENCE_CHANNELS = ["a", "b"];

export class World implements Surroundings {
  readonly choose: (among: number) => number;
  readonly clock = new Clock();
  readonly objects: Objects;
  readonly lines: Line[] = [];
  readonly variables: Record<string, string>;
  readonly programs: Program[];
  readonly truth: Truth;
  readonly trace: string[] = [];
  readonly reached = new Set<Goal>();
  isHostile: boolean;
  readonly #scenario: Scenario;
  readonly #create: NewIsolate;
  #isolates: Isolate[] = [];
  #ended = 0;
  #violation: Error | undefined;
  #guard: Guard | undefined;
  #isHealed = false;

  constructor(choose: (among: number) => number, scenario: Scenario, create: NewIsolate) {
    this.choose = choose;
    this.#scenario = scenario;
    this.#create = create;
    const { withFaults, withTokens, withTrees, hasLowRate, historySeconds, isStrict } = scenario;
    this.isHostile = withFaults;
    this.variables = {
      HISTORY_SECONDS: String(historySeconds),
      HISTORY_CHANNELS: "a b all",
      PRESENCE_GRACE_SECONDS: "5",
      ...(withTrees && { SOCKETS_PER_OBJECT: "2", LINKS_PER_OBJECT: "1" }),
      ...(hasLowRate && { LINES_PER_SECOND: "30" }),
      ...(withTokens && { TOKEN_SECRET: SECRET }),
    };
    this.truth = new Truth(() => this.clock.now, historySeconds * 1_000);
    this.objects = new Objects({
      now: () => this.clock.now,
      choose,
      skew: () => 0,
      limits: readLimits(this.variables),
      guard: () => this.#guard,
      cover: () => {},
      withFaults,
      isDeploying: false,
      isStrict,
      isDenied: () => false,
      observe: () => {},
      acceptsRow: () => true,
      crashing: () => {},
      retained: () => {},
      notRetained: () => {},
      ending: () => {},
    });
    this.programs = scenario.transports.map((transport, i) => {
      const token = withTokens
        ? () => this.#token(this.#isHealed ? LONG : (LIFETIMES[choose(LIFETIMES.length)] ?? 0))
        : undefined;
      return new Program(`p${i}`, this, this.truth, { transport, token }, (channel) => channel !== FLEETING);
    });
  }

  /** Prepares what objects check tokens with. */
  async start(): Promise<void> {
    if (!this.#scenario.withTokens) return;
    const { code } = new Isolate("objects", this, this.#create);
    this.#guard = await code.guardOf({ secret: SECRET, audience: undefined });
  }

  /** Returns a token. @param lifetime in seconds */
  #token(lifetime: number): string {
    const iat = Math.floor(this.clock.now / 1_000);
    const exp = iat + lifetime;
    const names = ["*", "all"];
    return signed({ iat, exp, subscribe: names, announce: names, enter: names }, SECRET);
  }

  cover = (goal: Goal): void => {
    this.reached.add(goal);
  };

  record = (what: string): void => {
    this.trace.push(`${(this.clock.now / 1_000).toFixed(2)} ${what.slice(0, 200)}`);
  };

  violates = (violation: Error): void => {
    this.#violation ??= violation;
  };

  isolate(): Isolate {
    const many = 1 + this.choose(2);
    while (this.#isolates.length < many) {
      this.#isolates.push(new Isolate(`isolate ${this.#ended + this.#isolates.length}`, this, this.#create));
    }
    return this.#isolates[many - 1] ?? this.isolate();
  }

  /** Begins with clients that are connected and subscribed. */
  async settleIn(): Promise<void> {
    this.isHostile = false;
    for (const program of this.programs) program.settleIn();
    await this.pass(2_000);
    this.isHostile = this.#scenario.withFaults;
  }

  // --- what happens next

  async step(): Promise<void> {
    const { choose } = this;
    const pending = () => this.#immediate();
    const programs = () => this.programs.flatMap((program) => program.actions());
    const faults = () => (this.isHostile ? this.#faults() : []);
    const sleeps = () => this.#sleeps();
    const next = () => this.#next();
    const kinds = [
      ...Array.from({ length: 8 }, () => pending),
      next,
      next,
      programs,
      programs,
      programs,
      faults,
      sleeps,
    ];
    const drawn = kinds[choose(kinds.length)]?.() ?? [];
    const events = drawn.length > 0 ? drawn : pending();
    const event = events[choose(events.length)];
    if (event) await this.perform(event);
  }

  async perform({ label, happen, at = 0 }: Pending): Promise<void> {
    this.clock.now = Math.max(this.clock.now + 1, Math.ceil(at));
    this.record(label);
    happen();
    await new Promise((resolve) => setImmediate(resolve));
    for (const { socket } of this.lines) this.#violation ??= asError(socket.violation);
    const violation = this.#violation ?? asError(this.objects.broken);
    if (violation) throw violation;
  }

  /** The events that can happen without time passing. */
  #immediate(): Pending[] {
    return [
      ...this.objects.network.pending(),
      ...this.lines.flatMap((line) => line.pending()),
      ...this.programs.flatMap(({ internet }) => internet.pending()),
      ...this.#timed().filter(({ at = 0 }) => at <= this.clock.now),
    ];
  }

  /** The next timer or alarm, for which time may have to pass; and those that are due soon after. */
  #next(): Pending[] {
    const timed = this.#timed();
    const first = timed.reduce((least, { at = 0 }) => Math.min(least, at), Number.POSITIVE_INFINITY);
    return timed.filter(({ at = 0 }) => at <= Math.max(this.clock.now, first) + MOST_LATE);
  }

  #timed(): Pending[] {
    const { timers, network } = this.objects;
    const own = timers.map((timer) => ({
      ...timer,
      happen: () => {
        timers.splice(timers.indexOf(timer), 1);
        timer.happen();
      },
    }));
    return [...own, ...network.timeouts(), ...this.#alarms(), ...this.clock.timers];
  }

  #alarms(): Pending[] {
    return [...this.objects].flatMap((object): Pending[] => {
      const { alarm, incarnation, name } = object;
      // An object that has just set its alarm again holds the new time.
      if (alarm === undefined || (incarnation && incarnation.alarm !== alarm)) return [];
      return [{ label: `the alarm of ${name}`, at: alarm, happen: () => this.objects.ring(object) }];
    });
  }

  /** Evictions of idle objects from memory. */
  #sleeps(): Pending[] {
    const { objects } = this;
    const idle = [...objects].filter(
      ({ name, incarnation }) => incarnation?.work === 0 && !objects.network.concerns(name),
    );
    return idle.map((object) => ({ label: `${object.name} hibernates`, happen: () => objects.end(object) }));
  }

  #faults(): Pending[] {
    const { objects, choose } = this;
    const awake = [...objects].filter(({ incarnation }) => incarnation);
    const calls = () => objects.network.faults();
    const breaks = () => this.programs.flatMap(({ internet }) => internet.faults());
    const crashes = () =>
      awake.map((object) => ({ label: `${object.name} crashes`, happen: () => objects.crash(object) }));
    const outages = () => awake.map(({ name }) => ({ label: `${name} is cut off`, happen: () => this.#cutOff(name) }));
    const ends = () =>
      this.#isolates.map((isolate) => ({ label: `${isolate.name} ends`, happen: () => this.#end(isolate) }));
    const deploys = () => (choose(3) === 0 ? [{ label: "a deploy", happen: () => this.#deploy() }] : []);
    const kinds = [calls, calls, calls, breaks, breaks, breaks, crashes, crashes, outages, ends, deploys];
    return kinds[choose(kinds.length)]?.() ?? [];
  }

  #cutOff(name: string): void {
    this.objects.network.outages.begin(name, undefined, this.clock.now + (OUTAGES[this.choose(OUTAGES.length)] ?? 0));
  }

  #end(isolate: Isolate): void {
    this.#ended += 1;
    if (isolate.connections > 0) this.cover("an isolate ended under a stream");
    this.#isolates = this.#isolates.filter((other) => other !== isolate);
    isolate.end();
  }

  #deploy(): void {
    for (const object of this.objects) this.objects.crash(object);
    for (const isolate of this.#isolates) this.#end(isolate);
  }

  // --- the end

  /** Ends with a last failure, while messages are announced, of clients that are connected. */
  async end(): Promise<void> {
    const { choose } = this;
    if (choose(2) === 0) {
      this.#heal();
      await this.pass(20_000);
    }
    this.isHostile = this.#scenario.withFaults;
    this.#isHealed = false;
    for (const { internet } of this.programs) if (this.isHostile && choose(2) === 0) internet.stall();
    for (const program of this.programs) if (choose(2) === 0) program.sayLast();
    for (let steps = choose(30); steps > 0; steps -= 1) await this.step();
    this.#heal();
  }

  /** Ends all faults, and has the programs end what keeps them from settling. */
  #heal(): void {
    this.record("all faults end");
    this.#isHealed = true;
    this.isHostile = false;
    this.objects.network.outages.end();
    for (const program of this.programs) program.recover();
  }

  /** Performs events in order, without faults, until a condition holds. @throws Violation if it never does */
  async until(isDone: () => boolean, what: string): Promise<void> {
    const end = this.clock.now + SETTLE_TIMEOUT;
    for (let steps = 0; !isDone(); steps += 1) {
      if (steps > 20_000 || this.clock.now > end) throw new Violation(what);
      await this.#stepOn();
    }
  }

  /** Performs the event that comes next. @returns whether there was one */
  async #stepOn(until = Number.POSITIVE_INFINITY): Promise<boolean> {
    const [event] = this.#immediate();
    if (event) await this.perform(event);
    else {
      const [first] = this.#timed().sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
      if (!first || (first.at ?? 0) > until) return false;
      await this.perform(first);
    }
    return true;
  }

  /** Lets time pass, in milliseconds. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.now + milliseconds;
    for (let steps = 0; await this.#stepOn(end); steps += 1) {
      if (steps > 20_000) throw new Violation("the world doesn't come to rest");
    }
    this.clock.now = Math.max(this.clock.now, end);
  }

  /** Checks that everything settles: each program has what it should, and lists of members are true. */
  async checkSettled(): Promise<void> {
    const end = this.clock.now + SETTLE_TIMEOUT;
    for (;;) {
      // Longer than a client takes to notice that its connection is dead.
      await this.pass(45_000);
      const problem = await this.#problem();
      if (!problem) break;
      if (this.clock.now > end) throw problem;
    }
    this.truth.checkGaps();
    if (this.truth.gaps > 0) this.cover("a gap");
    if ([...this.objects].some(({ name }) => name.includes("!"))) this.cover("a tree");
    this.truth.checkOrder();
  }

  /** Returns what isn't settled yet. */
  async #problem(): Promise<Error | undefined> {
    const heads = new Map<string, number>();
    for (const channel of ["a", "b", "all"]) {
      const { position } = await this.#ask(`/${channel}?poll=&since=now`);
      heads.set(channel, Number(position));
      await this.#checkPoll(channel, Number(position));
    }
    const members = new Map<string, string>();
    for (const channel of PRESENCE_CHANNELS) members.set(presenceOf(channel), await this.#members(channel));
    await this.pass(0);
    this.#checkConnections();
    try {
      for (const [channel, shown] of members) this.#checkMembers(channel, shown);
      for (const program of this.programs) program.check(heads, members);
      return undefined;
    } catch (problem) {
      return asError(problem);
    }
  }

  /** Checks that a poll returns the newest messages, and where they end. */
  async #checkPoll(channel: string, head: number): Promise<void> {
    const since = Math.max(0, head - 3);
    const { position, body } = await this.#ask(`/${channel}?poll=&since=${since}`);
    if (Number(position) !== head) throw new Violation(`a poll of ${channel} ends at ${position}, not at ${head}`);
    const lines = body.split("\n").slice(0, -1);
    const [gap = ""] = lines;
    const [, kind, , , to] = /^debug!(gap) (\S+) (\d+) (\d+)$/.exec(gap) ?? [];
    if (kind !== undefined) lines.shift();
    const after = kind === undefined ? since : Number(to);
    if (kind !== undefined) this.truth.missed("a poll", channel, since, after);
    if (after + lines.length !== head) throw new Violation(`a poll of ${channel} returns '${body}' since ${since}`);
    for (const [i, line] of lines.entries()) {
      this.truth.found(channel, after + 1 + i, line.slice(channel.length + 1), "a poll");
    }
  }

  /** Checks that the Worker holds a connection only for a request that it is carrying out. */
  #checkConnections(): void {
    const held = this.#isolates.reduce((sum, { connections }) => sum + connections, 0);
    const needed = this.programs.reduce((sum, { internet }) => sum + internet.requests, 0);
    if (held > needed) throw new Violation(`the Worker holds ${held} connections for ${needed} requests`);
  }

  async #members(channel: string): Promise<string> {
    const { body } = await this.#ask(`/${presenceOf(channel)}?members`);
    const { members }: { members: { member: string; data?: string }[] } = JSON.parse(body);
    return JSON.stringify(members.map(({ member, data = "" }) => [member, data]).sort());
  }

  #checkMembers(presence: string, shown: string): void {
    const channel = PRESENCE_CHANNELS.find((name) => presenceOf(name) === presence) ?? "";
    const present = this.programs.flatMap((program) => {
      const data = program.presenceIn(channel);
      return data === undefined ? [] : [[program.name, data]];
    });
    const expected = JSON.stringify(present.sort());
    if (shown !== expected) throw new Violation(`the members of ${channel} are ${shown}, not ${expected}`);
  }

  /** Asks the Worker as an onlooker, without faults. */
  async #ask(path: string, message?: string): Promise<{ position: string | null; body: string }> {
    const headers: Record<string, string> = this.#scenario.withTokens
      ? { Authorization: `Bearer ${this.#token(LONG)}` }
      : {};
    const disconnect = new AbortController();
    const method = message === undefined ? "GET" : "POST";
    const init = { method, headers, signal: disconnect.signal };
    const request = requestOf(`https://host${path}`, message === undefined ? init : { ...init, body: message });
    let answer: { status: number; position: string | null; body: string } | undefined;
    const read = async () => {
      const response = await this.isolate().handle(request);
      const body = await response.text();
      answer = { status: response.status, position: response.headers.get("Fanout-Position"), body };
    };
    void read().catch(this.violates);
    await this.until(() => answer !== undefined, `${path} isn't answered`);
    if (answer?.status !== 200) throw new Violation(`${path} is answered with ${answer?.status}: ${answer?.body}`);
    return answer;
  }

  /** Closes all clients, and checks that nothing is left of them. */
  async checkNothingLeft(): Promise<void> {
    for (const program of this.programs) program.close();
    await this.until(() => this.programs.every(({ isClosed }) => isClosed), "a client doesn't close");
    await this.pass(1_000);
    this.#checkConnections();
    for (const program of this.programs) program.checkClosed();
    // An object notices that links are gone, which a crash ended, when it delivers something.
    for (const channel of CHANNELS) await this.#ask(`/${channel}`, "the last message");
    await this.pass(SILENCE);
    const line = this.lines.find(({ isOver, socket }) => socket.open && !isOver && isHeld(this.objects, socket));
    if (line) throw new Violation(`${line.name} is still open`);
    for (const isolate of this.#isolates) {
      const [timer] = this.clock.of(isolate);
      if (timer !== undefined) throw new Violation(`${isolate.name} still has ${timer}`);
    }
    for (const { name, rows, alarm, sockets } of this.objects) {
      if (alarm !== undefined) throw new Violation(`${name} still has an alarm`);
      if (sockets.length > 0) throw new Violation(`${name} still has ${sockets.length} sockets`);
      const left = [...rows.keys()].filter((key) => name !== "all" || !OF_SERVICE.includes(kindOfRow(key)));
      if (left.length > 0) throw new Violation(`${name} still has the rows ${left}`);
    }
  }
}

function isHeld(objects: Iterable<{ sockets: unknown[] }>, socket: unknown): boolean {
  return [...objects].some(({ sockets }) => sockets.includes(socket));
}

function asError(error: unknown): Error | undefined {
  return error === undefined || error instanceof Error ? error : new Error(String(error));
}
