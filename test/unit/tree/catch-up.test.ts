/** Missed messages of another object's channel: connections share requests, and live messages are joined. */
import { describe, expect, test } from "vitest";
import type { MissedAnswer, MissedRequest } from "../../../src/runtime/calls.ts";
import { CatchUp, selectMissed } from "../../../src/tree/catch-up.ts";
import { PositionWaiters } from "../../../src/tree/position-waiters.ts";
import { fakeRuntime } from "./fake-runtime.ts";

/** An object at position 10 of `news`. The test gives the root's answers. */
function catchingUp() {
  const asked: { wanted: MissedRequest; answer: (kept: MissedAnswer) => void; fail: () => void }[] = [];
  const recover = (_: string, wanted: MissedRequest) =>
    new Promise<MissedAnswer>((answer, fail) => asked.push({ wanted, answer, fail: () => fail(new Error("lost")) }));
  const catchUp = new CatchUp(fakeRuntime("home", new Map(), { recover }));
  const taken: MissedAnswer[] = [];
  const state: { position: number | undefined } = { position: 10 };
  const waiters = new PositionWaiters({ now: () => 0 });
  const progress = {
    positionOf: () => state.position,
    reached: (_: string, position: number) =>
      position > (state.position ?? position) ? waiters.wait("news", position) : undefined,
  };
  const ask = (wanted: MissedRequest) => catchUp.readMissed("news", progress, wanted, (kept) => taken.push(kept));
  const arrive = (lines: string, count: number) => {
    catchUp.append("news", lines, count);
    state.position = (state.position ?? 0) + count;
    waiters.reach("news", state.position);
  };
  const abort = () => {
    catchUp.abort("news");
    waiters.releaseAll("news");
  };
  return { catchUp, asked, taken, ask, arrive, abort, state };
}

/** Resolves when all promises that depend on nothing else have settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

/** The messages after a position, named like their positions. */
function messagesAfter(position: number, count: number): Extract<MissedAnswer, { count: number }> {
  const lines = Array.from({ length: count }, (_, i) => `${position + i + 1}\n`).join("");
  return { after: position, count, lines };
}

const since = (position: number): MissedRequest => ({ since: position, last: 0 });

test("concurrent requests share a call, and later ones share the next", async () => {
  const { catchUp, asked, taken, ask } = catchingUp();
  const first = [ask(since(8)), ask(since(5)), ask({ since: undefined, last: 3 })];
  await settled();
  expect(asked.map(({ wanted }) => wanted)).toEqual([{ since: 5, last: 3 }]);
  const second = [ask(since(9)), ask(since(7))];
  await settled();
  expect(asked).toHaveLength(1);
  asked[0]?.answer(messagesAfter(5, 5));
  expect(await Promise.all(first)).toEqual([true, true, true]);
  await settled();
  expect(catchUp.isPending("news")).toBe(true);
  expect(asked[1]?.wanted).toEqual({ since: 7, last: 0 });
  asked[1]?.answer(messagesAfter(7, 3));
  await Promise.all(second);
  expect(catchUp.isPending("news")).toBe(false);
  expect(taken).toEqual([
    messagesAfter(5, 5),
    messagesAfter(5, 5),
    messagesAfter(5, 5),
    messagesAfter(7, 3),
    messagesAfter(7, 3),
  ]);
});

test.each([
  ["the messages up to the object's position", messagesAfter(7, 3), messagesAfter(7, 5)],
  ["messages beyond the object's position", messagesAfter(7, 9), messagesAfter(7, 5)],
  ["only some of the messages that have arrived here", messagesAfter(7, 4), messagesAfter(7, 5)],
  ["fewer messages than had arrived before the request", messagesAfter(5, 1), messagesAfter(10, 2)],
  ["only messages beyond the object's position", messagesAfter(15, 2), { after: 12, count: 0, lines: "" }],
])("the root returns %s: the request gets messages up to the object's position", async (_, kept, expected) => {
  const { catchUp, asked, taken, ask, arrive } = catchingUp();
  const asking = ask(since(7));
  await settled();
  arrive("11\n12\n", 2);
  catchUp.append("sport", "1\n", 1);
  asked[0]?.answer(kept);
  expect(await asking).toBe(true);
  expect(taken).toEqual([expected]);
});

