/** A program that uses a client in every way, and checks what the client promises. */
import { Client } from "../../../src/client/client.ts";
import type { Environment } from "../../../src/client/environment.ts";
import { Refused } from "../../../src/client/errors.ts";
import type { AnnounceOptions, Fanout, FanoutOptions, Message, State } from "../../../src/client/types.ts";
import { Breach, type Pending, type SimulatedEnvironment } from "./environment.ts";
import { Reader } from "./reader.ts";
import { FLEETING, SECRET, type Server } from "./server.ts";

const CHANNELS = ["a", "b", "all", FLEETING, SECRET, "."];
const MOST_READERS = 6;

interface Announced {
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
  readonly announced: Announced[] = [];
  readonly states: State[] = [];
  /** Pings and figures that are pending. */
  questions = 0;
  isClosing = false;
  isClosed = false;
  breach: unknown;
  wakeUps = 0;

  constructor(
    environment: SimulatedEnvironment,
    server: Server,
    clientEnvironment: Environment,
    options: FanoutOptions,
  ) {
    this.#environment = environment;
    this.#server = server;
    const onState = ({ state }: { state: State }) => {
      environment.note(`state ${state}`);
      if (this.states.at(-1) === "closed") this.breach ??= new Breach(`${state} after closed`);
      this.states.push(state);
      // Programs subscribe whenever they like.
      if (state === "connected" && environment.choose(4) === 1) this.subscribe("a", {});
    };
    this.client = new Client("wss://host", { ...options, onState }, clientEnvironment);
  }

