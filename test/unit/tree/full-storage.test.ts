/** Storage that takes no more rows: messages flow on, no position is given twice, and what is lost is named. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ALL, FAR, keeperOf, linesOf, rootOf, settled } from "./root.ts";

test("messages that storage refuses get positions far beyond those that it knows, before anything is told of them", () => {
  const { root, state, say, tell } = rootOf();
  const stored = tell("a");
  state.takes = false;
  const positions = [say("b"), say("c")];
  expect(state.renumbered).toEqual([]);
  root.flush();
  const [{ position, count } = { position: 0, count: 0 }] = state.renumbered;
  expect(position).toBeGreaterThan(stored + 1_000_000);
  expect(count).toBe(2);
  expect(positions.map((final) => final())).toEqual([position + 1, position + 2]);
  expect(root.locate()).toBe(position + 2);
  // It stays there while storage refuses, and when it takes rows again.
  expect(tell("d")).toBe(position + 3);
  state.takes = true;
  expect(tell("e")).toBe(position + 4);
  expect(state.renumbered).toHaveLength(1);
  state.takes = false;
  expect(tell("f")).toBeGreaterThan(position + 1_000_000);
  expect(state.renumbered).toHaveLength(2);
});

test("messages that storage refuses are not retained, nor are those before them", () => {
  const { root, rows, state, tell } = rootOf();
  const stored = tell("a", "key");
  state.takes = false;
  const last = tell("b", "other");
  expect(root.readMissed({ since: stored, last: 0 })).toEqual({ after: last, count: 0, lines: "" });
  expect(root.history?.announcedUnder("key") ?? root.history?.announcedUnder("other")).toBeUndefined();
  state.takes = true;
  tell("c");
  expect(linesOf(root.readMissed(ALL))).toBe("c\n");
  const woken = rootOf(rows);
  expect(woken.root.log.position).toBe(last + 1);
  expect(linesOf(woken.root.readMissed(ALL))).toBe("c\n");
});

test("links go on under the new numbers, those that are behind too", async () => {
  const { root, state, calls, tell } = rootOf();
  tell("a");
  root.link({ from: "home", epoch: 1 });
  const stored = tell("b");
  await settled();
  expect(calls[0]?.delivery).toMatchObject({ after: stored - 1, lines: "b\n", follows: undefined });
  tell("c");
  state.takes = false;
  const last = tell("d");
  calls[0]?.answer({ gone: false });
  await settled();
  root.flush();
  await settled();
  // What comes before the new numbers goes by itself.
  expect(calls[1]?.delivery).toMatchObject({ after: stored, lines: "c\n", follows: undefined });
  calls[1]?.answer({ gone: false });
  await settled();
  root.flush();
  await settled();
  expect(calls[2]?.delivery).toMatchObject({ after: last - 1, lines: "d\n", follows: stored + 1 });
  calls[2]?.answer({ gone: false });
  await settled();
  expect(root.acknowledgedBy("home")).toBe(last);
});

test("a life that may follow a crash proves that storage takes a row before it says that nothing is missing", () => {
  const { rows, tell } = rootOf();
  const stored = tell("a");
  const full = rootOf(rows);
  full.state.takes = false;
  const answer = full.root.readMissed({ since: stored, last: 0 });
  expect(answer).toMatchObject({ after: full.root.log.position, count: 0 });
  expect(full.root.log.position).toBeGreaterThanOrEqual(stored + 1_000_000);
  // One that has room, that has slept, or that is asked for the newest alone does not do so for nothing.
  const proven = rootOf(rows);
  expect(proven.root.readMissed({ since: stored, last: 0 })).toEqual({ after: stored, count: 0, lines: "" });
  expect(proven.root.readMissed({ since: stored, last: 0 })).toEqual({ after: stored, count: 0, lines: "" });
  expect(proven.state.written).toBe(1);
  const slept = rootOf(rows, {}, keeperOf());
  slept.state.takes = false;
  expect(slept.root.readMissed({ since: stored - 1, last: 0 })).toMatchObject({ lines: "a\n" });
  const linked = rootOf(rows);
  linked.root.link({ from: "home", epoch: 1 });
  const { written } = linked.state;
  expect(linked.root.readMissed({ since: stored - 1, last: 0 })).toMatchObject({ lines: "a\n" });
  expect(linked.state.written).toBe(written);
});

test("a position that storage refuses outlives sleep with a socket, until storage takes it", () => {
  const keeper = keeperOf();
  const { root, rows, state, tell } = rootOf(new Map(), {}, keeper);
  tell("a");
  state.takes = false;
  const last = tell("b");
  root.settle(true);
  for (let life = 0; life < 2; life++) {
    const woken = rootOf(rows, {}, keeper);
    woken.state.takes = false;
    expect(woken.root.log.position).toBe(last);
    woken.root.settle(true);
  }
  const woken = rootOf(rows, {}, keeper);
  expect(woken.root.locate()).toBe(last);
  woken.root.settle(true);
  expect(keeper.kept).toEqual({ position: undefined });
  expect(rootOf(rows).root.log.position).toBe(last);
});

test("a position that storage has is kept nowhere else", () => {
  const keeper = keeperOf();
  const { root, tell } = rootOf(new Map(), {}, keeper);
  root.settle(true);
  tell("a");
  root.settle(true);
  expect(keeper.kept).toBeUndefined();
});

test("an object that asks whether it is still linked finds out whether it misses anything, or the root has forgotten", () => {
  const { root, rows, tell } = rootOf();
  tell("a");
  root.link({ from: "home", epoch: 1 });
  const last = tell("b");
  const asks = (position: number) => {
    const { root } = rootOf(new Map(rows));
    const answer = root.link({ from: "home", epoch: 1, still: { last: position } });
    return [answer, root.vouchFor("home")];
  };
  // It has crashed in a delivery, and its log has what came after "a".
  expect(asks(last - 1)).toEqual([{ after: last - 1 }, 1]);
  expect(asks(last)).toEqual([{ after: last }, 1]);
  expect(asks(last - 3)).toEqual([{ newer: 1 }, undefined]);
  expect(asks(last + 1)).toEqual([{ newer: 1 }, undefined]);
  root.settle(false);
  const slept = rootOf(rows);
  expect(slept.root.link({ from: "home", epoch: 1, still: { last: last + 1 } })).toEqual({ newer: 1 });
});

/** A root over several lives, of which storage takes rows or doesn't. */
class Root {
  readonly #rows = new Map<string, unknown>();
  readonly #given = new Set<number>();
  #told = 0;
  #life = rootOf(this.#rows, FAR);

  announce(): void {
    const position = this.#life.tell("a");
    expect(this.#given).not.toContain(position);
    this.#given.add(position);
  }

  ask(): void {
    this.#told = this.#life.root.locate() ?? 0;
  }

  /** A client comes back with what it was told last. */
  resume(): void {
    expect(this.#life.root.readMissed({ since: this.#told, last: 0 })).toHaveProperty("after");
  }

  wait(): void {
    this.#life.state.now += 1;
  }

  crash(): void {
    const { now, takes } = this.#life.state;
    this.#life = rootOf(this.#rows, FAR, undefined, now + 1);
    this.#life.state.takes = takes;
  }

  fill(): void {
    this.#life.state.takes = false;
  }

  makeRoom(): void {
    this.#life.state.takes = true;
  }
}

test("whenever storage refuses rows, and whatever crashes, no position is given to two messages", () => {
  const event = fc.constantFrom("announce", "announce", "fill", "makeRoom", "crash", "ask", "resume", "wait");
  const scripts = fc.array(event, { minLength: 1, maxLength: 60, size: "max" });
  const property = fc.property(scripts, (script) => {
    const root = new Root();
    for (const happens of script) root[happens]();
  });
  fc.assert(property, { numRuns: 500 });
});
