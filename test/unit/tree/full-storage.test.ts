/** Full storage: messages are still delivered, no position is assigned twice, and gaps are reported. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { newKeeper } from "./fake-runtime.ts";
import { ALL, FAR, linesOf, rootOf } from "./root.ts";

test("messages that storage refuses move to positions far beyond the stored ones, before they are sent", () => {
  const { root, state, append, announce } = rootOf();
  const stored = announce("a");
  state.accepts = false;
  const positions = [append("b"), append("c")];
  expect(state.renumbered).toEqual([]);
  root.flush();
  const [{ position, count } = { position: 0, count: 0 }] = state.renumbered;
  expect(position).toBeGreaterThan(stored + 1_000_000);
  expect(count).toBe(2);
  expect(positions.map((final) => final())).toEqual([position + 1, position + 2]);
  expect(root.channel.locate()).toBe(position + 2);
  // Positions continue from there while storage refuses rows, and when it accepts them again.
  expect(announce("d")).toBe(position + 3);
  state.accepts = true;
  expect(announce("e")).toBe(position + 4);
  expect(state.renumbered).toHaveLength(1);
  state.accepts = false;
  expect(announce("f")).toBeGreaterThan(position + 1_000_000);
  expect(state.renumbered).toHaveLength(2);
});

test("a client that unsubscribes learns first to where messages move, even if storage has no row yet", () => {
  const { root, state, append } = rootOf();
  state.accepts = false;
  const position = append("a");
  root.channel.history?.retainPosition();
  expect(state.renumbered).toEqual([{ position: position() - 1, count: 1 }]);
});

test("messages that storage refuses are not retained, nor are those before them", () => {
  const { root, rows, state, announce } = rootOf();
  const stored = announce("a", "key");
  state.accepts = false;
  const last = announce("b", "other");
  expect(root.channel.readMissed({ since: stored, last: 0 })).toEqual({ after: last, count: 0, lines: "" });
  expect(
    root.channel.history?.index.announcedUnder("key") ?? root.channel.history?.index.announcedUnder("other"),
  ).toBeUndefined();
  state.accepts = true;
  announce("c");
  expect(linesOf(root.channel.readMissed(ALL))).toBe("c\n");
  const woken = rootOf(rows);
  expect(woken.root.log.position).toBe(last + 1);
  expect(linesOf(woken.root.channel.readMissed(ALL))).toBe("c\n");
});

test("links continue after the new position, even those that are behind", async () => {
  const { root, state, calls, answer, announce } = rootOf();
  announce("a");
  root.link({ from: "home", epoch: 1 });
  const stored = announce("b");
  await settled();
  expect(calls[0]?.delivery).toMatchObject({ after: stored - 1, lines: "b\n", follows: undefined });
  announce("c");
  state.accepts = false;
  const last = announce("d");
  await answer(0, { gone: false });
  // Messages before the new position are delivered separately.
  expect(calls[1]?.delivery).toMatchObject({ after: stored, lines: "c\n", follows: undefined });
  await answer(1, { gone: false });
  expect(calls[2]?.delivery).toMatchObject({ after: last - 1, lines: "d\n", follows: stored + 1 });
  await answer(2, { gone: false });
  expect(root.acknowledgedBy("home")).toBe(last);
});

test("after a possible crash, a root checks that storage accepts rows before it reports no gap", () => {
  const { rows, announce } = rootOf();
  const stored = announce("a");
  const full = rootOf(rows);
  full.state.accepts = false;
  const answer = full.root.channel.readMissed({ since: stored, last: 0 });
  expect(answer).toMatchObject({ after: full.root.log.position, count: 0 });
  expect(full.root.log.position).toBeGreaterThanOrEqual(stored + 1_000_000);
  // A root checks only once, and not at all if it has hibernated or written a row.
  const proven = rootOf(rows);
  expect(proven.root.channel.readMissed({ since: stored, last: 0 })).toEqual({ after: stored, count: 0, lines: "" });
  expect(proven.root.channel.readMissed({ since: stored, last: 0 })).toEqual({ after: stored, count: 0, lines: "" });
  expect(proven.state.written).toBe(1);
  const hibernated = rootOf(rows, {}, newKeeper());
  hibernated.state.accepts = false;
  expect(hibernated.root.channel.readMissed({ since: stored - 1, last: 0 })).toMatchObject({ lines: "a\n" });
  const linked = rootOf(rows);
  linked.root.link({ from: "home", epoch: 1 });
  const { written } = linked.state;
  expect(linked.root.channel.readMissed({ since: stored - 1, last: 0 })).toMatchObject({ lines: "a\n" });
  expect(linked.state.written).toBe(written);
});

test("a position that storage refuses is saved with a socket during hibernation, until storage accepts it", () => {
  const keeper = newKeeper();
  const { root, rows, state, announce } = rootOf(new Map(), {}, keeper);
  announce("a");
  state.accepts = false;
  const last = announce("b");
  root.settle(true);
  for (let wake = 0; wake < 2; wake++) {
    const woken = rootOf(rows, {}, keeper);
    woken.state.accepts = false;
    expect(woken.root.log.position).toBe(last);
    woken.root.settle(true);
  }
  const woken = rootOf(rows, {}, keeper);
  expect(woken.root.channel.locate()).toBe(last);
  woken.root.settle(true);
  expect(keeper.kept).toEqual({ position: undefined });
  expect(rootOf(rows).root.log.position).toBe(last);
});

test("a stored position is saved nowhere else", () => {
  const keeper = newKeeper();
  const { root, announce } = rootOf(new Map(), {}, keeper);
  root.settle(true);
  announce("a");
  root.settle(true);
  expect(keeper.kept).toBeUndefined();
});

test("an object that asks for its link again learns whether it lacks messages, or whether the root has lost positions", async () => {
  const { root, rows, announce, answer } = rootOf();
  announce("a");
  root.link({ from: "home", epoch: 1 });
  const last = announce("b");
  const asks = (position: number) => {
    const { root } = rootOf(new Map(rows));
    const answer = root.link({ from: "home", epoch: 1, still: { last: position } });
    return [answer, root.vouchFor("home")];
  };
  // The root crashed during a delivery. Its log has the messages after "a".
  expect(asks(last - 1)).toEqual([{ after: last - 1 }, 1]);
  expect(asks(last)).toEqual([{ after: last }, 1]);
  expect(asks(last - 3)).toEqual([{ newer: 1 }, undefined]);
  expect(asks(last + 1)).toEqual([{ newer: 1 }, undefined]);
  await settled();
  await answer(0, { gone: false });
  expect(root.settle(false)).toBe(true);
  const hibernated = rootOf(rows);
  expect(hibernated.root.vouchFor("home")).toBe(1);
  expect(hibernated.root.link({ from: "home", epoch: 1, still: { last: last + 1 } })).toEqual({ newer: 1 });
});

/** A root that crashes, and whose storage accepts rows or refuses them. */
class Root {
  readonly #rows = new Map<string, unknown>();
  readonly #assigned = new Set<number>();
  #sent = 0;
  #instance = rootOf(this.#rows, FAR);

