import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { Guest } from "../../../src/bridge/tcp-client.ts";
import type { Subscription } from "../../../src/client/fanout.ts";

/** A guest's socket: what is written into it is read when the test says so. */
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

  destroySoon(): void {
    this.end();
  }
}

/** A subscription of which nothing is ever heard. */
const silent = (channel: string): Subscription => ({
  channel,
  state: "subscribing",
  position: undefined,
  on: () => () => {},
  unsubscribe: () => {},
  [Symbol.asyncIterator]: () => {
    throw new Error("a guest has callbacks");
  },
});

/** A server at which nothing happens. */
const still = {
  subscribe: silent,
  announce: async () => undefined,
  ping: async () => 0,
  info: async () => new Map<string, string>(),
};

/** Ends when nothing goes on any more but what waits for the guest. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("who does not read what is answered is not read either", async () => {
  const socket = new Stalled();
  const served = new Guest(socket, still, { used: 0, most: 100_000_000 }).serve();
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

test("guests share one memory: when it is full, each holds no more than one write and one short line", async () => {
  const memory = { used: 0, most: 100_000 };
  const sockets = Array.from({ length: 20 }, () => new Stalled());
  const served = sockets.map((socket) => new Guest(socket, still, memory).serve());
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

test("lines without an end and announcements in flight count, too", async () => {
  const memory = { used: 0, most: 30_000 };
  const ends: (() => void)[] = [];
  const announce = () => new Promise<undefined>((resolve) => ends.push(() => resolve(undefined)));
  const [one, other] = [new Stalled(), new Stalled()];
  for (const socket of [one, other]) socket.readAll();
  const served = [one, other].map((socket) => new Guest(socket, { ...still, announce }, memory).serve());
  one.push(`announce news ${"x".repeat(20_000)}\n`.repeat(3));
  await settled();
  expect([ends.length, memory.used]).toEqual([2, 40_000]);
  other.push(`\nping\n${"x".repeat(20_000)}`);
  await settled();
  expect(other.taken.at(-1)).toMatch(/^debug!error unavailable line: /);
  for (const socket of [one, other]) socket.push(null);
  while (ends.length > 0) {
    ends.shift()?.();
    await settled();
  }
  await Promise.all(served);
  expect(memory.used).toBe(0);
});
