/** A client that has gone before its request was answered: the runtime tells nobody. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import type { Socket } from "../../../src/session/socket.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/** A socket whose client takes what was sent when the test says so. */
class Waiting implements Socket {
  bufferedAmount = 0;
  ended: [code: number, reason: string] | undefined;

  send(text: string): void {
    this.bufferedAmount += text.length;
  }

  close(code: number, reason: string): void {
    this.ended = [code, reason];
  }

  serializeAttachment(): void {}

  deserializeAttachment(): unknown {
    return undefined;
  }
}

/** The object of `all`, and seconds that pass when the test says so. */
function atAll() {
  const timers: (() => void)[] = [];
  let now = 0;
  const runtime = {
    ...fakeRuntime("all", new Map()),
    now: () => now,
    after: (_: number, act: () => void) => void timers.push(act),
  };
  const broker = new Broker(
    runtime,
    { acceptWebSocket: () => {}, getWebSockets: () => [] },
    readLimits({}),
    undefined,
  ).start();
  /** Lets a second pass; says whether there is another one to come. */
  const pass = async () => {
    now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
    return timers.length > 0;
  };
  const open = async () => {
    const socket = new Waiting();
    broker.opened(socket);
    await settled();
    return socket;
  };
  return { open, pass };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await undefined;
}

test("who has not taken the greeting after ten seconds is gone, and until then the object stays", async () => {
  const { open, pass } = atAll();
  const socket = await open();
  for (let second = 1; second < 10; second++) expect(await pass()).toBe(true);
  expect(socket.ended).toBeUndefined();
  await pass();
  expect(socket.ended).toEqual([1013, "unavailable: the client didn't read the greeting; connect again"]);
  await pass();
  expect(await pass()).toBe(false);
});

test("who has taken the greeting stays, and keeps no object in memory", async () => {
  const { open, pass } = atAll();
  const socket = await open();
  await pass();
  socket.bufferedAmount = 0;
  expect(await pass()).toBe(false);
  const other = await open();
  // What waits later is no greeting.
  socket.send("more");
  other.bufferedAmount = 0;
  for (let second = 0; second < 12; second++) await pass();
  expect([socket.ended, other.ended]).toEqual([undefined, undefined]);
});
