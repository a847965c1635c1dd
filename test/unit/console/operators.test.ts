/** What the console shows to operators. */
import { expect, test } from "vitest";
import { claimsOf } from "../../../src/console/claims.ts";
import { figuresIn, ratesBetween } from "../../../src/console/service-figures.ts";
import { outcomeOf } from "../../../src/console/wording.ts";

const tokenOf = (claims: unknown) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;

test("the claims of a token show whether it is an operator's", () => {
  expect(claimsOf(tokenOf({ operate: true, sub: "änn?>~" }))).toEqual({ operate: true, sub: "änn?>~" });
  const none = { operate: false, sub: undefined };
  expect(claimsOf(tokenOf({ operate: "true", sub: 7 }))).toEqual(none);
  for (const token of ["", "x", "a.b.c", tokenOf(null), tokenOf([]), tokenOf("operate"), "x.\ud800.y"])
    expect(claimsOf(token)).toEqual(none);
});

const INFO = {
  "current connections": 3,
  "current channels": 2,
  "current subscriptions": 5,
  "total announcements": 10,
  "total messages": 40,
  objects: 2,
  "unreachable objects": 0,
};

test("figures are taken from /-/info, and only if all of them are numbers", () => {
  expect(figuresIn({ ...INFO, uptime: 1 })).toMatchObject({ connections: 3, subscriptions: 5, messages: 40 });
  const { objects: _, ...incomplete } = INFO;
  for (const value of [
    undefined,
    null,
    7,
    "x",
    [],
    {},
    incomplete,
    { ...INFO, objects: "2" },
    { ...INFO, objects: null },
  ])
    expect(figuresIn(value)).toBeUndefined();
});

test("rates are differences per second, unless the totals aren't comparable", () => {
  const before = figuresIn(INFO);
  const after = figuresIn({ ...INFO, "total announcements": 15, "total messages": 90 });
  const missing = figuresIn({ ...INFO, "total messages": 90, "unreachable objects": 1 });
  if (!before || !after || !missing) throw new Error("the figures aren't understood");
  expect(ratesBetween(before, after, 5)).toEqual({ messages: 10, announcements: 1 });
  expect(ratesBetween(before, before, 5)).toEqual({ messages: 0, announcements: 0 });
  expect(ratesBetween(after, before, 5)).toBeUndefined();
  expect(ratesBetween(before, missing, 5)).toBeUndefined();
  expect(ratesBetween(before, after, 0)).toBeUndefined();
});

test("the outcome of a revocation names the objects, and those that follow later", () => {
  expect(outcomeOf("ann", { objects: 1, unreachable: 0 })).toBe("Revoked ann in 1 object.");
  expect(outcomeOf("ann", { objects: 1_000, unreachable: 2 })).toBe(
    "Revoked ann in 1,000 objects; 2 objects unreachable, to follow later.",
  );
  for (const value of [undefined, null, 7, "x", [], {}, { objects: "1", unreachable: 0 }])
    expect(outcomeOf("ann", value)).toBe("The answer isn't from Fanout.");
});
