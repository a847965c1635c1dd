import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { Guest } from "../../../src/bridge/guest.ts";
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
  const served = new Guest(socket, still).serve();
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
