/** A slow commit holds back output, so clients seem not to read it. The server must not close them for that. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";

/** A socket whose output is pending until a commit releases it, and then until its client reads. */
class Gated extends ClientSocket {
  isReading = true;
  readonly #isCommitting: () => boolean;

  constructor(isCommitting: () => boolean) {
    super();
    this.#isCommitting = isCommitting;
  }

  override send(text: string): void {
    super.send(text);
    if (this.#isCommitting() || !this.isReading) this.bufferedAmount += text.length;
  }

  release(): void {
    if (this.isReading) this.bufferedAmount = 0;
  }
}

/** Creates an object with `count` sockets, whose commits the test begins and ends. */
async function committing(count: number, limits: { maxBufferedBytes: number; maxPendingBytes: number }) {
  const sockets: Gated[] = [];
  let commit = () => {};
  let committed: Promise<void> | undefined;
  const sleeping: { at: number; wake: () => void }[] = [];
  const platform = {
    hold: (work: () => Promise<void>) => work(),
    sleep: (milliseconds: number) =>
      milliseconds === 0
        ? Promise.resolve()
        : new Promise<void>((wake) => sleeping.push({ at: clock.now + milliseconds, wake })),
    within: (milliseconds: number, work: Promise<void>) =>
      Promise.race([work, new Promise<void>((wake) => sleeping.push({ at: clock.now + milliseconds, wake }))]),
  };
  const { broker, clock } = objectOf({ limits, platform: { ...platform, store: storeOf(() => committed) } });
  for (let i = 0; i < count; i++) {
    const socket = new Gated(() => committed !== undefined);
    broker.opened(socket);
    await settled();
    socket.text = "";
    sockets.push(socket);
  }
  const begin = () => {
    committed = new Promise((resolve) => {
      commit = () => {
        committed = undefined;
        for (const socket of sockets) socket.release();
        resolve();
      };
    });
  };
  const pass = async (milliseconds: number) => {
    for (const end = clock.now + milliseconds; clock.now < end; ) {
      clock.now = Math.min(end, ...sleeping.map(({ at }) => at));
      for (const { wake } of sleeping.splice(0).filter((each) => each.at <= clock.now || !sleeping.push(each))) wake();
      await settled();
    }
  };
  return { broker, sockets, begin, end: () => commit(), pass };
}

/** A store whose `sync` waits for the promise that `pending` returns. */
function storeOf(pending: () => Promise<void> | undefined) {
  return {
    get: () => undefined,
    put: () => true,
    delete: () => true,
    list: () => [],
    sync: () => pending() ?? Promise.resolve(),
    release: () => {},
    hasTaken: () => true,
  };
}

const MESSAGE = `announce all ${"x".repeat(50_000)}`;

test.each([
  { title: "for one client", limits: { maxBufferedBytes: 100_000, maxPendingBytes: 100_000_000 } },
  { title: "for all clients together", limits: { maxBufferedBytes: 100_000_000, maxPendingBytes: 200_000 } },
])("a commit of several seconds may hold back any amount of output $title", async ({ limits }) => {
  const { broker, sockets, begin, end, pass } = await committing(3, limits);
  const [first] = sockets;
  if (!first) throw new Error("connections were expected");
  begin();
  for (let i = 0; i < 10; i++) {
    broker.received(first, `${MESSAGE}${i}`);
    await settled();
  }
  await pass(8_000);
  expect(sockets.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined]);
  end();
  await pass(1_000);
  const expected = Array.from({ length: 10 }, (_, i) => `all!${"x".repeat(50_000)}${i}`);
  for (const { closed, lines } of sockets) expect({ closed, lines }).toEqual({ closed: undefined, lines: expected });
});

test.each([
  { title: "that ends", ends: true, wait: 4_000 },
  { title: "that never ends", ends: false, wait: 15_000 },
])("a client that doesn't read is closed in the end, even after a commit $title", async ({ ends, wait }) => {
  const limits = { maxBufferedBytes: 100_000, maxPendingBytes: 100_000_000 };
  const { broker, sockets, begin, end, pass } = await committing(3, limits);
  const [first, second] = sockets;
  if (!first || !second) throw new Error("connections were expected");
  second.isReading = false;
  begin();
  for (let i = 0; i < 10; i++) {
    broker.received(first, MESSAGE);
    await settled();
  }
  await pass(1_000);
  expect(second.closed).toBeUndefined();
  if (ends) end();
  await pass(wait);
  broker.received(first, MESSAGE);
  await pass(wait);
  expect(second.closed).toMatch(/reads too slowly/);
  // Before the commit, all clients look alike.
  expect(first.closed === undefined).toBe(ends);
});

test("a client has until the end of the commit to read a greeting that the commit holds back", async () => {
  const timers: (() => void)[] = [];
  let commit = () => {};
  let committed: Promise<void> | undefined;
  const { broker, clock } = objectOf({
    platform: { after: (_, act) => void timers.push(act), store: storeOf(() => committed) },
  });
  const socket = new Gated(() => committed !== undefined);
  committed = new Promise((resolve) => {
    commit = resolve;
  });
  broker.opened(socket);
  for (let second = 0; second < 15; second++) {
    await settled();
    clock.now += 1_000;
    for (const act of timers.splice(0)) act();
  }
  await settled();
  expect(socket.closed).toBeUndefined();
  socket.release();
  commit();
  await settled();
  expect(socket.closed).toBeUndefined();
});
