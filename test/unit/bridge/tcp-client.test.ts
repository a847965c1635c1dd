import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { type Memory, TcpClient } from "../../../src/bridge/tcp-client.ts";
import { Refused } from "../../../src/client/errors.ts";
import type { SubscribeOptions, Subscription, SubscriptionState } from "../../../src/client/fanout.ts";
import { until } from "../until.ts";

/** A client's socket, whose peer reads only when the test says so. */
class Stalled extends Duplex {
  readonly taken: string[] = [];
  #goOn = () => {};
  #isReading = false;

  constructor() {
    super({ decodeStrings: false });
    this.setEncoding("utf8");
  }

  override _read(): void {}

  override _write(text: string, _: string, done: () => void): void {
    this.taken.push(text);
    if (this.#isReading) done();
    else this.#goOn = done;
  }

  readAll(): void {
    this.#isReading = true;
    this.#goOn();
  }

  stall(): void {
    this.#isReading = false;
  }

  destroySoon(): void {
    this.end();
  }
}

/** A subscription without messages. */
const silent = (channel: string): Subscription => ({
  channel,
  state: "subscribing",
  position: undefined,
  on: () => () => {},
  unsubscribe: () => {},
  [Symbol.asyncIterator]: () => {
    throw new Error("the bridge uses callbacks");
  },
});

/** A server that does nothing. */
const still = {
  subscribe: silent,
  announce: async () => undefined,
  ping: async () => 0,
  info: async () => new Map<string, string>(),
};

/** Waits until only output to the client is pending. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("a client that doesn't read its answers isn't read either", async () => {
  const socket = new Stalled();
  const served = new TcpClient(socket, still, { used: 0, most: 100_000_000 }).serve();
  const lines = 20_000;
  socket.push("?\n".repeat(lines));
  socket.push(null);
  await settled();
  expect(socket.writableLength).toBeGreaterThan(1_000_000);
  expect(socket.writableLength).toBeLessThan(1_001_000);
  socket.readAll();
  await served;
  await settled();
  expect(socket.taken).toHaveLength(lines);
});

test("clients share one memory; when it is full, each uses at most one write and one short line", async () => {
  const memory = { used: 0, most: 100_000 };
  const sockets = Array.from({ length: 20 }, () => new Stalled());
  const served = sockets.map((socket) => new TcpClient(socket, still, memory).serve());
  for (const socket of sockets) {
    socket.push("?\n".repeat(2_000));
    await settled();
  }
  const most = sockets[0]?.writableHighWaterMark ?? 0;
  expect(memory.used).toBeLessThan(memory.most + sockets.length * (most + 1_000));
  for (const socket of sockets) socket.readAll();
  await settled();
  expect(memory.used).toBe(0);
  for (const socket of sockets) socket.push(null);
  await Promise.all(served);
  for (const socket of sockets) expect(socket.taken).toHaveLength(2_000);
});

test("incomplete lines and announcements in flight count too", async () => {
  const memory = { used: 0, most: 30_000 };
  const ends: (() => void)[] = [];
  const announce = () => new Promise<undefined>((resolve) => ends.push(() => resolve(undefined)));
  const [one, other] = [new Stalled(), new Stalled()];
  for (const socket of [one, other]) socket.readAll();
  const served = [one, other].map((socket) => new TcpClient(socket, { ...still, announce }, memory).serve());
  one.push(`announce news ${"x".repeat(20_000)}\n`.repeat(3));
  await settled();
  expect([ends.length, memory.used]).toEqual([2, 40_000]);
  other.push(`\nping\n${"x".repeat(20_000)}`);
  await settled();
  expect(other.taken.at(-1)).toMatch(/^debug!error unavailable line: /);
  for (const socket of [one, other]) socket.push(null);
  await until(
    () => ends.length === 0,
    async () => {
      ends.shift()?.();
      await settled();
    },
  );
  await Promise.all(served);
  expect(memory.used).toBe(0);
});

/** A client that reads at once, and its connection to a server that the test controls. */
async function talking(server: Partial<typeof still> = {}) {
  const socket = new Stalled();
  socket.readAll();
  const subscribed: {
    channel: string;
    options: SubscribeOptions;
    own: { -readonly [K in keyof Subscription]: Subscription[K] };
  }[] = [];
  const subscribe = (channel: string, options: SubscribeOptions = {}) => {
    const unsubscribe = () => {
      own.state = "unsubscribed";
    };
    const own = { ...silent(channel), unsubscribe };
    subscribed.push({ channel, options, own });
    return own;
  };
  const served = new TcpClient(socket, { ...still, subscribe, ...server }, { used: 0, most: 100_000_000 }).serve();
  /** Sends text, and returns the lines received until only the server has to act. */
  const say = async (text: string) => {
    socket.push(text);
    await settled();
    return lines();
  };
  const lines = () => socket.taken.splice(0).join("").split("\n").slice(0, -1);
  const become = (i: number, state: SubscriptionState, error?: Error) => {
    subscribed[i]?.options.onState?.(state, error?.message, error);
    return lines();
  };
  return { socket, subscribed, served, say, become, lines, hasEnded: () => socket.writableEnded };
}

test("a client is greeted once, when it is subscribed to `all`", async () => {
  const { become, subscribed } = await talking();
  expect(subscribed.map(({ channel }) => channel)).toEqual(["all"]);
  expect(become(0, "unsubscribed")).toEqual([]);
  expect(become(0, "subscribed")).toEqual(["debug!connected..."]);
  expect(become(0, "subscribed")).toEqual([]);
});

test("commands of the original protocol are answered, and others are refused", async () => {
  const { say } = await talking({ info: async () => new Map([["uptime", "1d"]]) });
  const time = Math.floor(Date.now() / 1_000);
  expect(Number((await say("ping\n"))[0])).toBeGreaterThanOrEqual(time);
  expect(await say("\n\r\ninfo\n")).toEqual(["uptime: 1d"]);
  const refused = "the original protocol doesn't have this command";
  expect(await say("once k news a\n")).toEqual([`debug!error invalid once k: ${refused}`]);
  expect(await say("members news\n")).toEqual([`debug!error invalid members news: ${refused}`]);
  expect(await say("keepalive\n")).toEqual([`debug!error invalid keepalive: ${refused}`]);
  expect(await say("subscribe\n")).toEqual([expect.stringMatching(/^debug!error invalid subscribe: /)]);
});

test("a question is asked again if its answer was lost, and not if it was refused", async () => {
  let asked = 0;
  const ping = async () => {
    asked += 1;
    if (asked === 1) throw new Error("the connection was lost");
    if (asked === 3) throw new Refused("rate", "too often");
    return 0;
  };
  const { say } = await talking({ ping });
  expect(await say("ping\n")).toEqual([expect.stringMatching(/^\d+$/)]);
  expect(await say("ping\n")).toEqual(["debug!error rate ping: too often"]);
  expect(asked).toBe(3);
});

test("subscribing waits for the announcements before it, and happens once", async () => {
  const ends: ((error?: Error) => void)[] = [];
  const announce = () =>
    new Promise<undefined>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve(undefined))));
  const { say, subscribed, lines } = await talking({ announce });
  await say("announce a 1\nsubscribe a\nsubscribe a\n");
  expect(subscribed.map(({ channel }) => channel)).toEqual(["all"]);
  ends[0]?.(new Refused("forbidden", "no grant"));
  await settled();
  expect(lines()).toEqual(["debug!error forbidden announce a: no grant"]);
  expect(subscribed.map(({ channel }) => channel)).toEqual(["all", "a"]);
  await say("announce a 2\n");
  ends[1]?.(new Error("lost"));
  await settled();
  expect(lines()).toEqual(["debug!error invalid announce a: lost"]);
  await say("unsubscribe a\n");
  expect(subscribed[1]?.own.state).toBe("unsubscribed");
  await say("subscribe a\n");
  expect(subscribed).toHaveLength(3);
});

