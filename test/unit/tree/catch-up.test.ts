/** What was missed of a channel of another object: asked for together, and joined to what arrives meanwhile. */
import { describe, expect, test } from "vitest";
import type { MissedAnswer, MissedRequest } from "../../../src/runtime/calls.ts";
import { CatchUp, selectMissed } from "../../../src/tree/catch-up.ts";
import { PositionWaiters } from "../../../src/tree/position-waiters.ts";
import { stillWorld } from "./fake-runtime.ts";

/** An object that is at position 10 of `news`, whose root's answers the test gives. */
function catchingUp() {
  const asked: { wanted: MissedRequest; answer: (kept: MissedAnswer) => void; fail: () => void }[] = [];
  const recover = (_: string, wanted: MissedRequest) =>
    new Promise<MissedAnswer>((answer, fail) =>
      asked.push({ wanted, answer, fail: () => fail(new Error("lost")) }),
    );
  const catchUp = new CatchUp(stillWorld("home", new Map(), { recover }));
  const taken: MissedAnswer[] = [];
  const place: { position: number | undefined } = { position: 10 };
  const waiters = new PositionWaiters({ now: () => 0 });
  const progress = {
    position: () => place.position,
    reached: (position: number) =>
      position > (place.position ?? position) ? waiters.wait("news", position) : undefined,
  };
  const ask = (wanted: MissedRequest) =>
    catchUp.readMissed("news", progress, wanted, (kept) => taken.push(kept));
  const hear = (lines: string, count: number) => {
    catchUp.append("news", lines, count);
    place.position = (place.position ?? 0) + count;
    waiters.reach("news", place.position);
  };
  const lose = () => {
    catchUp.abort("news");
    waiters.releaseAll("news");
  };
  return { catchUp, asked, taken, ask, hear, lose, place };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

/** The messages after a position, named like their positions. */
function messagesAfter(position: number, count: number): Extract<MissedAnswer, { count: number }> {
  const lines = Array.from({ length: count }, (_, i) => `${position + i + 1}\n`).join("");
  return { after: position, count, lines };
}

const since = (position: number): MissedRequest => ({ since: position, last: 0 });

test("those who ask at one time are asked for together, and later ones together in the next call", async () => {
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
  ["up to where this object is", messagesAfter(7, 3), messagesAfter(7, 5)],
  ["further than what has arrived here", messagesAfter(7, 9), messagesAfter(7, 5)],
  ["only some of what has arrived here", messagesAfter(7, 4), messagesAfter(7, 5)],
  ["less than what had arrived before it was asked", messagesAfter(5, 1), messagesAfter(10, 2)],
  ["nothing that this object has come to", messagesAfter(15, 2), { after: 12, count: 0, lines: "" }],
])("what the root tells is %s: it is handed over up to there", async (_, kept, expected) => {
  const { catchUp, asked, taken, ask, hear } = catchingUp();
  const asking = ask(since(7));
  await settled();
  hear("11\n12\n", 2);
  catchUp.append("sport", "1\n", 1);
  asked[0]?.answer(kept);
  expect(await asking).toBe(true);
  expect(taken).toEqual([expected]);
});

test("who was further already, by another object, waits until this one has come there too", async () => {
  const { asked, taken, ask, hear } = catchingUp();
  const asking = ask(since(12));
  await settled();
  asked[0]?.answer(messagesAfter(12, 3));
  await settled();
  hear("11\n", 1);
  await settled();
  expect(taken).toEqual([]);
  hear("12\n13\n", 2);
  expect(await asking).toBe(true);
  expect(taken).toEqual([messagesAfter(12, 1)]);
});

test("who waits for that does not when the place is lost, or when there is no such position", async () => {
  const { lose, asked, taken, ask } = catchingUp();
  const asking = ask(since(12));
  await settled();
  asked[0]?.answer(messagesAfter(12, 3));
  await settled();
  lose();
  expect(await asking).toBe(false);
  const another = ask(since(12));
  await settled();
  asked[1]?.answer(messagesAfter(10, 0));
  expect(await another).toBe(true);
  expect(taken).toEqual([messagesAfter(10, 0)]);
});

test("who loses its place meanwhile is told, and hears the channel for nobody afterwards", async () => {
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

test("whoever is linked anew meanwhile, or not at all, may have missed some", async () => {
  for (const position of [11, undefined]) {
    const { asked, taken, ask, place } = catchingUp();
    const asking = ask(since(7));
    await settled();
    place.position = position;
    asked[0]?.answer(messagesAfter(7, 3));
    expect(await asking).toBe(false);
    expect(taken).toEqual([]);
  }
});

test("who asks by a new link does not go on with what arrived by the one before", async () => {
  const { asked, taken, ask, place } = catchingUp();
  const before = ask(since(7));
  await settled();
  place.position = 11;
  const asking = ask(since(7));
  await settled();
  asked[0]?.answer(messagesAfter(7, 3));
  asked[1]?.answer(messagesAfter(7, 4));
  expect(await Promise.all([before, asking])).toEqual([false, true]);
  expect(taken).toEqual([messagesAfter(7, 4)]);
});

test("where more arrives meanwhile than there is room for, the place is lost", async () => {
  const { asked, ask, hear } = catchingUp();
  const asking = ask(since(7));
  await settled();
  hear(`${"x".repeat(4_000_000)}\n`, 1);
  asked[0]?.answer(messagesAfter(7, 3));
  expect(await asking).toBe(false);
});

test("a call that fails is repeated; a root that keeps nothing says so; one that does not answer is told", async () => {
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

describe("of what is kept, one connection has missed", () => {
  const kept = messagesAfter(5, 4);
  test.each([
    ["what came after its position", since(7), { gap: undefined, ...messagesAfter(7, 2) }],
    ["nothing", since(9), { gap: undefined, ...messagesAfter(9, 0) }],
    ["all of it", since(5), { gap: undefined, ...messagesAfter(5, 4) }],
    ["more than there is", since(4), { gap: 4, ...messagesAfter(5, 4) }],
    ["what is not there yet", since(10), { gap: 10, ...messagesAfter(9, 0) }],
    ["the newest", { since: undefined, last: 3 }, { gap: undefined, ...messagesAfter(6, 3) }],
    ["fewer than it asks for", { since: undefined, last: 30 }, { gap: undefined, ...messagesAfter(5, 4) }],
  ])("%s", (_, wanted, missed) => {
    expect(selectMissed(wanted, kept)).toEqual(missed);
  });
});