test("a client that has received newer messages elsewhere waits until they arrive here", async () => {
  const { asked, taken, ask, arrive } = catchingUp();
  const asking = ask(since(12));
  await settled();
  asked[0]?.answer(messagesAfter(12, 3));
  await settled();
  arrive("11\n", 1);
  await settled();
  expect(taken).toEqual([]);
  arrive("12\n13\n", 2);
  expect(await asking).toBe(true);
  expect(taken).toEqual([messagesAfter(12, 1)]);
});

test("it stops waiting when the link ends, and doesn't wait for a position that the root doesn't have", async () => {
  const { abort, asked, taken, ask } = catchingUp();
  const asking = ask(since(12));
  await settled();
  asked[0]?.answer(messagesAfter(12, 3));
  await settled();
  abort();
  expect(await asking).toBe(false);
  const another = ask(since(12));
  await settled();
  asked[1]?.answer(messagesAfter(10, 0));
  expect(await another).toBe(true);
  expect(taken).toEqual([messagesAfter(10, 0)]);
});

test("an aborted catch-up fails its requests, and is no longer pending", async () => {
  const { catchUp, asked, taken, ask } = catchingUp();
  const asking = ask(since(7));
  await settled();
  expect(catchUp.isPending("news")).toBe(true);
  catchUp.abort("news");
  expect(catchUp.isPending("news")).toBe(false);
  asked[0]?.answer(messagesAfter(7, 3));
  expect(await asking).toBe(false);
  expect(taken).toEqual([]);
  expect(catchUp.isPending("news")).toBe(false);
});

test("a request fails if the link was replaced or has ended in the meantime", async () => {
  for (const position of [11, undefined]) {
    const { asked, taken, ask, state } = catchingUp();
    const asking = ask(since(7));
    await settled();
    state.position = position;
    asked[0]?.answer(messagesAfter(7, 3));
    expect(await asking).toBe(false);
    expect(taken).toEqual([]);
  }
});

test("a request over a new link doesn't use messages of the former link", async () => {
  const { asked, taken, ask, state } = catchingUp();
  const before = ask(since(7));
  await settled();
  state.position = 11;
  const asking = ask(since(7));
  await settled();
  asked[0]?.answer(messagesAfter(7, 3));
  asked[1]?.answer(messagesAfter(7, 4));
  expect(await Promise.all([before, asking])).toEqual([false, true]);
  expect(taken).toEqual([messagesAfter(7, 4)]);
});

test("a request fails if too many messages arrive in the meantime", async () => {
  const { asked, ask, arrive } = catchingUp();
  const asking = ask(since(7));
  await settled();
  arrive(`${"x".repeat(4_000_000)}\n`, 1);
  asked[0]?.answer(messagesAfter(7, 3));
  expect(await asking).toBe(false);
});

test("failed calls are repeated, and a request fails if the root doesn't answer; a root may have no history", async () => {
  const { catchUp, asked, taken, ask } = catchingUp();
  const asking = ask(since(7));
  await settled();
  asked[0]?.fail();
  await settled();
  asked[1]?.answer({ none: true });
  expect(await asking).toBe(true);
  expect(taken).toEqual([{ none: true }]);
  const failing = expect(ask(since(7))).rejects.toThrow("lost");
  for (let attempt = 2; attempt < 7; attempt++) {
    await settled();
    asked[attempt]?.fail();
  }
  await failing;
  expect(catchUp.isPending("news")).toBe(false);
});

describe("of the retained messages, a connection has missed", () => {
  const retained = messagesAfter(5, 4);
  test.each([
    ["those after its position", since(7), { gap: undefined, ...messagesAfter(7, 2) }],
    ["none", since(9), { gap: undefined, ...messagesAfter(9, 0) }],
    ["all of it", since(5), { gap: undefined, ...messagesAfter(5, 4) }],
    ["more than are retained", since(4), { gap: 4, ...messagesAfter(5, 4) }],
    ["those after a position that doesn't exist yet", since(10), { gap: 10, ...messagesAfter(9, 0) }],
    ["the newest ones", { since: undefined, last: 3 }, { gap: undefined, ...messagesAfter(6, 3) }],
    ["fewer than it asked for", { since: undefined, last: 30 }, { gap: undefined, ...messagesAfter(5, 4) }],
  ])("%s", (_, wanted, missed) => {
    expect(selectMissed(wanted, retained)).toEqual(missed);
  });
});
