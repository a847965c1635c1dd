/**
 * Measures mass reconnects: all connections end at once, and all clients reconnect, with or without their positions.
 * `node tools/bench/reconnects.ts` takes some minutes; `npm run bench` includes a smaller one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "./contest.ts";
import { Meter } from "./meter.ts";
import { spread } from "./table.ts";
import { Connection, clientFrame } from "./websocket.ts";

/** Maximum connections being opened at once. */
const OPENING = 500;

const CHANNEL = "news";

/** A subscriber that counts messages over all its connections. */
class Reader {
  /** Messages, over all its connections. */
  missed = 0;
  repeated = 0;
  gaps = 0;
  /** The number of the newest message it has received; -1 before the first. */
  newest = -1;
  #position: number | undefined;
  #connection: Connection | undefined;
  #rest = "";
  /** Whether it has been greeted, and has got its position if it asked for one. */
  #isReady = false;
  #counts = true;
  #onRead = () => {};

  /** Connects, by default with its position (the current one at first); resolves when it has caught up to that. */
  async connect(port: number, counts = true): Promise<void> {
    this.#counts = counts;
    this.#isReady = false;
    this.#rest = "";
    const query = counts ? `?since=${this.#position ?? "now"}` : "";
    const connection = new Connection(port, `/${CHANNEL}${query}`, "");
    this.#connection = connection;
    connection.onReceive = (bytes, from, to) => this.#receive(bytes.toString("latin1", from, to));
    await connection.opened;
    await this.#until(() => this.#isReady);
  }

  /** Resolves when it has received this message or a later one. */
  reach(number: number): Promise<void> {
    return this.#until(() => this.newest >= number);
  }

  write(lines: string): void {
    this.#connection?.write(clientFrame(lines));
  }

  cut(): void {
    this.#connection?.close();
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onRead = () => {
        if (holds()) resolve();
      };
      this.#onRead();
    });
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#read(line);
    this.#onRead();
  }

  #read(line: string): void {
    const [, number] = line.split(`${CHANNEL}!`);
    if (number !== undefined) this.#count(Number(number));
    else if (line.startsWith("debug!position ")) this.#setPosition(Number(line.split(" ")[2]));
    else if (line.startsWith("debug!gap ")) this.gaps += 1;
    else if (line !== "debug!connected...") throw new Error(`a client received '${line}'`);
    else if (!this.#counts) this.#isReady = true;
  }

  #setPosition(position: number): void {
    this.#position ??= position;
    if (this.gaps === 0 && this.#position !== position) throw new Error("the positions differ");
    this.#isReady = true;
  }

  #count(number: number): void {
    if (this.#position !== undefined) this.#position += 1;
    if (this.newest >= 0 && number <= this.newest) this.repeated += 1;
    if (this.newest >= 0 && number > this.newest + 1) this.missed += number - this.newest - 1;
    this.newest = Math.max(this.newest, number);
  }
}

/**
 * Announces numbers, a hundred per second, in batches large enough that this machine sends no more than 20,000 frames
 * per second to the subscribers, which would take all its time. Waits if the machine is too busy even for that.
 */
class Announcer {
  readonly #reader = new Reader();
  #isOver = false;
  next = 0;

  constructor(port: number, subscribers: number) {
    void this.#announce(port, Math.max(10, subscribers / 20));
  }

