/** The revocations that an isolate or an object knows. */
import { expect, test } from "vitest";
import { type Revocation, Revocations } from "../../../src/auth/revocations.ts";

const revocation = (sub: string, number: number): Revocation => ({ sub, before: 100, until: 1_000_000, number });

test("a revocation that arrives by itself doesn't hide earlier ones from the next fetch", async () => {
  const all = [revocation("ann", 6), revocation("bob", 7)];
  const state = { now: 10_000 };
  const known = new Revocations(
    async (after) => all.filter(({ number }) => number > after),
    () => state.now,
  );
  known.add([revocation("bob", 7)]);
  expect(known.isRevoked({ sub: "ann", iat: 1 })).toBe(false);
  await known.refresh();
  expect(known.isRevoked({ sub: "ann", iat: 1 })).toBe(true);
});

test("a list is fetched again after some seconds, from where the last one ended, and what has expired is forgotten", async () => {
  const asked: number[] = [];
  const state = { now: 10_000 };
  const fetch = async (after: number) => {
    asked.push(after);
    return [revocation("ann", 6)];
  };
  const known = new Revocations(fetch, () => state.now);
  for (const now of [10_000, 14_999, 15_000, 1_000_000]) {
    state.now = now;
    await known.refresh();
  }
  expect(asked).toEqual([0, 6, 6]);
  expect(known.isRevoked({ sub: "ann", iat: 1 })).toBe(false);
});

test("of two revocations of a subject, the newer one counts, whichever arrives last", () => {
  const known = new Revocations(
    async () => [],
    () => 0,
  );
  const [older, newer] = [revocation("ann", 6), { ...revocation("ann", 7), before: 200 }];
  for (const list of [[newer, older], [older]]) {
    known.add(list);
    expect([known.isRevoked({ sub: "ann", iat: 200 }), known.isRevoked({ sub: "ann", iat: 201 })]).toEqual([
      true,
      false,
    ]);
  }
});

test("tokens of the second of the revocation, older ones and undated ones are revoked", () => {
  const known = new Revocations(
    async () => [],
    () => 0,
  );
  known.add([revocation("ann", 6)]);
  const isRevoked = (iat?: number) => known.isRevoked({ sub: "ann", iat });
  expect([isRevoked(), isRevoked(100), isRevoked(100.9), isRevoked(101)]).toEqual([true, true, true, false]);
  expect(known.isRevoked({ sub: "bob", iat: 1 })).toBe(false);
  expect(known.isRevoked({})).toBe(false);
});
