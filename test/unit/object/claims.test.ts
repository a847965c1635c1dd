/** What an object claims for its own connections, where their number is limited. */
import { expect, test } from "vitest";
import { Claims } from "../../../src/object/claims.ts";
import type { ConnectionClaim } from "../../../src/runtime/calls.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/**
 * The claims of the object `home`.
 * @param held connections that are there already
 * @param rows what it remembers
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
  /** Asks for so many connections, in one turn. */
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

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await undefined;
}

test("who comes in one turn is claimed for together, and the first are let in", async () => {
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

test("who comes while a claim is under way is claimed for next, beside those let in", async () => {
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

test("what goes is told, and when nothing is left nothing is remembered", async () => {
  const { claims, admit, asked, rows } = claimsOf();
  admit(2);
  await settled();
  claims.release();
  claims.release();
  await settled();
  expect(asked.slice(1)).toEqual([{ from: "home", number: 101, held: 0, wanted: 0 }]);
  expect(rows.size).toBe(0);
});

test("while nobody answers everyone is let in, counted, and claimed for later", async () => {
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

test("an object that wakes claims only if what it has is not what it has told", async () => {
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

test("a claim that fails may have been carried out: what was told before does not count any more", async () => {
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
