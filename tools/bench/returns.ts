/**
 * A mass return: all connections end at once, and come back, with the position that each has counted to, or plainly.
 * `node tools/bench/returns.ts` takes some minutes; `npm run bench` has a smaller one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Meter } from "./meter.ts";
import { Connection, clientFrame } from "./websocket.ts";

/** Connections being opened at one time. */
const OPENING = 500;

const CHANNEL = "news";

/** How a return went. */
export interface Return {
  /** Milliseconds until the last one was greeted, and until it had read what was newest then. */
  greeted: number;
  caughtUp: number;
  /** Messages, of all readers together. */
  missed: number;
  repeated: number;
  gaps: number;
  /** Times that the object of the channel was asked what was missed. */
  asked: number;
}

/** A listener that counts, over all its connections. */
class Reader {
  /** Messages of all connections together. */
  missed = 0;
  repeated = 0;
  gaps = 0;
  /** The number of the newest message that it has read; -1 before the first. */
  newest = -1;
  #position: number | undefined;
  #connection: Connection | undefined;
  #rest = "";
  /** Whether it knows that it is let in, and where it is if it asked. */
  #isThere = false;
  #counts = true;
  #onRead = () => {};

  /** Connects where it was, at first where that is now, or plainly; ends when it is there. */
  async connect(port: number, counts = true): Promise<void> {
    this.#counts = counts;
    this.#isThere = false;
    this.#rest = "";
    const query = counts ? `?since=${this.#position ?? "now"}` : "";
    const connection = new Connection(port, `/${CHANNEL}${query}`, "");
    this.#connection = connection;
    connection.onReceive = (bytes, from, to) => this.#take(bytes.toString("latin1", from, to));
    await connection.opened;
    await this.#until(() => this.#isThere);
  }

  /** Ends when it has read a message, or a later one. */
  reach(number: number): Promise<void> {
    return this.#until(() => this.newest >= number);
  }

  cut(): void {
    this.#connection?.close();
  }

  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onRead = () => {
        if (isSo()) resolve();
      };
      this.#onRead();
    });
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#read(line);
    this.#onRead();
  }

  #read(line: string): void {
    const [, number] = line.split(`${CHANNEL}!`);
    if (number !== undefined) this.#count(Number(number));
    else if (line.startsWith("debug!position ")) this.#locate(Number(line.split(" ")[2]));
    else if (line.startsWith("debug!gap ")) this.gaps += 1;
    else if (line !== "debug!connected...") throw new Error(`a reader has read '${line}'`);
    else if (!this.#counts) this.#isThere = true;
  }

  #locate(position: number): void {
    this.#position ??= position;
    if (this.gaps === 0 && this.#position !== position) throw new Error("it was told another position");
    this.#isThere = true;
  }

  #count(number: number): void {
    if (this.#position !== undefined) this.#position += 1;
    if (this.newest >= 0 && number <= this.newest) this.repeated += 1;
    if (this.newest >= 0 && number > this.newest + 1) this.missed += number - this.newest - 1;
    this.newest = Math.max(this.newest, number);
  }
}

/**
 * Announces numbers, a hundred a second: as many at one time as have this machine send no more than 20,000 frames a
 * second to the listeners, or it would do nothing else. A machine that is too busy even for that is waited for.
 */
class Announcer {
  readonly #connection: Connection;
  /** The number of the newest message that has come back; -1 before the first. */
  #newest = -1;
  #rest = "";
  #onRead = () => {};
  #isOver = false;
  next = 0;

  constructor(port: number, listeners: number) {
    this.#connection = new Connection(port, `/${CHANNEL}`, "");
    this.#connection.onReceive = (bytes, from, to) => {
      const lines = (this.#rest + bytes.toString("latin1", from, to)).split("\n");
      this.#rest = lines.pop() ?? "";
      const [, number] = lines.at(-1)?.split(`${CHANNEL}!`) ?? [];
      if (number !== undefined) this.#newest = Number(number);
      this.#onRead();
    };
    void this.#announce(Math.max(10, listeners / 20));
  }

  async #announce(milliseconds: number): Promise<void> {
    await this.#connection.opened;
    while (!this.#isOver) {
      const lines = Array.from({ length: milliseconds / 10 }, () => `announce ${CHANNEL} ${this.next++}\n`);
      this.#connection.write(clientFrame(lines.join("")));
      await Promise.all([sleep(milliseconds), this.#reach(this.next - 1)]);
    }
  }

  #reach(number: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onRead = () => {
        if (this.#newest >= number) resolve();
      };
      this.#onRead();
    });
  }

  stop(): void {
    this.#isOver = true;
    this.#connection.close();
  }
}

/**
 * Has all listeners of a channel lose their connections at once, and come back at once, while a hundred messages
 * a second are announced.
 * @param counts whether they come back where they were
 */
export async function massReturn(listeners: number, objects: number, counts: boolean): Promise<Return> {
  const settings = { SOCKETS_PER_OBJECT: String(Math.ceil(listeners / objects)) };
  const meter = await Meter.start(120, settings);
  const readers = Array.from({ length: listeners }, () => new Reader());
  await inTurns(readers, (reader) => reader.connect(meter.port));
  const announcer = new Announcer(meter.port, listeners);
  await Promise.all(readers.map((reader) => reader.reach(10)));
  const before = await meter.requests("recover");
  for (const reader of readers) reader.cut();
  const began = performance.now();
  await inTurns(readers, (reader) => reader.connect(meter.port, counts));
  const greeted = performance.now() - began;
  const newest = announcer.next - 1;
  await Promise.all(readers.map((reader) => reader.reach(newest)));
  const caughtUp = performance.now() - began;
  const after = await meter.requests("recover");
  announcer.stop();
  for (const reader of readers) reader.cut();
  await meter.stop();
  const sum = (what: "missed" | "repeated" | "gaps") =>
    readers.reduce((total, reader) => total + reader[what], 0);
  const asked = (after.get(CHANNEL) ?? 0) - (before.get(CHANNEL) ?? 0);
  return {
    greeted,
    caughtUp,
    missed: sum("missed"),
    repeated: sum("repeated"),
    gaps: sum("gaps"),
    asked,
  };
}

