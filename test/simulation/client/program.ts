/** A program that uses every function of a client, and checks the guarantees. */
import { Client } from "../../../src/client/client.ts";
import type { Environment } from "../../../src/client/environment.ts";
import { Refused } from "../../../src/client/errors.ts";
import type {
  AnnounceOptions,
  Change,
  Fanout,
  FanoutOptions,
  Message,
  State,
  TokenSource,
} from "../../../src/client/types.ts";
import type { Member } from "../../../src/protocol/members.ts";
import { Breach, type Pending, type SimulatedEnvironment } from "./environment.ts";
import { Reader } from "./reader.ts";
import { FLEETING, FORBIDDEN_NAME, SECRET, type Server } from "./server.ts";
import { Watcher } from "./watcher.ts";

const CHANNELS = ["a", "b", "all", FLEETING, SECRET, "."];
const MAX_READERS = 6;
const MAX_WATCHERS = 4;

/** A call of `enter` or `leave`, or the end of a presence. */
interface PresenceCall {
  channel: string;
  /** As whom to enter; undefined to leave, or if the presence has ended. */
  entered: Member | undefined;
  outcome: "carried out" | Error | undefined;
}

type Action = [label: string, run: () => void];

interface AnnounceAnswer {
  channel: string;
  text: string;
  key: string | undefined;
  options: AnnounceOptions;
  number: number;
  isTooLong: boolean;
  outcome: { position: number | undefined } | { error: unknown } | undefined;
}

export class Program {
  readonly #environment: SimulatedEnvironment;
  readonly #server: Server;
  readonly client: Fanout;
  readonly readers: Reader[] = [];
  readonly announced: AnnounceAnswer[] = [];
  readonly watchers: Watcher[] = [];
  readonly presences: PresenceCall[] = [];
  readonly states: State[] = [];
  /** The number of pending `ping` and `info` calls. */
  questions = 0;
  isClosing = false;
  isClosed = false;
  breach: unknown;
  wakeUps = 0;
  /** Whether the client has failed because its token was revoked, and has no new one. */
  isRevoked = false;
  /** How often that has happened. */
  revocations = 0;
  /** Whether the client has failed for another reason. */
  hasFailed = false;

  constructor(
    environment: SimulatedEnvironment,
    server: Server,
    clientEnvironment: Environment,
    options: FanoutOptions,
  ) {
    this.#environment = environment;
    this.#server = server;
    const onState = ({ state, reason }: Change) => {
      environment.record(`state ${state}`);
      if (state === "failed" && reason.startsWith("revoked:")) {
        this.isRevoked = true;
        this.revocations += 1;
      } else if (state === "failed") this.hasFailed = true;
      else if (this.isRevoked && state !== "closed") this.breach ??= new Breach(`${state} though revoked`);
      if (this.states.at(-1) === "closed") this.breach ??= new Breach(`${state} after closed`);
      this.states.push(state);
      // Subscribe in a listener, as programs may.
      if (state === "connected" && environment.choose(4) === 1) this.subscribe("a", {});
    };
    this.client = new Client("wss://host", { ...options, onState }, clientEnvironment);
  }

