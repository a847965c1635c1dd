/** A program that uses a client in every way, and checks what it gets. */
import { Client } from "../../../src/client/client.ts";
import { Refused } from "../../../src/client/errors.ts";
import type { AnnounceOptions, Fanout, Members, TokenSource } from "../../../src/client/types.ts";
import { presenceOf } from "../../../src/protocol/members.ts";
import { Violation } from "../violation.ts";
import type { Pending } from "./clock.ts";
import { Internet, type World } from "./internet.ts";
import { Reader } from "./reader.ts";
import type { Truth } from "./truth.ts";

/** A channel of a server that retains no messages on it. */
export const FLEETING = "fleeting";

export const CHANNELS = ["a", "b", "all", FLEETING];

const MOST_READERS = 4;
const MOST_MEMBERS = 2;

/** How a program reaches the server. */
export type Transport = "sockets" | "blocked" | "none";

interface Announcement {
  channel: string;
  text: string;
  options: AnnounceOptions;
  outcome: { position: number | undefined } | { error: unknown } | undefined;
}

/** A call of `enter` or `leave`. */
interface PresenceCall {
  channel: string;
  /** The data to enter with; undefined to leave. */
  data: string | undefined;
  outcome: "carried out" | Error | undefined;
}

type Action = [label: string, happen: () => void];

export class Program {
  readonly name: string;
  readonly client: Fanout;
  readonly internet: Internet;
  readonly readers: Reader[] = [];
  readonly #rosters: Members[] = [];
  readonly #world: World;
  readonly #truth: Truth;
  readonly #hasHistory: (channel: string) => boolean;
  readonly #announcements: Announcement[] = [];
  readonly #presences: PresenceCall[] = [];
  readonly #wakers = new Set<() => void>();
  #questions = 0;
  #keys = 0;
  #isOffline = false;
  /** The number of times that the client may have connected at once, without a delay. */
  #starts = 1;
  #attempts = 0;
  readonly #startedAt: number;
  readonly #transport: Transport;
  isClosed = false;

  constructor(
    name: string,
    world: World,
    truth: Truth,
    { transport, token }: { transport: Transport; token: TokenSource | undefined },
    hasHistory: (channel: string) => boolean,
  ) {
    this.name = name;
    this.#transport = transport;
    this.#world = world;
    this.#truth = truth;
    this.#hasHistory = hasHistory;
    this.internet = new Internet(world, name);
    this.internet.isBlocked = transport === "blocked";
    const { clock, choose, record } = world;
    this.#startedAt = clock.now;
    const { WebSocket, fetch, loadRequests } = this.internet;
    const onState = ({ state, reason }: { state: string; reason: string }) => {
      record(`${name} is ${state} ${reason}`);
      if (state === "connecting") this.#countAttempt();
      if (state === "failed") world.violates(new Violation(`${name} failed: ${reason}`));
    };
    this.client = new Client(
      "wss://host",
      { onState, token },
      {
        now: () => clock.now - this.#startedAt,
        date: () => clock.now,
        random: () => choose(1_000) / 1_000,
        newKey: () => {
          this.#keys += 1;
          return `${name}-${this.#keys}`;
        },
        later: (milliseconds, act) => clock.later(this, `a timer of ${name}`, milliseconds, act),
        onWaking: (wake) => {
          this.#wakers.add(wake);
          return () => this.#wakers.delete(wake);
        },
        loadRequests,
        WebSocket: transport === "none" ? undefined : WebSocket,
        fetch,
        location: undefined,
      },
    );
  }

  /** Whether the client is present wherever it wants to be: only WebSockets can be. */
  get isPresent(): boolean {
    return this.internet.isConnected;
  }

  /** Checks the number of connection attempts against the least delays between them. */
  #countAttempt(): void {
    this.#attempts += 1;
    this.internet.forgetDelays("announce");
    const most = 4 + 2 * this.#starts + (this.#world.clock.now - this.#startedAt) / 500;
    if (this.#attempts > most) this.#guard(() => fail(`${this.name} has tried to connect ${this.#attempts} times`));
  }

