/**
 * Simulates a Worker's streams and polls without a real clock or network: choices decide what objects send, when it is
 * delivered, when clients read, and when timers fire. `Truth` has the announced messages.
 */
import { ERROR_CODES } from "../../../src/protocol/errors.ts";
import { parseId } from "../../../src/protocol/events.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { formatGap, formatPosition } from "../../../src/protocol/replies.ts";
import { Budget } from "../../../src/streams/backlog.ts";
import { EventStream } from "../../../src/streams/event-stream.ts";
import { lineStream } from "../../../src/streams/line-stream.ts";
import type { StreamFormat } from "../../../src/streams/stream.ts";
import { check, Violation } from "../violation.ts";
import { EventsJudge } from "./events-judge.ts";
import { LinesJudge } from "./lines-judge.ts";
import { INVALID_LINES, ObjectSide } from "./object-side.ts";
import { Poller } from "./poller.ts";
import { type Judge, Reader } from "./reader.ts";
import { Time } from "./time.ts";
import { Truth } from "./truth.ts";

/** Most turns of the microtask queue that any chain of promises in a stream takes. */
const MICROTASKS = 40;

/** Lines per second of one connection. */
const LINES_PER_SECOND = 10;

export interface Profile {
  /** Whether objects refuse commands and connections. */
  refuses: boolean;
  /** Whether objects close connections, crash, or are lost without a sign. */
  fails: boolean;
  /** Whether objects send invalid lines. */
  lies: boolean;
  /** Whether the budget is so small that readers are dropped. */
  isTight: boolean;
  /** Whether the channel `b` has no history. */
  isWithoutHistory: boolean;
  /** Whether nothing more is announced at the end, so that streams must catch up by themselves. */
  endsInSilence: boolean;
}

/** A possible next step. */
export interface Action {
  label: string;
  happen: () => void;
}

export class Simulation {
  readonly profile: Profile;
  readonly choose: (among: number) => number;
  readonly time: Time;
  readonly budget: Budget;
  readonly truth: Truth;
  readonly readers: Reader[] = [];
  readonly pollers: Poller[] = [];
  readonly script: string[] = [];
  /** Channels in use. */
  readonly used = new Set<string>();
  #names = 0;

  constructor(choose: (among: number) => number, profile: Profile) {
    this.profile = profile;
    this.choose = choose;
    this.time = new Time(choose);
    this.budget = new Budget(profile.isTight ? { forOne: 600, forAll: 1_000 } : { forOne: 1e6, forAll: 1e7 });
    this.truth = new Truth([
      { name: "all", hasHistory: true },
      { name: "a", hasHistory: true },
      { name: "b", hasHistory: !profile.isWithoutHistory },
      ...["c", "d", "e", "f", "g"].map((name) => ({ name, hasHistory: true })),
    ]);
  }