test("a refused subscription is reported, and can be repeated", async () => {
  const { say, become, subscribed } = await talking();
  await say("subscribe a\n");
  expect(become(1, "unsubscribed", new Refused("forbidden", "no grant"))).toEqual([
    "debug!error forbidden subscribe a: no grant",
  ]);
  await say("subscribe a\n");
  expect(subscribed).toHaveLength(3);
});

test("a connection ends where messages may be missing", async () => {
  const gap = await talking();
  gap.subscribed[0]?.options.onGap?.({ channel: "all", from: 1, to: 2 });
  expect(gap.hasEnded()).toBe(true);
  const resumed = await talking();
  await resumed.say("subscribe a\n");
  const [, { own } = { own: undefined }] = resumed.subscribed;
  if (own) own.position = 7;
  resumed.become(1, "subscribing");
  expect(resumed.hasEnded()).toBe(false);
  if (own) own.position = undefined;
  resumed.become(1, "subscribing");
  expect(resumed.hasEnded()).toBe(true);
});

test("a client that is behind gets no more messages, and resumes after its backlog", async () => {
  const { socket, subscribed } = await talking();
  const [all] = subscribed;
  if (!all) throw new Error("no subscription");
  const deliver = (text: string) => all.options.onMessage?.({ channel: "all", text, data: text, position: 8 });
  Object.assign(all.own, { state: "subscribed", position: 8 });
  deliver("a");
  expect(all.own.state).toBe("subscribed");
  socket.stall();
  deliver("x".repeat(600_000));
  expect(all.own.state).toBe("subscribed");
  deliver("y".repeat(600_000));
  expect(all.own.state).toBe("unsubscribed");
  socket.readAll();
  await settled();
  expect(subscribed.map(({ options }) => options.since)).toEqual([undefined, 8]);
});

