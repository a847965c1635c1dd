/** A revocation reaches every object by one call. */
import { expect, test } from "vitest";
import type { Grants } from "../../../src/auth/grants.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import type { Others } from "../tree/fake-runtime.ts";
import { objectOf } from "./object.ts";
import { Service } from "./service.ts";

const OBJECTS = 1_000;

const guard = { keys: new Set(["key"]), verify: () => Promise.reject(new Error("no token is renewed in these tests")) };

function grantsOf(sub: string): Grants {
  return { subscribe: ["*"], announce: [], until: Number.MAX_SAFE_INTEGER, sub, iat: 1, key: "key" };
}

test("revoking in a service of a thousand objects takes a thousand calls, and wakes each object once", async () => {
  const service = new Service({}, guard);
  const anns = [];
  for (let i = 0; i < OBJECTS; i++) {
    anns.push(await service.connect(`room-${i}`, undefined, grantsOf("ann")));
    await service.connect(`room-${i}`, undefined, grantsOf(`bob-${i}`));
  }
  const names = [...Array.from({ length: OBJECTS }, (_, i) => `room-${i}`), "all"];
  for (const name of names) service.hibernate(name);
  service.calls.clear();
  const answer = await service.broker("all").called("revoke", { sub: "ann" }, 2);
  await settled();
  expect(answer).toMatchObject({ unreachable: 0 });
  expect(service.calls.get("revoked")).toBeLessThanOrEqual(OBJECTS + 20);
  expect([...service.calls.keys()]).toEqual(["revoked"]);
  expect(anns.filter(({ closed }) => closed?.startsWith("revoked: "))).toHaveLength(OBJECTS);
  expect(service.rows("all").get("revoked:ann")).toMatchObject({ pending: false });
});

test("a connection gets no messages if its token is revoked between the announcement and the flush", async () => {
  const { broker, open } = objectOf({ guard });
  const [ann, bob] = [await open(grantsOf("ann")), await open({ ...grantsOf("bob"), announce: ["all"] })];
  broker.received(bob, "announce all late");
  await broker.called("revoke", { sub: "ann" }, 2);
  await settled();
  expect([ann.lines, ann.closed]).toEqual([[], expect.stringMatching(/^revoked: /)]);
  expect([bob.lines, bob.closed]).toEqual([["all!late"], undefined]);
});

test("messages are stored before a connection is closed, because closing may send them", async () => {
  const rows = new Map<string, unknown>();
  const { broker, open } = objectOf({ guard, rows });
  const [ann, bob] = [await open(grantsOf("ann")), await open({ ...grantsOf("bob"), announce: ["all"] })];
  const history = () => [...rows.keys()].filter((key) => key.startsWith("history:"));
  const { promise: closed, resolve } = Promise.withResolvers<string[]>();
  ann.close = () => resolve(history());
  const before = history();
  broker.received(bob, "announce all late");
  const revoked = broker.called("revoke", { sub: "ann" }, 2);
  expect([before, await closed]).toEqual([[], ["history:0"]]);
  await revoked;
});

test("a connection that a Worker admits, because it hasn't learned of the revocation yet, is closed without a message", async () => {
  const { broker } = objectOf({ guard });
  await broker.called("revoke", { sub: "ann" }, 2);
  const [ann, bob] = [new ClientSocket(), new ClientSocket()];
  for (const [sub, socket] of [
    ["ann", ann],
    ["bob", bob],
  ] as const)
    broker.opened(socket, "", grantsOf(sub));
  await broker.called("announce", { lines: "all!secret\n", count: 1 }, 2);
  await settled();
  expect([ann.lines, ann.closed]).toEqual([[], expect.stringMatching(/^revoked: /)]);
  expect(bob.lines).toContain("all!secret");
});

/** A root of `all` to which an object is linked whose answers the test controls. */
async function rootWithObject() {
  const state = { answers: (_: string[]): Promise<boolean> => Promise.resolve(true), alarm: Number.POSITIVE_INFINITY };
  const told: string[][] = [];
  const rows = new Map<string, unknown>();
  const options: Parameters<typeof objectOf>[0] = {
    name: "all",
    rows,
    guard: { ...guard, maxSeconds: 3_600 },
    platform: {
      alarm: async (time) => {
        state.alarm = time ?? Number.POSITIVE_INFINITY;
        return true;
      },
      alarmTime: () => state.alarm,
    },
    others: {
      revoked: async (_, { revocations }) => {
        const subs = revocations.map(({ sub }) => sub);
        if (!(await state.answers(subs))) throw new Error("no answer");
        told.push(subs);
        return { objects: 1, unreachable: [] };
      },
    },
  };
  const { broker, clock } = objectOf(options);
  await broker.called("link", { from: "room", epoch: 1 }, 2);
  const revoke = (sub: string) => broker.called("revoke", { sub }, 2);
  const ring = async (after = 700_000) => {
    clock.now += after;
    state.alarm = Number.POSITIVE_INFINITY;
    broker.alarmed();
    await settled();
  };
  const list = async (after = 0) => (await broker.called("revocations", { after }, 2)).revocations;
  return { state, told, rows, revoke, ring, list, clock, wake: () => objectOf(options) };
}

