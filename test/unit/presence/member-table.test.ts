/** The table of a channel's members, and its rows. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MemberRows } from "../../../src/presence/member-rows.ts";
import { MemberTable } from "../../../src/presence/member-table.ts";
import type { MemberChange } from "../../../src/protocol/members.ts";
import type { PresenceReport } from "../../../src/runtime/calls.ts";
import type { Store } from "../../../src/runtime/runtime.ts";

const LIMITS = { membersPerChannel: 3, presenceGraceSeconds: 15 };
const NOW = 1_000_000;

/** Returns a store that refuses rows on demand, as `storeOf` in the runtime does. */
function storeIn(rows: Map<string, unknown>, isFull: () => boolean = () => false): Store {
  return {
    get: (key) => structuredClone(rows.get(key)),
    put: (key, value) => !isFull() && rows.set(key, structuredClone(value)) !== undefined,
    delete: (key) => !isFull() && (rows.delete(key) || true),
    list: (prefix) => [...rows].filter(([key]) => key.startsWith(prefix)),
    hasTaken: () => true,
    sync: () => Promise.resolve(),
    release: () => {},
  };
}

function tableWith(...members: string[]): MemberTable {
  const table = new MemberTable(LIMITS, NOW);
  const present = members.map((member) => ({ member, data: "", change: NOW + 1 }));
  table.apply({ from: "home", number: NOW + 1, after: undefined, present, gone: [] }, NOW);
  table.commit();
  return table;
}

function report(number: number, more: Partial<PresenceReport>): PresenceReport {
  return { from: "home", number, after: number - 1, present: [], gone: [], ...more };
}

test("a change is carried out once, however often it is reported", () => {
  const table = tableWith("ann");
  const left = [{ member: "ann", left: true, change: NOW + 2 }];
  table.apply(report(NOW + 2, { gone: left }), NOW);
  expect(table.commit()).toEqual([{ kind: "leave", member: "ann" }]);
  table.apply({ ...report(NOW + 3, {}), from: "other", present: [{ member: "ann", data: "", change: NOW + 3 }] }, NOW);
  expect(table.commit()).toEqual([{ kind: "enter", member: "ann", data: "" }]);
  table.apply(report(NOW + 4, { gone: left, after: undefined }), NOW);
  expect(table.commit()).toEqual([]);
  expect(table.list()).toEqual([{ member: "ann", data: "" }]);
});

test("a list of all members restates what has changed elsewhere since", () => {
  const table = tableWith("ann");
  const present = [{ member: "ann", data: "new", change: NOW + 2 }];
  table.apply({ ...report(NOW + 2, { present }), from: "other" }, NOW);
  expect(table.commit()).toEqual([{ kind: "update", member: "ann", data: "new" }]);
  const restated = [{ member: "ann", data: "", change: NOW + 1 }];
  table.apply(report(NOW + 3, { after: undefined, present: restated }), NOW);
  expect(table.commit()).toEqual([]);
});

test("a member without connections stays for the grace period, unless it has left", {
  tags: ["presence-no-ghosts"],
}, () => {
  const table = tableWith("ann", "bob");
  const gone = [
    { member: "ann", left: false, change: NOW + 2 },
    { member: "bob", left: true, change: NOW + 2 },
  ];
  table.apply(report(NOW + 2, { gone }), NOW);
  expect(table.commit()).toEqual([{ kind: "leave", member: "bob" }]);
  expect(table.dueAt).toBe(NOW + 16_000);
  table.expire(NOW + 15_999);
  expect(table.commit()).toEqual([]);
  table.expire(NOW + 16_000);
  expect(table.commit()).toEqual([{ kind: "leave", member: "ann" }]);
  expect(table.dueAt).toBe(Number.POSITIVE_INFINITY);
});

test("a stored deadline is at most the grace period away: clocks and settings may have changed", () => {
  const table = new MemberTable(LIMITS, NOW);
  table.restore("ann", { data: "", objects: [], until: NOW + 3_600_000 });
  expect(table.dueAt).toBeLessThanOrEqual(NOW + 16_000);
});

test("a member leaves with the last of its connections, in whichever object", () => {
  const table = tableWith("ann");
  table.apply({ ...report(NOW + 2, {}), from: "other", present: [{ member: "ann", data: "", change: NOW + 2 }] }, NOW);
  table.apply(report(NOW + 3, { gone: [{ member: "ann", left: true, change: NOW + 3 }] }), NOW);
  expect(table.commit()).toEqual([]);
  const last = { ...report(NOW + 4, {}), from: "other", gone: [{ member: "ann", left: true, change: NOW + 4 }] };
  table.apply(last, NOW);
  expect(table.commit()).toEqual([{ kind: "leave", member: "ann" }]);
});

test("what a list of all members leaves out has ended", () => {
  const table = tableWith("ann", "bob");
  const present = [{ member: "ann", data: "", change: NOW + 1 }];
  table.apply(report(NOW + 2, { after: undefined, present }), NOW);
  expect(table.commit()).toEqual([]);
  table.expire(NOW + 16_000);
  expect(table.commit()).toEqual([{ kind: "leave", member: "bob" }]);
});

test("more members than the limit are refused, and too much data", { tags: ["members-size"] }, () => {
  const table = tableWith("ann", "bob");
  const present = ["cat", "dan"].map((member) => ({ member, data: "", change: NOW + 2 }));
  expect(table.apply(report(NOW + 2, { present }), NOW)).toEqual(["dan"]);
  expect(table.list().map(({ member }) => member)).toEqual(["ann", "bob", "cat"]);
});