test("output that a client never reads counts until the client leaves", async () => {
  const memory = { used: 0, most: 100_000 };
  const socket = new Stalled();
  const served = new TcpClient(socket, still, memory).serve();
  socket.push("?\n");
  await settled();
  expect(memory.used).toBeGreaterThan(0);
  socket.destroy();
  await served.catch(() => {});
  await settled();
  expect(memory.used).toBe(0);
});

/** The subscription to `all` of a client with this memory. */
function deliveringTo(socket: Stalled, memory: Memory) {
  let deliver = (_: string) => {};
  const all: { state: SubscriptionState } = { state: "subscribed" };
  const subscribe = (channel: string, { onMessage }: SubscribeOptions = {}): Subscription => {
    deliver = (text) => onMessage?.({ channel, text, data: text, position: 8 });
    const unsubscribe = () => {
      all.state = "unsubscribed";
    };
    return { ...silent(channel), unsubscribe };
  };
  new TcpClient(socket, { ...still, subscribe }, memory);
  return { all, deliver };
}

test("drained output doesn't count any more", async () => {
  const memory = { used: 0, most: 100_000 };
  const socket = new Stalled();
  const { deliver } = deliveringTo(socket, memory);
  deliver("x".repeat(80_000));
  expect(memory.used).toBeGreaterThan(80_000);
  socket.readAll();
  await settled();
  expect(memory.used).toBe(0);
});

test("a client is behind with more than 1,000,000 pending characters", async () => {
  const { all, deliver } = deliveringTo(new Stalled(), { used: 0, most: 100_000_000 });
  deliver("x".repeat(1_000_000 - "all!\n".length));
  expect(all.state).toBe("subscribed");
  deliver("x");
  expect(all.state).toBe("unsubscribed");
});

test.each([
  ["a long line, whose end is dropped too,", 100_000_000, 1_000_001, /^debug!error limit line: /],
  ["a line for which there is no memory", 10_000, 20_000, /^debug!error unavailable line: /],
  ["a line of the greatest length for which there is no memory", 10_000, 1_000_000, /^debug!error unavailable line: /],
])("%s is refused once", async (_, most, length, refusal) => {
  const socket = new Stalled();
  socket.readAll();
  void new TcpClient(socket, still, { used: 0, most }).serve();
  socket.push("ping\n");
  await settled();
  socket.taken.length = 0;
  socket.push("x".repeat(length));
  await settled();
  socket.push("x\n");
  await settled();
  expect(socket.taken).toEqual([expect.stringMatching(refusal)]);
});

test("acknowledged announcements aren't in flight", async () => {
  let announced = 0;
  const announce = () => (announced++ < 500 ? Promise.resolve(undefined) : new Promise<undefined>(() => {}));
  const { say } = await talking({ announce });
  for (let i = 0; i < 5; i++) await say("announce a x\n".repeat(100));
  expect(announced).toBe(500);
  await say("announce a x\nannounce a y\n");
  expect(announced).toBe(502);
});