  async #announce(port: number, milliseconds: number): Promise<void> {
    await this.#reader.connect(port, false);
    while (!this.#isOver) {
      const lines = Array.from({ length: milliseconds / 10 }, () => `announce ${CHANNEL} ${this.next++}\n`);
      this.#reader.write(lines.join(""));
      await Promise.all([sleep(milliseconds), this.#reader.reach(this.next - 1)]);
    }
  }

  stop(): void {
    this.#isOver = true;
    this.#reader.cut();
  }
}

/**
 * Breaks the connections of all subscribers of a channel at once, and reconnects them at once, while a hundred messages
 * per second are announced. Returns the milliseconds until the last client was greeted and until it had caught up; the
 * messages over all clients; and how often the channel's object was asked for missed ones.
 * @param counts whether they resume from their positions
 */
export async function massReconnect(subscribers: number, objects: number, counts: boolean) {
  const settings = { SOCKETS_PER_OBJECT: String(Math.ceil(subscribers / objects)) };
  const meter = await Meter.start(120, settings);
  const readers = Array.from({ length: subscribers }, () => new Reader());
  await inTurns(readers, (reader) => reader.connect(meter.port));
  const announcer = new Announcer(meter.port, subscribers);
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
  const sum = (what: "missed" | "repeated" | "gaps") => readers.reduce((total, reader) => total + reader[what], 0);
  const asked = (after.get(CHANNEL) ?? 0) - (before.get(CHANNEL) ?? 0);
  return { greeted, caughtUp, missed: sum("missed"), repeated: sum("repeated"), gaps: sum("gaps"), asked };
}

/**
 * Breaks the connections of all subscribers of many channels, two each, and reconnects them at once after the objects have
 * noticed; otherwise some would find their old links. Returns the calls for a link to `all`: those to its root, and those
 * to its children.
 * @param powerFails whether to kill the runtime, so that only storage survives
 * @param links the maximum links per object
 */
export async function reconnectChannels(channels: number, powerFails: boolean, links = 100) {
  const meter = await Meter.start(120, { LINKS_PER_OBJECT: String(links) });
  const paths = Array.from({ length: 2 * channels }, (_, i) => `/channel-${i % channels}`);
  let open = await openAll(meter.port, paths);
  const before = powerFails ? new Map<string, number>() : await meter.requests("link");
  for (const connection of open) connection.close();
  if (powerFails) await meter.restart();
  else await meter.untilIdle();
  const began = performance.now();
  open = await openAll(meter.port, paths);
  const greeted = performance.now() - began;
  const asked = [...(await meter.requests("link"))].map(([name, count]): [string, number] => [
    name,
    count - (before.get(name) ?? 0),
  ]);
  for (const connection of open) connection.close();
  await meter.stop();
  const children = asked.filter(([name]) => name.startsWith("all!")).reduce((sum, [, count]) => sum + count, 0);
  return { greeted, root: new Map(asked).get("all") ?? 0, children };
}

/**
 * Connects many clients to a channel with a hundred messages.
 * @param last how many of these each client asks for; 0 for none
 * @returns connections per second
 */
export async function connecting(subscribers: number, last: number): Promise<number> {
  const meter = await Meter.start(120);
  const [announcer] = await openAll(meter.port, [`/${CHANNEL}`]);
  const lines = Array.from({ length: 100 }, (_, i) => `announce ${CHANNEL} ${String(i).padStart(32)}\n`);
  announcer?.write(clientFrame(lines.join("")));
  const began = performance.now();
  const open: Connection[] = [];
  await inTurns([...Array(subscribers).keys()], async () => {
    const path = last > 0 ? `/${CHANNEL}?last=${last}` : `/${CHANNEL}`;
    const connection = new Connection(meter.port, path, "");
    open.push(connection);
    await linesOf(connection, last > 0 ? 2 + last : 1);
  });
  const rate = (1000 * subscribers) / (performance.now() - began);
  for (const connection of [...open, announcer]) connection?.close();
  await meter.stop();
  return rate;
}

/** Resolves when a connection has received `count` lines. */
function linesOf(connection: Connection, count: number): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    connection.onReceive = (bytes, from, to) => {
      for (let at = bytes.indexOf("\n", from); at >= 0 && at < to; at = bytes.indexOf("\n", at + 1)) left -= 1;
      if (left <= 0) resolve();
    };
  });
}

/** Opens connections, and waits for their greetings. */
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

/** Does something for each element, with a limit on concurrency. */
async function inTurns<T>(all: T[], act: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const work = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await act(next);
  };
  await Promise.all(Array.from({ length: OPENING }, work));
}

/** The size of a mass reconnect. */
export interface Size {
  /** Listeners of one channel, and the number of objects they are in. */
  subscribers: number;
  objects: number;
  /** Channels of two subscribers each. */
  channels: number;
}

/**
 * Yields the results, line by line. What is compared is measured in turns.
 * @param rounds of those with and without positions or history
 */
export async function* report({ subscribers, objects, channels }: Size, rounds = 3): AsyncGenerator<string> {
  yield* reportReturns(subscribers, objects, rounds);
  for (const powerFails of [false, true]) {
    const { greeted, root, children } = await reconnectChannels(channels, powerFails);
    const why = powerFails ? "a power failure" : "a network failure";
    yield `${channels} channels of 2 reconnect after ${why}: all are connected after ${inSeconds(greeted)}; calls for a link: ${root} to the root of 'all', ${children} to its children`;
  }
  const asked = [0, 100];
  const rates = asked.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, last] of asked.entries()) rates[i]?.push(await connecting(1_000, last));
  }
  for (const [i, last] of asked.entries()) {
    yield `Connections per second ${last > 0 ? `that ask for the newest ${last} messages` : "without history"}: ${spread(rates[i] ?? [])}`;
  }
}

async function* reportReturns(subscribers: number, objects: number, rounds: number): AsyncGenerator<string> {
  const kinds: { counts: boolean; results: Awaited<ReturnType<typeof massReconnect>>[] }[] = [
    { counts: true, results: [] },
    { counts: false, results: [] },
  ];
  for (let round = 0; round < rounds; round++) {
    for (const { counts, results } of kinds) results.push(await massReconnect(subscribers, objects, counts));
  }
  for (const { counts, results } of kinds) {
    const seconds = (what: "greeted" | "caughtUp") => {
      const times = results.map((result) => result[what]);
      return `${inSeconds(median(times))} (${inSeconds(Math.min(...times))} to ${inSeconds(Math.max(...times))})`;
    };
    const all = (what: "missed" | "repeated" | "gaps" | "asked") => results.map((result) => result[what]).join(", ");
    yield `${subscribers} subscribers in ${objects} objects reconnect ${counts ? "with" : "without"} their positions: all are connected after ${seconds("greeted")}, and have caught up after ${seconds("caughtUp")}; missed ${all("missed")}; repeated ${all("repeated")}; gaps ${all("gaps")}; calls to the root for missed messages ${all("asked")}`;
  }
}

function inSeconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

if (import.meta.main) {
  const [subscribers = 8_000, objects = 10, channels = 2_000] = process.argv.slice(2).map(Number);
  for await (const line of report({ subscribers, objects, channels })) console.log(line);
}