test("late reports are refused, also of objects without members and from before a start", () => {
  const table = tableWith("ann");
  expect(table.leastNumberOf("home")).toBe(NOW + 1);
  expect(table.leastNumberOf("other")).toBe(NOW - 5_000);
  table.apply(report(NOW + 2, { gone: [{ member: "ann", left: true, change: NOW + 2 }] }), NOW);
  expect(table.leastNumberOf("home")).toBe(NOW + 2);
  expect(table.numberOf("home")).toBe(NOW + 2);
});

test("a rollback leaves nothing of the changes since the last commit", () => {
  const table = tableWith("ann");
  table.apply(report(NOW + 2, { present: [{ member: "ann", data: "x", change: NOW + 2 }] }), NOW);
  table.apply(report(NOW + 3, { gone: [{ member: "ann", left: true, change: NOW + 3 }] }), NOW);
  table.rollback();
  expect([table.list(), table.numberOf("home")]).toEqual([[{ member: "ann", data: "" }], NOW + 1]);
  expect([table.hasChanged, table.commit()]).toEqual([false, []]);
});

test("the numbers of the 1,000 objects are remembered that most recently had no members left", () => {
  const table = tableWith();
  const depart = (object: number, number: number) => {
    table.apply({ ...report(NOW + number, { after: undefined }), from: `o${object}` }, NOW);
    table.commit();
  };
  for (let object = 0; object < 1_000; object++) depart(object, 2);
  depart(0, 3);
  depart(1_000, 4);
  expect([0, 1, 2, 1_000].map((object) => table.numberOf(`o${object}`))).toEqual([NOW + 3, 0, NOW + 2, NOW + 4]);
  expect(table.leastNumberOf("o1")).toBe(NOW + 4);
});

test("a large table is stored in rows of limited size, and restored", () => {
  const rows = new Map<string, unknown>();
  const limits = { membersPerChannel: 2_000, presenceGraceSeconds: 15 };
  const table = new MemberTable(limits, NOW);
  const stored = new MemberRows(storeIn(rows), table);
  const names = Array.from({ length: 1_200 }, (_, i) => `member-${i}`);
  const present = names.map((member) => ({ member, data: "x".repeat(1_000), change: NOW + 1 }));
  table.apply({ from: "home", number: NOW + 1, after: undefined, present, gone: [] }, NOW);
  expect(stored.store()).toBe(true);
  table.commit();
  // The head, and three rows of up to 500,000 bytes.
  expect(rows.size).toBe(4);
  for (const row of rows.values()) expect(JSON.stringify(row).length).toBeLessThan(600_000);
  const restored = new MemberTable(limits, NOW);
  new MemberRows(storeIn(rows), restored).restore();
  expect(restored.records).toEqual(table.records);
});

/** Reports of three objects about five members. */
const reports = fc.array(
  fc.record({
    from: fc.constantFrom("one", "two", "three"),
    isFull: fc.boolean(),
    present: fc.uniqueArray(
      fc.tuple(
        fc.constantFrom("a", "b", "c", "d", "e"),
        fc.nat(30_000).map((n) => "x".repeat(n)),
      ),
      {
        selector: ([member]) => member,
      },
    ),
    gone: fc.uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.boolean()), {
      selector: ([member]) => member,
    }),
    isRefused: fc.nat(9).map((n) => n === 0),
    wait: fc.constantFrom(0, 1_000, 16_000),
  }),
  { maxLength: 60 },
);

test("after any reports, the rows restore the table, and the changes replay to it", () => {
  let bases = 0;
  const check = (all: Reported[]) => {
    const limits = { membersPerChannel: 4, presenceGraceSeconds: 15 };
    const rows = new Map<string, unknown>();
    const state = { now: NOW, isFull: false };
    const table = new MemberTable(limits, state.now);
    const stored = new MemberRows(
      storeIn(rows, () => state.isFull),
      table,
    );
    const replayed = new Map<string, string>();
    for (const [i, each] of all.entries()) {
      state.now += each.wait;
      state.isFull = each.isRefused;
      table.expire(state.now);
      table.apply(reportOf(each, state.now + i + 1), state.now);
      for (const change of commit(table, stored)) replay(replayed, change);
      const members = [...replayed].map(([member, data]) => ({ member, data }));
      expect(table.list()).toEqual(members.sort((a, b) => (a.member < b.member ? -1 : 1)));
      const restored = new MemberTable(limits, state.now);
      new MemberRows(storeIn(rows), restored).restore();
      expect(restored.records).toEqual(table.records);
    }
    if ([...rows.keys()].some((key) => key !== "members:head")) bases += 1;
  };
  fc.assert(fc.property(reports, check), { numRuns: 200 });
  expect(bases).toBeGreaterThan(5);
});

type Reported = typeof reports extends fc.Arbitrary<(infer T)[]> ? T : never;

function reportOf({ from, isFull, present, gone }: Reported, change: number): PresenceReport {
  const names = new Set(present.map(([member]) => member));
  return {
    from,
    number: change,
    after: isFull ? undefined : 1,
    present: present.map(([member, data]) => ({ member, data, change })),
    gone: gone.filter(([member]) => !names.has(member)).map(([member, left]) => ({ member, left, change })),
  };
}

/** Commits what storage accepts. */
function commit(table: MemberTable, rows: MemberRows): MemberChange[] {
  if (!table.hasChanged || rows.store()) return table.commit();
  table.rollback();
  return [];
}

/** Applies a change, which must have something to change. */
function replay(members: Map<string, string>, change: { kind: string; member: string; data?: string }): void {
  expect(members.has(change.member)).toBe(change.kind !== "enter");
  if (change.kind === "leave") members.delete(change.member);
  else {
    expect(members.get(change.member)).not.toBe(change.data);
    members.set(change.member, change.data ?? "");
  }
}
