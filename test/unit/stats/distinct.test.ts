/** Counts of distinct names: exact for few names, estimated for many, in bounded space. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { countByHashes, hashesOf, MAX_HASHES, mergeHashes } from "../../../src/stats/distinct.ts";

const seed = fc.nat(0xffffffff);
const names = fc.uniqueArray(fc.string({ unit: "binary", minLength: 1 }), { maxLength: 60 });

/** Returns the merged hashes of objects with such names. */
function merged(objects: string[][], by: number): number[] {
  return objects.map((each) => hashesOf(new Set(each), by)).reduce(mergeHashes, []);
}

test("few names are counted exactly, in any order of merging", () => {
  fc.assert(
    fc.property(seed, fc.array(names, { maxLength: 8 }), (by, objects) => {
      const hashes = merged(objects, by);
      expect(countByHashes(hashes)).toBe(new Set(objects.flat()).size);
      expect(merged(objects.toReversed(), by)).toEqual(hashes);
      expect(mergeHashes(hashes, hashes)).toEqual(hashes);
    }),
  );
});

test.each([MAX_HASHES - 1, MAX_HASHES, 10_000, 100_000])(
  "the count of %d names is within the expected error",
  (count) => {
    fc.assert(
      fc.property(
        seed,
        fc.constantFrom("news/", "", "漢/", "a/very/long/name/of/a/channel/that/is/the/same/for/all/"),
        (by, prefix) => {
          const objects: string[][] = [[], [], []];
          // Two objects have a third of them in common.
          for (let i = 0; i < count; i++) for (const at of [i % 3, (i * i) % 3]) objects[at]?.push(`${prefix}${i}`);
          const hashes = merged(objects, by);
          expect(hashes.length).toBeLessThanOrEqual(MAX_HASHES);
          expect(hashes).toEqual(hashes.toSorted((a, b) => a - b));
          // Six times the standard error, so that no run fails by chance.
          const error = count < MAX_HASHES ? 0 : 6 / Math.sqrt(MAX_HASHES - 2);
          expect(Math.abs(countByHashes(hashes) / count - 1)).toBeLessThanOrEqual(error);
        },
      ),
      { numRuns: count > 10_000 ? 5 : 30 },
    );
  },
);

test("hashes are uniform, and depend on the seed", () => {
  const all = (by: number) => Array.from({ length: 2_000 }, (_, i) => hashesOf([`c${i}`], by)[0] ?? 0);
  const [one, other] = [all(1), all(2)];
  expect(one.filter((hash, i) => hash === other[i])).toEqual([]);
  const tenths = Array.from(
    { length: 10 },
    (_, i) => one.filter((hash) => Math.floor((hash / 2 ** 53) * 10) === i).length,
  );
  // Five standard deviations.
  for (const tenth of tenths) expect(Math.abs(tenth - 200)).toBeLessThan(5 * Math.sqrt(200 * 0.9));
});
