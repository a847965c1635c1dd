/** The claims of an object for its connections, when their number is limited. */
import { expect, test } from "vitest";
import { Claims } from "../../../src/object/claims.ts";
import type { ConnectionClaim } from "../../../src/runtime/calls.ts";
import { settled } from "../settled.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/**
 * The claims of the object `home`.
 * @param held connections that are open already
 * @param rows the rows in storage
 */
function claimsOf(held = 0, rows = new Map<string, unknown>()) {
  const asked: ConnectionClaim[] = [];
  const answers: (number | "fails")[] = [];
  const admitted: (boolean | undefined)[] = [];
  const state = { unfinished: 0 };
  const claim = async (claim: ConnectionClaim) => {
    asked.push(claim);
    const answer = answers.shift() ?? claim.wanted;
    if (answer === "fails") throw new Error("lost");
    return answer;
  };
  const goOn = () => {
    state.unfinished += 1;
  };
  const claims = new Claims(fakeRuntime("home", rows), claim, { goOn });
  claims.start(held);
  /** Asks to admit a number of connections in the same turn. */
  const admit = (count: number) => {
    for (let i = 0; i < count; i++) {
      const at = admitted.push(undefined) - 1;
      void claims.admit().then((answer) => {
        admitted[at] = answer;
      });
    }
  };
  return { claims, admit, asked, answers, admitted, rows, state };
}

test("connections in the same turn share a claim, and the first ones are admitted", async () => {
  const { admit, asked, answers, admitted, rows } = claimsOf();
  answers.push(2);
  admit(3);
  await settled();
  expect({ asked, admitted }).toEqual({
    asked: [{ from: "home", number: 100, held: 0, wanted: 3 }],
    admitted: [true, true, false],
  });
  expect(rows.get("told")).toBe(2);
});

test("connections during a claim share the next one, which includes those already admitted", async () => {
  const { admit, asked, admitted } = claimsOf();
  admit(2);
  await undefined;
  await undefined;
  admit(1);
  await settled();
  expect(asked).toEqual([
    { from: "home", number: 100, held: 0, wanted: 2 },
    { from: "home", number: 101, held: 2, wanted: 1 },
  ]);
  expect(admitted).toEqual([true, true, true]);
});

test("closed connections are reported, and without connections no row is left", async () => {
  const { claims, admit, asked, rows } = claimsOf();
  admit(2);
  await settled();
  claims.release();
  claims.release();
  await settled();
  expect(asked.slice(1)).toEqual([{ from: "home", number: 101, held: 0, wanted: 0 }]);
  expect(rows.size).toBe(0);
});

test("while the root of `all` is unreachable, all connections are admitted, counted, and claimed later", async () => {
  const { claims, admit, asked, answers, admitted, state } = claimsOf();
  answers.push("fails", "fails", "fails", "fails", "fails");
  admit(2);
  await settled();
  expect({ admitted, unfinished: state.unfinished }).toEqual({ admitted: [true, true], unfinished: 1 });
  claims.recount();
  await settled();
  expect(asked.at(-1)).toMatchObject({ held: 2, wanted: 0 });
  expect(asked).toHaveLength(6);
});

test("an object that wakes claims only if it has reported another number", async () => {
  const woken = claimsOf(3, new Map([["told", 3]]));
  await settled();
  expect(woken.asked).toEqual([]);
  woken.claims.recount();
  await settled();
  expect(woken.asked).toEqual([{ from: "home", number: 100, held: 3, wanted: 0 }]);
  const crashed = claimsOf(0, new Map([["told", 3]]));
  await settled();
  expect(crashed.asked).toEqual([{ from: "home", number: 100, held: 0, wanted: 0 }]);
  expect(crashed.rows.size).toBe(0);
});

test("after a failed claim, which may have been carried out, the number reported before no longer counts", async () => {
  const { claims, admit, answers, asked } = claimsOf(0, new Map([["told", 1]]));
  answers.push(...Array<"fails">(5).fill("fails"));
  admit(1);
  await settled();
  expect(claims.isKnown).toBe(false);
  claims.recount();
  await settled();
  expect(asked.at(-1)).toMatchObject({ held: 1, wanted: 0 });
  expect(claims.isKnown).toBe(true);
});