/** Calls that the root of `all` gets when all listeners of many channels come back at once. */
export interface Calls {
  greeted: number;
  /** Requests for a link to `all`: those that its root gets, and those that its children get. */
  root: number;
  children: number;
}

/**
 * Has all listeners of many channels, two each, lose their connections at once, and come back at once when the
 * objects have noticed: else some would find their links still there.
 * @param powerFails whether that is because everything ends but what is stored
 * @param links that one object feeds at most
 */
export async function returnOfMany(channels: number, powerFails: boolean, links = 100): Promise<Calls> {
  const meter = await Meter.start(120, { LINKS_PER_OBJECT: String(links) });
  const paths = Array.from({ length: 2 * channels }, (_, i) => `/channel-${i % channels}`);
  let open = await openAll(meter.port, paths);
  const before = powerFails ? new Map<string, number>() : await meter.requests("link");
  for (const connection of open) connection.close();
  if (powerFails) await meter.restart();
  else await meter.deserted();
  const began = performance.now();
  open = await openAll(meter.port, paths);
  const greeted = performance.now() - began;
  const asked = [...(await meter.requests("link"))].map(([name, count]): [string, number] => [
    name,
    count - (before.get(name) ?? 0),
  ]);
  for (const connection of open) connection.close();
  await meter.stop();
  const children = asked
    .filter(([name]) => name.startsWith("all!"))
    .reduce((sum, [, count]) => sum + count, 0);
  return { greeted, root: new Map(asked).get("all") ?? 0, children };
}

/**
 * Connects many to a channel of which there are a hundred messages.
 * @param last how many of them each of them asks for; 0 for plain connections
 * @returns how many are there in a second
 */
export async function connecting(listeners: number, last: number): Promise<number> {
  const meter = await Meter.start(120);
  const [announcer] = await openAll(meter.port, [`/${CHANNEL}`]);
  const said = Array.from({ length: 100 }, (_, i) => `announce ${CHANNEL} ${String(i).padStart(32)}\n`);
  announcer?.write(clientFrame(said.join("")));
  const began = performance.now();
  const open: Connection[] = [];
  await inTurns([...Array(listeners).keys()], async () => {
    const path = last > 0 ? `/${CHANNEL}?last=${last}` : `/${CHANNEL}`;
    const connection = new Connection(meter.port, path, "");
    open.push(connection);
    await linesOf(connection, last > 0 ? 2 + last : 1);
  });
  const rate = (1000 * listeners) / (performance.now() - began);
  for (const connection of [...open, announcer]) connection?.close();
  await meter.stop();
  return rate;
}

/** Ends when a connection has read so many lines. */
function linesOf(connection: Connection, count: number): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    connection.onReceive = (bytes, from, to) => {
      for (let at = bytes.indexOf("\n", from); at >= 0 && at < to; at = bytes.indexOf("\n", at + 1))
        left -= 1;
      if (left <= 0) resolve();
    };
  });
}

/** Greeted connections. */
async function openAll(port: number, paths: string[]): Promise<Connection[]> {
  const connections: Connection[] = [];
  await inTurns(paths, async (path) => {
    const connection = new Connection(port, path, "");
    connections.push(connection);
    await new Promise<void>((greeted) => {
      connection.onReceive = () => greeted();
    });
  });
  return connections;
}

/** Does something for each, for so many at one time. */
async function inTurns<T>(all: T[], act: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const goOn = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await act(next);
  };
  await Promise.all(Array.from({ length: OPENING }, goOn));
}

/** What a return comes to, in words. */
export function told({ greeted, caughtUp, missed, repeated, gaps, asked }: Return): string {
  const times = `all are back after ${(greeted / 1000).toFixed(1)} s, and have caught up after ${(caughtUp / 1000).toFixed(1)} s`;
  return `${times}; missed ${missed}, repeated ${repeated}, gaps ${gaps}; the root was asked ${asked} times`;
}

/** How many come back. */
export interface Size {
  /** Of one channel, and how many objects they are in. */
  listeners: number;
  objects: number;
  /** Of two listeners each. */
  channels: number;
}

/** Tells of all of that. */
export async function* report({ listeners, objects, channels }: Size): AsyncGenerator<string> {
  for (const counts of [true, false]) {
    const outcome = await massReturn(listeners, objects, counts);
    yield `${listeners} listeners in ${objects} objects come back ${counts ? "where they were" : "plainly"}: ${told(outcome)}`;
  }
  for (const powerFails of [false, true]) {
    const { greeted, root, children } = await returnOfMany(channels, powerFails);
    const why = powerFails ? "the power has failed" : "the network was lost";
    yield `${channels} channels of 2 when ${why}: all are back after ${(greeted / 1000).toFixed(1)} s; requests for a link: ${root} at the root of 'all', ${children} at its children`;
  }
  for (const last of [0, 100]) {
    yield `Connections a second ${last > 0 ? `that ask for the newest ${last} messages` : "that ask for nothing"}: ${Math.round(await connecting(1_000, last))}`;
  }
}

if (import.meta.main) {
  const [listeners = 8_000, objects = 10, channels = 2_000] = process.argv.slice(2).map(Number);
  for await (const line of report({ listeners, objects, channels })) console.log(line);
}