  /** Returns the actions that the program may take next. */
  actions(): Pending[] {
    const { choose } = this.#environment;
    if (this.isClosing) return [];
    const channel = CHANNELS[choose(CHANNELS.length)] ?? "a";
    const busy = choose(2) === 0 ? "a" : "b";
    const actions: Action[] = [
      [`announce on ${busy}`, () => this.announce(busy, {})],
      [`announce five times on ${channel}`, () => this.#times(5, () => this.announce(channel, {}))],
      [`announce ten times on ${busy}`, () => this.#times(10, () => this.announce(busy, {}))],
      [`announce on ${channel} with a timeout`, () => this.announce(channel, { timeout: 1 + choose(20_000) })],
      [`announce twice with one key on ${busy}`, () => this.#twice(busy)],
      [`announce a long message on ${busy}`, () => this.announce(busy, {}, "x".repeat(choose(2) ? 700 : 3_000))],
      ["ping", () => this.#ask(() => this.client.ping())],
      ["ping with a timeout", () => this.#ask(() => this.client.ping({ timeout: 1 + choose(5_000) }))],
      ["info", () => this.#ask(() => this.client.info())],
      ...(this.isRevoked ? [] : [["disconnect and connect", () => this.#reconnect()] satisfies Action]),
    ];
    if (this.readers.filter(({ isEnded }) => !isEnded).length < MAX_READERS) {
      actions.push(
        [`subscribe ${channel}`, () => this.subscribe(channel, {})],
        [`subscribe ${channel} last 3`, () => this.subscribe(channel, { last: 3 })],
        [`subscribe ${busy} last 2`, () => this.subscribe(busy, { last: 2 })],
        [`subscribe ${busy} since`, () => this.subscribe(busy, { since: this.#server.channel(busy).head - choose(6) })],
      );
    }
    const entering = () => this.enter(channel, ["me", FORBIDDEN_NAME, "bob"][choose(3)] ?? "me");
    actions.push(
      [`enter ${busy}`, () => this.enter(busy, "me")],
      [`enter ${channel}`, entering],
      [`leave ${channel}`, () => this.leave(channel)],
      [`enter ${channel} and leave`, () => this.#times(1 + choose(2), () => this.#enterAndLeave(channel))],
      [`leave ${busy} and enter`, () => this.#leaveAndEnter(busy, choose(2) ? "me" : FORBIDDEN_NAME)],
      [`enter ${busy} thrice`, () => this.#times(3, () => this.enter(busy, choose(3) ? "me" : FORBIDDEN_NAME))],
    );
    if (this.watchers.filter(({ isEnded }) => !isEnded).length < MAX_WATCHERS) {
      actions.push([`watch ${channel}`, () => this.watch(channel)], [`watch ${busy}`, () => this.watch(busy)]);
    }
    for (const watcher of this.watchers) {
      if (!watcher.isEnded) actions.push([`${watcher.name} unsubscribes`, () => watcher.roster.unsubscribe()]);
    }
    for (const reader of this.readers) {
      if (!reader.isEnded) actions.push([`${reader.name} unsubscribes`, () => reader.subscription?.unsubscribe()]);
    }
    return actions.map(([label, run]) => ({ label, run }));
  }

  setToken(token: TokenSource): void {
    this.isRevoked = false;
    this.client.setToken(token);
  }

  #times(count: number, act: () => void): void {
    for (let i = 0; i < count; i++) act();
  }

  #reconnect(): void {
    this.client.disconnect();
    if (this.client.state !== "disconnected" && this.client.state !== "failed")
      throw new Breach("the client doesn't disconnect");
    this.client.connect();
  }

  subscribe(channel: string, options: { since?: number; last?: number }): void {
    const reader = new Reader(
      `reader ${this.readers.length}`,
      channel,
      this.#server,
      options,
      this.client.position(channel),
    );
    const hasListener = this.#environment.choose(2) === 0;
    const guarded = (message: Message) => this.#guard(() => reader.receive(message));
    const callbacks = Object.fromEntries(
      Object.entries(reader.optionsFor(!hasListener)).map(([name, act]) => [
        name,
        typeof act === "function"
          ? (...words: unknown[]) => this.#guard(() => Reflect.apply(act, undefined, words))
          : act,
      ]),
    );
    const subscription = this.client.subscribe(channel, {
      ...callbacks,
      ...(hasListener ? { onMessage: guarded } : {}),
    });
    reader.subscription = subscription;
    this.readers.push(reader);
    if (!hasListener) void this.#iterate(reader, subscription);
  }

  async #iterate(reader: Reader, subscription: AsyncIterable<Message>): Promise<void> {
    try {
      for await (const message of subscription) {
        // Later gaps may already have been reported; positions are checked when they are reported.
        this.#guard(() => reader.readBuffered(message));
      }
    } catch (error) {
      if (error !== reader.error) this.breach ??= error;
    }
    if (!reader.isEnded) this.breach ??= new Breach(`the loop of ${reader.name} ended too early`);
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.breach ??= error;
    }
  }

  enter(channel: string, member: string): void {
    const entered = { member, data: this.#environment.choose(4) === 0 ? "" : `n${this.presences.length}` };
    const call: PresenceCall = { channel, entered, outcome: undefined };
    this.presences.push(call);
    const before = this.#server.entries.length;
    const onEnd = (error: Error) => {
      this.#environment.record(`the presence in ${channel} ends: ${error.message}`);
      if (call.outcome !== "carried out") this.breach ??= new Breach(`the presence of a failed call ends`);
      this.presences.push({ channel, entered: undefined, outcome: "carried out" });
    };
    this.client.enter(channel, member, entered.data, { onEnd }).then(
      () => {
        call.outcome = "carried out";
        const isDone = this.#server.entries.some((entry, i) => i >= before && entry.channel === channel);
        if (!isDone) this.breach ??= new Breach(`entering ${channel} resolves, but wasn't carried out`);
      },
      (error) => {
        call.outcome = error;
      },
    );
  }

  leave(channel: string): void {
    const call: PresenceCall = { channel, entered: undefined, outcome: undefined };
    this.presences.push(call);
    this.client.leave(channel).then(
      () => {
        call.outcome = "carried out";
      },
      (error) => {
        call.outcome = error;
      },
    );
  }

  #enterAndLeave(channel: string): void {
    this.enter(channel, "me");
    this.leave(channel);
    if (this.#environment.choose(2) === 0) this.enter(channel, "me");
  }

  #leaveAndEnter(channel: string, member: string): void {
    this.leave(channel);
    this.enter(channel, member);
  }

  watch(channel: string): void {
    const name = `watcher ${this.watchers.length}`;
    this.watchers.push(new Watcher(name, this.client.members(channel), this.#server, (act) => this.#guard(act)));
  }

  announce(channel: string, options: AnnounceOptions, suffix = ""): void {
    this.#announce(channel, `m${this.announced.length}${suffix}`, options);
  }

  #announce(channel: string, text: string, options: AnnounceOptions): void {
    const isTooLong = text.length + 100 > this.#server.settings.maxLineBytes;
    const number = this.announced.length;
    const announced: AnnounceAnswer = {
      channel,
      text,
      key: options.key,
      options,
      number,
      isTooLong,
      outcome: undefined,
    };
    this.announced.push(announced);
    this.client.announce(channel, text, options).then(
      (position) => {
        announced.outcome = { position };
      },
      (error) => {
        announced.outcome = { error };
      },
    );
  }

  #twice(channel: string): void {
    const key = `twice-${this.announced.length}`;
    const text = `m${this.announced.length}`;
    this.#announce(channel, text, { key });
    this.#announce(channel, this.#environment.choose(3) === 0 ? `other ${text}` : text, { key });
  }

  #ask(question: () => Promise<unknown>): void {
    this.questions += 1;
    const before = this.announced.length;
    question()
      .then(() => {
        // All earlier announcements must have taken effect.
        const pending = this.announced.slice(0, before).find(({ outcome }) => !outcome);
        if (pending) this.breach ??= new Breach(`a ping overtook '${pending.text.slice(0, 20)}'`);
      })
      .catch((error: unknown) => {
        if (!(error instanceof Refused)) this.breach ??= error;
      })
      .finally(() => {
        this.questions -= 1;
      });
  }

  close(): void {
    this.isClosing = true;
    this.client.close({ within: 120_000 }).then(() => {
      this.isClosed = true;
    });
  }

  // --- checks

  check(mayFail: boolean): void {
    if (this.breach) throw this.breach;
    if (this.questions > 0) throw new Breach(`${this.questions} questions are pending`);
    for (const announced of this.announced) this.#checkOutcome(announced, mayFail);
    this.#checkOrder();
    this.#checkPresence(mayFail);
    for (const { channel, error } of this.readers) {
      if (error && channel !== SECRET && channel !== "." && !mayFail && !this.#isExpected(error)) throw error;
    }
    for (const { channel, error } of this.watchers) {
      if (error && channel !== SECRET && channel !== FLEETING && !mayFail && !this.#isExpected(error)) throw error;
    }
    if (this.client.state === "failed") return;
    for (const reader of [...this.readers, ...this.watchers]) reader.check();
  }

  /** Whether a call failed as it came after the token was revoked. */
  #isExpected(error: Error): boolean {
    return this.revocations > 0 && error instanceof Refused && error.code === "revoked";
  }

  /** Checks that the server has what the program has entered. */
  #checkPresence(mayFail: boolean): void {
    for (const call of this.presences) {
      const isRevoked = call.outcome instanceof Error && this.#isExpected(call.outcome);
      checkCall(call, mayFail || isRevoked);
    }
    const expected = new Map<string, Member>();
    for (const { channel, entered, outcome } of this.presences) {
      if (outcome !== "carried out") continue;
      if (entered) expected.set(channel, entered);
      else expected.delete(channel);
    }
    const [session] = [...this.#server.sessions].filter(({ isStream }) => !isStream);
    if (expected.size > 0 && this.client.state !== "connected") throw new Breach("the client isn't connected");
    // Plain requests can't enter.
    if (!session) return;
    const [actual, wanted] = [show(session.entered), show(expected)];
    if (actual !== wanted) throw new Breach(`the client is present as '${actual}', not as '${wanted}'`);
  }

  #checkOutcome(announced: AnnounceAnswer, mayFail: boolean): void {
    const { outcome, channel, text } = announced;
    const what = `announcement ${announced.number} of '${text.slice(0, 20)}' on ${channel}`;
    if (!outcome) throw new Breach(`${what} is pending`);
    const actual = this.#server.announced.get(text);
    if ("position" in outcome) {
      if (!actual) throw new Breach(`${what} resolved, but wasn't announced`);
      if (channel !== FLEETING && outcome.position !== actual.position) {
        throw new Breach(`${what} resolved to ${outcome.position}, not ${actual.position}`);
      }
      return;
    }
    const { error } = outcome;
    if (!(error instanceof Refused)) throw error;
    const expected = codesFor(announced, mayFail);
    if (this.revocations > 0) expected.push("revoked", "uncertain");
    if (!expected.includes(error.code)) throw new Breach(`${what} failed: ${error.code} ${error.message}`);
    // Another one with the same key and text may have been sent.
    const isRepeated = this.announced.some((other) => other !== announced && other.text === text);
    if (actual && !isRepeated && !["uncertain", "conflict"].includes(error.code))
      throw new Breach(`${what} failed, but was announced: ${error.message}`);
  }

  /** Checks that each channel's messages were announced in the order of the calls. */
  #checkOrder(): void {
    const newest = new Map<string, number>();
    for (const { channel, text, options } of this.announced) {
      const order = this.#server.announced.get(text)?.order;
      // Repetitions with a key, and announcements that timed out, may be out of order.
      if (order === undefined || options.key !== undefined || options.timeout !== undefined) continue;
      if (order < (newest.get(channel) ?? -1)) throw new Breach(`'${text}' was announced out of order on ${channel}`);
      newest.set(channel, order);
    }
  }
}

function show(members: Iterable<[string, Member]>): string {
  return [...members]
    .map(([channel, { member, data }]) => `${channel} ${member} ${data}`)
    .sort()
    .join("; ");
}

/** Checks the outcome of `enter` or `leave`. */
function checkCall({ channel, entered, outcome }: PresenceCall, mayFail: boolean): void {
  const what = entered ? `entering ${channel} as ${entered.member}` : `leaving ${channel}`;
  if (!outcome) throw new Breach(`${what} is pending`);
  const refusal = channel === FLEETING ? "no-history" : "forbidden";
  if (outcome === "carried out") {
    if (entered && (channel === SECRET || channel === FLEETING)) throw new Breach(`${what} was carried out`);
    return;
  }
  if (!(outcome instanceof Refused) || !entered) throw outcome;
  // A call is refused together with a later one that replaces it, such as as FORBIDDEN_NAME.
  const isExpected = outcome.code === refusal || /^`leave` was called|^presence needs/.test(outcome.message);
  if (!isExpected && !mayFail) throw new Breach(`${what} failed: ${outcome.code} ${outcome.message}`);
}

/** Returns the codes with which an announcement may fail. */
function codesFor({ channel, options, isTooLong }: AnnounceAnswer, mayFail: boolean): string[] {
  return [
    ...(options.timeout !== undefined || mayFail ? ["unavailable", "uncertain", "invalid", "expired"] : []),
    ...(channel === FLEETING ? ["uncertain"] : []),
    ...(channel === SECRET || mayFail ? ["forbidden"] : []),
    ...(channel === "." ? ["invalid", "uncertain"] : []),
    ...(isTooLong ? ["limit"] : []),
    ...(options.key === undefined ? [] : ["conflict"]),
  ];
}
