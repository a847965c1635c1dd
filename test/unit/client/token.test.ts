import { expect, test } from "vitest";
import { untilRenewal } from "../../../src/client/token.ts";

const tokenOf = (claims: unknown) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;

test("a token is renewed half a minute before its end, or at half of what is left", () => {
  expect(untilRenewal(tokenOf({ exp: 1_000 }), 0)).toBe(970_000);
  expect(untilRenewal(tokenOf({ exp: 20 }), 0)).toBe(10_000);
  expect(untilRenewal(tokenOf({ exp: 20, sub: "ü?>" }), 30_000)).toBe(0);
});

test("what does not say when it ends is not", () => {
  for (const token of ["", "x", "a.b.c", tokenOf({}), tokenOf(null)])
    expect(untilRenewal(token, 0)).toBeUndefined();
});
