import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { TcpClient } from "../../../src/bridge/tcp-client.ts";
import type { Subscription } from "../../../src/client/fanout.ts";

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
  while (ends.length > 0) {
    ends.shift()?.();
    await settled();
  }
  await Promise.all(served);
  expect(memory.used).toBe(0);
});
