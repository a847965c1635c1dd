/** Clients that disconnect before the upgrade is answered, which the runtime doesn't report. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/** A socket whose client reads when the test sets `bufferedAmount`. */
class UnreadSocket extends ClientSocket {
  ended: [code: number, reason: string] | undefined;

  override send(text: string): void {
    this.bufferedAmount += text.length;
  }

  override close(code: number, reason: string): void {
    this.ended = [code, reason];
  }
}

/** The root of `all`, and its time, which the test lets pass. */
function rootOfAll() {
  const timers: (() => void)[] = [];
  let now = 0;
  const runtime = {
    ...fakeRuntime("all", new Map()),
    now: () => now,
    after: (_: number, act: () => void) => void timers.push(act),
  };
  const broker = new Broker(runtime, socketsOf(), readLimits({}), undefined).start();
  /** Lets a second pass; returns whether the object stays in memory for another one. */
  const pass = async () => {
    now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
    return timers.length > 0;
  };
  const open = async () => {
    const socket = new UnreadSocket();
    broker.opened(socket);
    await settled();
    return socket;
  };
  return { open, pass };
}

test("a client that hasn't read the greeting after ten seconds is disconnected, and until then the object stays in memory", {
  tags: ["close-greeting"],
}, async () => {
  const { open, pass } = rootOfAll();
  const socket = await open();
  for (let second = 1; second < 10; second++) expect(await pass()).toBe(true);
  expect(socket.ended).toBeUndefined();
  await pass();
  expect(socket.ended).toEqual([1013, "unavailable: the client didn't read the greeting; connect again"]);
  await pass();
  expect(await pass()).toBe(false);
});

test("a client that has read the greeting stays connected, and doesn't keep the object in memory", async () => {
  const { open, pass } = rootOfAll();
  const socket = await open();
  await pass();
  socket.bufferedAmount = 0;
  expect(await pass()).toBe(false);
  const other = await open();
  // Later output isn't a greeting.
  socket.send("more");
  other.bufferedAmount = 0;
  for (let second = 0; second < 12; second++) await pass();
  expect([socket.ended, other.ended]).toEqual([undefined, undefined]);
});