  announce(): void {
    const position = this.#instance.announce("a");
    expect(this.#assigned).not.toContain(position);
    this.#assigned.add(position);
  }

  ask(): void {
    this.#sent = this.#instance.root.channel.locate() ?? 0;
  }

  /** Resumes a client from the position that it received last. */
  resume(): void {
    expect(this.#instance.root.channel.readMissed({ since: this.#sent, last: 0 })).toHaveProperty("after");
  }

  wait(): void {
    this.#instance.state.now += 1;
  }

  crash(): void {
    const { now, accepts } = this.#instance.state;
    this.#instance = rootOf(this.#rows, FAR, undefined, now + 1);
    this.#instance.state.accepts = accepts;
  }

  fill(): void {
    this.#instance.state.accepts = false;
  }

  makeRoom(): void {
    this.#instance.state.accepts = true;
  }
}

test("no two messages get the same position, whenever storage refuses rows and the root crashes", () => {
  const event = fc.constantFrom("announce", "announce", "fill", "makeRoom", "crash", "ask", "resume", "wait");
  const scripts = fc.array(event, { minLength: 1, maxLength: 60, size: "max" });
  const property = fc.property(scripts, (script) => {
    const root = new Root();
    for (const step of script) root[step]();
  });
  fc.assert(property, { numRuns: 500 });
});