  /** Returns what the program may do next. */
  actions(): Pending[] {
    const { choose } = this.#world;
    const channel = CHANNELS[choose(CHANNELS.length)] ?? "a";
    const busy = choose(2) === 0 ? "a" : "b";
    const actions: Action[] = [
      [`announces on ${busy}`, () => this.#announce(busy, {})],
      [`announces on ${channel}`, () => this.#announce(channel, {})],
      [`announces three times on ${busy}`, () => times(3, () => this.#announce(busy, {}))],
      [`announces on ${busy} with a timeout`, () => this.#announce(busy, { timeout: 1 + choose(20_000) })],
      [`announces twice with one key on ${busy}`, () => this.#announceTwice(busy)],
      ["pings", () => this.#ping()],
      ["wakes up", () => this.#wake()],
      [`enters ${busy}`, () => this.#enter(busy)],
      [`leaves ${busy}`, () => this.#leave(busy)],
    ];
    if (this.#isOffline) actions.push(["connects", () => this.#connect()], ["connects", () => this.#connect()]);
    else if (choose(4) === 0) actions.push(["disconnects", () => this.#disconnect()]);
    const open = this.readers.filter(({ isEnded }) => !isEnded);
    if (open.length < MOST_READERS) {
      actions.push(
        [`subscribes to ${channel}`, () => this.subscribe(channel, {})],
        [`subscribes to ${busy}, last 3`, () => this.subscribe(busy, { last: 3 })],
      );
      if (this.#hasHistory(busy)) {
        const since = Math.max(0, this.#truth.newest(busy) - choose(6));
        actions.push([`subscribes to ${busy} since ${since}`, () => this.subscribe(busy, { since })]);
      }
    }
    if (this.#rosters.length < MOST_MEMBERS) actions.push([`follows the members of ${busy}`, () => this.#follow(busy)]);
    for (const reader of open) {
      actions.push([`${reader.name} unsubscribes`, () => reader.subscription?.unsubscribe()]);
    }
    return actions.map(([label, happen]) => ({ label: `${this.name} ${label}`, happen }));
  }

  // --- what it does

  /** Subscribes to some channels. */
  settleIn(): void {
    for (const channel of CHANNELS) if (this.#world.choose(2) === 0) this.subscribe(channel, {});
  }

  subscribe(channel: string, options: { since?: number; last?: number }): void {
    const name = `reader ${this.readers.length} of ${this.name}`;
    const known = { known: this.client.position(channel), hasHistory: this.#hasHistory(channel) };
    const reader = new Reader(name, channel, this.#truth, options, known);
    const iterates = this.#world.choose(2) === 0;
    const callbacks = Object.entries(reader.callbacks(iterates)).map(([key, act]) => [
      key,
      (...words: unknown[]) => this.#guard(() => typeof act === "function" && Reflect.apply(act, undefined, words)),
    ]);
    reader.subscription = this.client.subscribe(channel, { ...options, ...Object.fromEntries(callbacks) });
    this.readers.push(reader);
    if (iterates) void this.#iterate(reader);
  }

  async #iterate(reader: Reader): Promise<void> {
    reader.isLoopOver = false;
    try {
      for await (const message of reader.subscription ?? []) this.#guard(() => reader.read(message));
    } catch (error) {
      if (error !== reader.error) this.#guard(() => fail(`the loop of ${reader.name} throws ${error}`));
    }
    reader.isLoopOver = true;
    if (!reader.isEnded) this.#guard(() => fail(`the loop of ${reader.name} ends too early`));
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#world.violates(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #announce(channel: string, options: AnnounceOptions): void {
    const number = this.#announcements.length;
    const text = `${this.name}.${number}`;
    this.#truth.issue(channel, text, this.name, number);
    this.#send({ channel, text, options, outcome: undefined });
  }

  #announceTwice(channel: string): void {
    const options = { key: `${this.name}-twice-${this.#announcements.length}` };
    this.#announce(channel, options);
    const [first] = this.#announcements.slice(-1);
    if (first) this.#send({ ...first, outcome: undefined });
  }

  #send(announcement: Announcement): void {
    const { channel, text, options } = announcement;
    this.#announcements.push(announcement);
    this.client.announce(channel, text, options).then(
      (position) =>
        this.#guard(() => {
          announcement.outcome = { position };
          if (this.#hasHistory(channel) !== (position !== undefined)) fail(`'${text}' is announced at ${position}`);
          if (position !== undefined) this.#truth.found(channel, position, text, `the announcement of ${this.name}`);
        }),
      (error: unknown) => {
        announcement.outcome = { error };
      },
    );
  }

  #ping(): void {
    this.#questions += 1;
    const before = this.#announcements.slice();
    this.client.ping().then(
      () => {
        this.#questions -= 1;
        const pending = before.find(({ outcome }) => !outcome);
        if (pending) this.#guard(() => fail(`a ping of ${this.name} overtakes '${pending.text}'`));
      },
      (error: unknown) => this.#guard(() => fail(`a ping of ${this.name} fails: ${error}`)),
    );
  }

  #wake(): void {
    this.#starts += 1;
    for (const wake of this.#wakers) wake();
  }

  #disconnect(): void {
    this.#isOffline = true;
    this.client.disconnect();
  }

  #connect(): void {
    this.#starts += 1;
    this.#isOffline = false;
    this.internet.forgetDelays("connect");
    this.client.connect();
  }

  #enter(channel: string): void {
    const data = `d${this.#presences.length}`;
    const call: PresenceCall = { channel, data, outcome: undefined };
    this.#presences.push(call);
    const onEnd = (error: Error) => this.#guard(() => fail(`the presence of ${this.name} ends: ${error.message}`));
    settleInto(call, this.client.enter(channel, this.name, data, { onEnd }));
  }

  #leave(channel: string): void {
    const call: PresenceCall = { channel, data: undefined, outcome: undefined };
    this.#presences.push(call);
    settleInto(call, this.client.leave(channel));
  }

  #follow(channel: string): void {
    this.#rosters.push(this.client.members(channel));
  }

  // --- the end

  /** Announces what is to come last on each channel. */
  sayLast(): void {
    for (const channel of CHANNELS) this.#announce(channel, {});
  }

  /** Ends what the program itself keeps from settling. */
  recover(): void {
    if (this.#isOffline) this.#connect();
  }

  /** Returns the data with which the client is present in a channel; undefined if it isn't. */
  presenceIn(channel: string): string | undefined {
    let data: string | undefined;
    for (const call of this.#presences) {
      if (call.channel === channel && call.outcome === "carried out") data = call.data;
    }
    return this.isPresent ? data : undefined;
  }

  /**
   * Checks that everything has settled.
   * @param heads the newest positions of the channels
   * @param members the data of the members, by presence channel
   */
  check(heads: ReadonlyMap<string, number>, members: ReadonlyMap<string, string>): void {
    if (this.#questions > 0) fail(`${this.#questions} pings of ${this.name} are pending`);
    for (const announcement of this.#announcements) this.#checkOutcome(announcement);
    for (const call of this.#presences) this.#checkPresence(call);
    for (const reader of this.readers) reader.check(heads.get(reader.channel));
    const hasRead = this.readers.some(({ count }) => count > 0);
    if (hasRead)
      this.#world.cover(this.#transport === "sockets" ? "a message over a WebSocket" : "a message over a stream");
    for (const { channel, state, current } of this.#rosters) {
      const shown = JSON.stringify([...current].sort());
      if (state !== "subscribed") fail(`the members of ${channel} are ${state} at ${this.name}`);
      if (shown !== members.get(presenceOf(channel))) fail(`${this.name} has ${shown} as members of ${channel}`);
    }
  }

  #checkOutcome({ channel, text, options, outcome }: Announcement): void {
    if (!outcome) fail(`the announcement of '${text}' is pending`);
    if ("position" in outcome) return;
    const { error } = outcome;
    const code = error instanceof Refused ? error.code : String(error);
    const isExpected =
      (options.timeout !== undefined && ["uncertain", "unavailable"].includes(code)) ||
      (!this.#hasHistory(channel) && code === "uncertain");
    if (!isExpected) fail(`the announcement of '${text}' on ${channel} fails: ${error}`);
    if (code === "unavailable" && this.#truth.message(channel, text, this.name).positions.length > 0) {
      fail(`the announcement of '${text}' fails, but was carried out`);
    }
  }

  #checkPresence({ channel, data, outcome }: PresenceCall): void {
    if (outcome === "carried out" && data !== undefined) this.#world.cover("an entry");
    if (!outcome) fail(`${this.name} is still ${data === undefined ? "leaving" : "entering"} ${channel}`);
    if (outcome === "carried out") return;
    const isExpected = /^`leave` was called|^presence needs/.test(outcome.message);
    if (!isExpected) fail(`${this.name} can't enter ${channel}: ${outcome.message}`);
  }

  close(): void {
    this.client.close({ within: 60_000 }).then(() => {
      this.isClosed = true;
    });
  }

  /** Checks that a closed client has nothing left. */
  checkClosed(): void {
    if (!this.isClosed || this.client.state !== "closed") fail(`${this.name} isn't closed`);
    this.internet.isClosed = true;
    const [timer] = this.#world.clock.of(this);
    if (timer !== undefined) fail(`${this.name} is closed, but has a timer`);
    if (this.#wakers.size > 0) fail(`${this.name} is closed, but waits to be woken`);
  }
}

function settleInto(call: PresenceCall, promise: Promise<void>): void {
  promise.then(
    () => {
      call.outcome = "carried out";
    },
    (error: Error) => {
      call.outcome = error;
    },
  );
}

function times(count: number, act: () => void): void {
  for (let i = 0; i < count; i++) act();
}

function fail(what: string): never {
  throw new Violation(what);
}