  /** Chooses one of several actions, and runs it. */
  async step(actions: Action[]): Promise<void> {
    const action = actions[this.choose(actions.length)];
    if (!action) return;
    this.script.push(`${this.time.now() % 10_000_000}: ${action.label}`);
    action.happen();
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let i = 0; i < MICROTASKS; i++) await Promise.resolve();
    for (const { violation, name } of [...this.readers, ...this.pollers]) {
      if (violation) throw new Error(`${name}: ${violation}`, { cause: violation });
    }
    for (const { name, over, object } of this.pollers) {
      check(
        over !== undefined || object.hasSentInvalid || object.answered === undefined,
        () => `${name} goes on after its answer`,
      );
    }
    const open = [...this.readers, ...this.pollers].filter(({ over }) => !over).length;
    check(this.time.timers <= open, () => `${this.time.timers} timers for ${open} clients`);
    check(this.budget.size <= this.budget.limits.forAll, () => `${this.budget.size} characters are pending`);
  }

  /** Connections that objects still serve. */
  get open(): ObjectSide[] {
    return [...this.readers, ...this.pollers].map(({ object }) => object).filter(({ isOpen }) => isOpen);
  }

  announce(channel: string): void {
    const line = this.truth.announce(channel);
    for (const object of this.open) object.announced(channel, line);
  }

  /** Opens an event stream, or resumes one after an id. */
  openEvents(channels: string[], from: From | undefined, id?: string): Reader {
    const resumed = id === undefined ? undefined : parseId(id, channels.length);
    if (id !== undefined && !resumed) throw new Violation(`${id} is no id of ${channels}`);
    const format = new EventStream(channels, resumed, from, this.time, LINES_PER_SECOND);
    const judge = new EventsJudge(this.truth, channels, resumed, from);
    return this.#read("events", format, this.#serve(channels, format.from), judge);
  }

  openLines(channels: string[], from: From | undefined): Reader {
    const format = lineStream(channels, from, this.time, LINES_PER_SECOND);
    const object = this.#serve(channels, from);
    return this.#read("lines", format, object, new LinesJudge(object));
  }

  poll(channel: string, from: From): Poller {
    const object = this.#serve([channel], from);
    const poller = new Poller(this.#name("poll"), object, this.truth, from, this.#parts);
    this.pollers.push(poller);
    return poller;
  }

  #read(kind: string, format: StreamFormat, object: ObjectSide, judge: Judge): Reader {
    const reader = new Reader(this.#name(kind), object, format, judge, this.#parts);
    this.readers.push(reader);
    return reader;
  }

  #serve(channels: string[], from: From | undefined): ObjectSide {
    for (const channel of channels) this.used.add(channel);
    const [channel = ""] = channels;
    return new ObjectSide(this.truth, channel, from, LINES_PER_SECOND, () => this.time.now());
  }

  get #parts() {
    return { environment: this.time, budget: this.budget };
  }

  #name(kind: string): string {
    this.#names += 1;
    return `${kind} ${this.#names}`;
  }

  // --- possible actions

  /** Actions of working objects. */
  objectActions(): Action[] {
    return this.#connections.flatMap(({ name, object }): Action[] => {
      const { pending } = object;
      const arrive = (characters: number) => ({
        label: `${characters} characters arrive for ${name}`,
        happen: () => object.deliver(characters),
      });
      const isDue = pending > 0 && !object.hasVanished && !object.isClosedByWorker;
      return [
        ...(isDue ? [arrive(pending), arrive(1 + this.choose(pending))] : []),
        ...(object.isOpen && !object.isGreeted ? [{ label: `${name} is greeted`, happen: () => object.greet() }] : []),
        ...(object.isOpen && object.isGreeted && object.hasCommands
          ? [{ label: `a command of ${name} is carried out`, happen: () => object.execute() }]
          : []),
        ...(object.isClosing && pending === 0
          ? [{ label: `the end of ${name} arrives`, happen: () => object.deliverEnd() }]
          : []),
      ];
    });
  }

  /** Actions of failing objects. */
  faults(): Action[] {
    return this.#connections.flatMap(({ name, object }): Action[] => {
      if (!object.isOpen) return [];
      return [
        ...(this.profile.refuses ? this.#refusals(name, object) : []),
        ...(this.profile.fails ? this.#failures(name, object) : []),
        ...(this.profile.lies
          ? INVALID_LINES.map((lie) => ({
              label: `${name} is told ${JSON.stringify(lie.slice(0, 50))}`,
              happen: () => {
                object.hasSentInvalid = true;
                object.send(lie);
              },
            }))
          : []),
        ...(object.isGreeted ? this.#positions(name, object) : []),
      ];
    });
  }

  #refusals(name: string, object: ObjectSide): Action[] {
    const odd = ["unavailable", "unavailable", "rate", "unknown", "unknown", "silently", "silently"] as const;
    const codes = [...ERROR_CODES, ...odd];
    const code = codes[this.choose(codes.length)] ?? "unavailable";
    if (!object.isGreeted) {
      const own = code === "unknown" || code === "silently" ? "unavailable" : code;
      return [
        { label: `${name} is turned away`, happen: () => object.refuseAsFull() },
        { label: `${name} is greeted, its channel refused: ${own}`, happen: () => object.greet(own) },
      ];
    }
    if (!object.hasCommands) return [];
    return [{ label: `a command of ${name} is refused: ${code}`, happen: () => object.execute(code) }];
  }

  #failures(name: string, object: ObjectSide): Action[] {
    const reasons = ["", "unavailable: lost; connect again", "expired: your token has expired", "odd"];
    const reason = reasons[this.choose(reasons.length)] ?? "";
    const code = [1006, 1013, 1008, 1000, 4_321][this.choose(5)] ?? 1006;
    return [
      { label: `${name} is closed: ${code} ${reason}`, happen: () => object.close(code, reason) },
      { label: `the object of ${name} crashes`, happen: () => object.close(1006, "", true) },
      {
        label: `the object of ${name} vanishes`,
        happen: () => {
          object.hasVanished = true;
        },
      },
    ];
  }

  /** An object may send positions and gaps at any time. */
  #positions(name: string, object: ObjectSide): Action[] {
    return this.truth.channels
      .filter((channel) => this.truth.hasHistory(channel) && object.isSubscribed(channel))
      .map((channel) => ({
        label: `${name} is told where ${channel} is`,
        happen: () => object.send(formatPosition(channel, this.truth.newest(channel))),
      }));
  }

  /** Skips a message, and sends a gap instead. */
  skip(channel: string): void {
    const from = this.truth.newest(channel);
    this.truth.announce(channel);
    const to = this.truth.newest(channel);
    for (const other of this.open) {
      if (other.isSubscribed(channel)) other.send(formatGap(channel, from, to) + formatPosition(channel, to));
    }
  }

  get #connections() {
    return [...this.readers, ...this.pollers];
  }

  /** Reads of clients. */
  reading(): Action[] {
    return this.readers
      .filter(({ mayRead }) => mayRead)
      .map((reader) => ({ label: `${reader.name} reads`, happen: () => reader.read() }));
  }

  leaving(): Action[] {
    const readers = this.readers.filter(({ over, hasVanished }) => !over && !hasVanished);
    return [
      ...readers.flatMap((reader) => [
        { label: `${reader.name} leaves`, happen: () => reader.leave() },
        {
          label: `${reader.name} vanishes`,
          happen: () => {
            reader.hasVanished = true;
          },
        },
      ]),
      ...this.pollers
        .filter(({ over }) => !over)
        .map((poller) => ({ label: `${poller.name} leaves`, happen: () => poller.leave() })),
    ];
  }

  timing(): Action[] {
    const { next } = this.time;
    const timer = next ? [{ label: "a timer goes off", happen: next.fire }] : [];
    const second = { label: "a second passes", happen: () => this.time.pass(1_000) };
    return [...timer, ...timer, second, second, { label: "a minute passes", happen: () => this.time.pass(60_000) }];
  }
}
