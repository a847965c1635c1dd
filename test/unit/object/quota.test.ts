/** The number of all connections, which the root of `all` limits. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Quota } from "../../../src/object/quota.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

const LIMIT = 10;

interface Options {
  rows?: Map<string, unknown>;
  random?: number;
  recount?: (object: string) => Promise<void>;
}

/** Starts the root of `all`. */
function quotaOf({ rows = new Map(), random = 0, recount = async () => {} }: Options = {}): Quota {
  const quota = new Quota({ ...fakeRuntime("all", rows), random: () => random }, LIMIT, recount);
  quota.start();
  return quota;
}

test("as many connections are admitted as the limit allows, even after crashes", () => {
  const claim = fc.record({
    from: fc.constantFrom("all", "a", "b"),
    held: fc.nat(5),
    wanted: fc.nat(8),
    crashes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(claim, { maxLength: 30 }), (claims) => {
      const rows = new Map<string, unknown>();
      const has = new Map<string, number>();
      let quota = quotaOf({ rows });
      for (const [number, { from, held, wanted, crashes }] of claims.entries()) {
        if (crashes) quota = quotaOf({ rows });
        const others = [...has].reduce((sum, [object, count]) => sum + (object === from ? 0 : count), 0);
        const granted = quota.claim({ from, number: number + 1, held, wanted });
        expect(granted).toBe(Math.min(wanted, Math.max(0, LIMIT - others - held)));
        has.set(from, held + granted);
      }
      const held = [...has].filter(([, count]) => count > 0);
      expect(rows).toEqual(new Map(held.map(([object, count]) => [`held:${object}`, count])));
    }),
  );
});

test("an outdated claim is rejected, and changes nothing", () => {
  const quota = quotaOf();
  expect(quota.claim({ from: "a", number: 2, held: 4, wanted: 2 })).toBe(2);
  for (const number of [1, 2]) expect(quota.claim({ from: "a", number, held: 0, wanted: 1 })).toBe(0);
  expect(quota.claim({ from: "b", number: 1, held: 0, wanted: 9 })).toBe(LIMIT - 6);
});

test("each refusal asks one object to recount, one at a time", async () => {
  const asked: string[] = [];
  let answer = () => {};
  const quota = quotaOf({
    random: 0.5,
    recount: (object) => {
      asked.push(object);
      return new Promise((resolve, reject) => {
        answer = asked.length === 1 ? () => reject(new Error("unreachable")) : resolve;
      });
    },
  });
  quota.claim({ from: "a", number: 1, held: 5, wanted: 0 });
  quota.claim({ from: "b", number: 1, held: 5, wanted: 0 });
  expect(asked).toEqual([]);
  for (const number of [1, 2]) expect(quota.claim({ from: "c", number, held: 0, wanted: 1 })).toBe(0);
  expect(asked).toEqual(["b"]);
  answer();
  for (let turn = 0; turn < 10; turn++) await undefined;
  quota.claim({ from: "c", number: 3, held: 0, wanted: 1 });
  expect(asked).toEqual(["b", "b"]);
});