  /** What the program may do next. */
  wishes(): Pending[] {
    const { choose } = this.#environment;
    if (this.isClosing) return [];
    const channel = CHANNELS[choose(CHANNELS.length)] ?? "a";
    const busy = choose(2) === 0 ? "a" : "b";
    const wishes: [label: string, happen: () => void][] = [
      [`announce on ${busy}`, () => this.announce(busy, {})],
      [`announce five times on ${channel}`, () => this.#times(5, () => this.announce(channel, {}))],
      [`announce ten times on ${busy}`, () => this.#times(10, () => this.announce(busy, {}))],
      [`announce on ${channel} within time`, () => this.announce(channel, { timeout: 1 + choose(20_000) })],
      [`announce the same on ${busy} twice`, () => this.#twice(busy)],
      [
        `announce something long on ${busy}`,
        () => this.announce(busy, {}, "x".repeat(choose(2) ? 700 : 3_000)),
      ],
      ["ping", () => this.#ask(() => this.client.ping())],
      ["ping within time", () => this.#ask(() => this.client.ping({ timeout: 1 + choose(5_000) }))],
      ["info", () => this.#ask(() => this.client.info())],
      ["disconnect and connect", () => this.#reconnect()],
    ];
    if (this.readers.filter(({ isEnded }) => !isEnded).length < MOST_READERS) {
      wishes.push(
        [`subscribe ${channel}`, () => this.subscribe(channel, {})],
        [`subscribe ${channel} last 3`, () => this.subscribe(channel, { last: 3 })],
        [`subscribe ${busy} last 2`, () => this.subscribe(busy, { last: 2 })],
        [
          `subscribe ${busy} since`,
          () => this.subscribe(busy, { since: this.#server.channel(busy).head - choose(6) }),
        ],
      );
    }
    for (const reader of this.readers) {
      if (!reader.isEnded)
        wishes.push([`${reader.name} unsubscribes`, () => reader.subscription?.unsubscribe()]);
    }
    return wishes.map(([label, happen]) => ({ label, happen }));
  }

  #times(count: number, act: () => void): void {
    for (let i = 0; i < count; i++) act();
  }

  #reconnect(): void {
    this.client.disconnect();
    if (this.client.state !== "disconnected" && this.client.state !== "failed")
      throw new Breach("it doesn't disconnect");
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
    const listens = this.#environment.choose(2) === 0;
    const guarded = (message: Message) => this.#guard(() => reader.hear(message));
    const callbacks = Object.fromEntries(
      Object.entries(reader.optionsFor(!listens)).map(([name, act]) => [
        name,
        typeof act === "function"
          ? (...words: unknown[]) => this.#guard(() => Reflect.apply(act, undefined, words))
          : act,
      ]),
    );
    const subscription = this.client.subscribe(channel, {
      ...callbacks,
      ...(listens ? { onMessage: guarded } : {}),
    });
    reader.subscription = subscription;
    this.readers.push(reader);
    if (!listens) void this.#iterate(reader, subscription);
  }

  async #iterate(reader: Reader, subscription: AsyncIterable<Message>): Promise<void> {
    try {
      for await (const message of subscription) {
        // A message in a buffer may be followed by a gap already; positions are checked as they are reached.
        this.#guard(() => reader.hearLater(message));
      }
    } catch (error) {
      if (error !== reader.error) this.breach ??= error;
    }
    if (!reader.isEnded) this.breach ??= new Breach(`the loop of ${reader.name} ends too early`);
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.breach ??= error;
    }
  }

  announce(channel: string, options: AnnounceOptions, more = ""): void {
    this.#announce(channel, `m${this.announced.length}${more}`, options);
  }

  #announce(channel: string, text: string, options: AnnounceOptions): void {
    const isTooLong = text.length + 100 > this.#server.settings.maxLineBytes;
    const number = this.announced.length;
    const announced: Announced = {
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
        // All that was announced before has taken effect.
        const pending = this.announced.slice(0, before).find(({ outcome }) => !outcome);
        if (pending) this.breach ??= new Breach(`a ping overtakes '${pending.text.slice(0, 20)}'`);
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
    for (const one of this.announced) this.#checkOutcome(one, mayFail);
    this.#checkOrder();
    for (const reader of this.readers) {
      const isForbidden = reader.channel === SECRET || reader.channel === ".";
      if (reader.error && !isForbidden && !mayFail) throw reader.error;
      if (this.client.state !== "failed") reader.check();
    }
  }

  #checkOutcome(one: Announced, mayFail: boolean): void {
    const { outcome, channel, text } = one;
    const what = `announcement ${one.number} of '${text.slice(0, 20)}' on ${channel}`;
    if (!outcome) throw new Breach(`${what} is pending`);
    const place = this.#server.places.get(text);
    if ("position" in outcome) {
      if (!place) throw new Breach(`${what} resolves, and was never announced`);
      if (channel !== FLEETING && outcome.position !== place.position) {
        throw new Breach(`${what} resolves to ${outcome.position}, not ${place.position}`);
      }
      return;
    }
    const { error } = outcome;
    if (!(error instanceof Refused)) throw error;
    const expected = codesFor(one, mayFail);
    if (!expected.includes(error.code)) throw new Breach(`${what} fails: ${error.code} ${error.message}`);
    if (place && !["uncertain", "conflict"].includes(error.code))
      throw new Breach(`${what} fails, and was announced: ${error.message}`);
  }

  /** Announcements of a channel take place in the order in which they were asked for. */
  #checkOrder(): void {
    const newest = new Map<string, number>();
    for (const { channel, text, options } of this.announced) {
      const order = this.#server.places.get(text)?.order;
      // The second of two with a key, or one that was given up, may have been first.
      if (order === undefined || options.key !== undefined || options.timeout !== undefined) continue;
      if (order < (newest.get(channel) ?? -1))
        throw new Breach(`'${text}' is announced too late on ${channel}`);
      newest.set(channel, order);
    }
  }
}

/** Codes with which an announcement may fail. */
function codesFor({ channel, options, isTooLong }: Announced, mayFail: boolean): string[] {
  return [
    ...(options.timeout !== undefined || mayFail ? ["unavailable", "uncertain", "invalid", "expired"] : []),
    ...(channel === FLEETING ? ["uncertain"] : []),
    ...(channel === SECRET || mayFail ? ["forbidden"] : []),
    ...(channel === "." ? ["invalid", "uncertain"] : []),
    ...(isTooLong ? ["limit"] : []),
    ...(options.key === undefined ? [] : ["conflict"]),
  ];
}