test("a revocation that an object may have missed in a crash is settled when the root wakes", async () => {
  const { state, told, rows, revoke, wake, clock } = await rootWithObject();
  state.answers = () => new Promise(() => {});
  void revoke("ann");
  await settled();
  expect(state.alarm).toBeLessThanOrEqual(clock.now + 10_000);
  expect(rows.get("revoked:ann")).toMatchObject({ pending: true });
  state.answers = async () => true;
  // An object wakes because of an event.
  await wake().broker.called("revocations", { after: 0 }, 2);
  await settled();
  expect(told).toEqual([["ann"]]);
  expect(rows.get("revoked:ann")).toMatchObject({ pending: false });
});

test("a revocation that all objects have isn't sent again, and ends with the tokens", async () => {
  const { state, told, rows, revoke, ring, list, wake } = await rootWithObject();
  await revoke("ann");
  await ring();
  await wake().broker.called("revocations", { after: 0 }, 2);
  await settled();
  expect(told).toEqual([["ann"]]);
  expect(await list()).toHaveLength(1);
  await ring(2_000_000);
  expect(state.alarm).toBeGreaterThan(3_600_000);
  // Tokens live for an hour, and clocks may differ by five seconds.
  await ring(3_605_000 - 2_700_000);
  expect(rows.has("revoked:ann")).toBe(false);
  expect(await list()).toEqual([]);
});

test("revocations end with their tokens, also if no alarm has gone off", async () => {
  const { rows, revoke, list, clock } = await rootWithObject();
  await revoke("ann");
  clock.now += 3_605_000;
  expect(await list()).toEqual([]);
  await revoke("bob");
  clock.now += 3_605_000;
  await revoke("eve");
  expect([...rows.keys()].filter((key) => key.startsWith("revoked:"))).toEqual(["revoked:eve"]);
});

test("revocations of the same millisecond have different numbers, by which objects request new ones", async () => {
  const { revoke, list } = await rootWithObject();
  for (const sub of ["ann", "bob", "eve"]) await revoke(sub);
  const numbers = (await list()).map(({ number }) => number);
  expect(numbers).toEqual([1_000, 1_001, 1_002]);
  expect(await list(1_001)).toMatchObject([{ sub: "eve" }]);
});

test("what is revoked while an object is told again reaches that object too", async () => {
  const { state, told, rows, revoke, ring } = await rootWithObject();
  state.answers = async () => false;
  expect(await revoke("ann")).toMatchObject({ unreachable: 1 });
  const { promise: answered, resolve } = Promise.withResolvers<boolean>();
  state.answers = (subs) => (subs.includes("bob") ? Promise.resolve(false) : answered);
  await ring();
  expect(await revoke("bob")).toMatchObject({ unreachable: 1 });
  resolve(true);
  await settled();
  expect(told).toEqual([["ann"]]);
  state.answers = async () => true;
  await ring();
  expect(told.at(-1)).toContain("bob");
  for (const sub of ["ann", "bob"]) expect(rows.get(`revoked:${sub}`)).toMatchObject({ pending: false });
});

test("a subject that is revoked again stays revoked since then, whichever revocation is settled last", async () => {
  const { state, rows, revoke } = await rootWithObject();
  const { promise: answered, resolve } = Promise.withResolvers<boolean>();
  state.answers = () => answered;
  const first = revoke("ann");
  await settled();
  const { promise: never } = Promise.withResolvers<boolean>();
  state.answers = () => never;
  void revoke("ann");
  await settled();
  const second = rows.get("revoked:ann");
  resolve(true);
  await first;
  expect(rows.get("revoked:ann")).toEqual(second);
  expect(second).toMatchObject({ pending: true });
});

test("an object requests revocations before it accepts another token, each time", async () => {
  let requests = 0;
  const others: Others = {
    link: async () => ({ after: 1 }),
    revocations: async () => {
      requests += 1;
      return { revocations: [] };
    },
  };
  const renewing = { ...guard, verify: async () => grantsOf("ann") };
  const { broker, clock, open } = objectOf({ name: "room", guard: renewing, others });
  const ann = await open(grantsOf("ann"));
  requests = 0;
  for (let i = 1; i < 3; i++) {
    clock.now += 60_000;
    broker.received(ann, "token x");
    await settled();
    expect(requests).toBe(i);
  }
});

test("an object that couldn't request the revocations it has missed does so later, also after hibernation", async () => {
  const state = { answers: false };
  const others: Others = {
    link: async () => ({ after: 1 }),
    revocations: async () => {
      if (!state.answers) throw new Error("no answer");
      return { revocations: [{ sub: "ann", before: 100, until: 10_000_000, number: 5 }] };
    },
  };
  const first = objectOf({ name: "room", guard, others });
  const ann = await first.open(grantsOf("ann"));
  await settled();
  expect(ann.closed).toBeUndefined();
  const second = objectOf({ name: "room", guard, others, hibernated: [ann] });
  await settled();
  expect(ann.closed).toBeUndefined();
  state.answers = true;
  second.clock.now += 700_000;
  second.broker.alarmed();
  await settled();
  expect(ann.closed).toMatch(/^revoked: /);
});
