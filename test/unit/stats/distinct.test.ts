/** Counts of different names that several objects have: exact for few, close for many, in bounded space. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { countByHashes, hashesOf, joinHashes, MOST_HASHES } from "../../../src/stats/distinct.ts";

const seed = fc.nat(0xffffffff);
const names = fc.uniqueArray(fc.string({ unit: "binary", minLength: 1 }), { maxLength: 60 });

/** What objects with such names tell together. */
function joined(objects: string[][], by: number): number[] {
  return objects.map((each) => hashesOf(new Set(each), by)).reduce(joinHashes, []);
}

test("few names are counted exactly, whoever has them, and in whatever order they are joined", () => {
  fc.assert(
    fc.property(seed, fc.array(names, { maxLength: 8 }), (by, objects) => {
      const hashes = joined(objects, by);
      expect(countByHashes(hashes)).toBe(new Set(objects.flat()).size);
      expect(joined(objects.toReversed(), by)).toEqual(hashes);
      expect(joinHashes(hashes, hashes)).toEqual(hashes);
    }),
  );
});

test.each([MOST_HASHES - 1, MOST_HASHES, 10_000, 100_000])("%d names are counted, or nearly", (count) => {
  fc.assert(
    fc.property(
      seed,
      fc.constantFrom("news/", "", "漢/", "a/very/long/name/of/a/channel/that/is/the/same/for/all/"),
      (by, prefix) => {
        const objects: string[][] = [[], [], []];
        // A third of them is known to two objects.
        for (let i = 0; i < count; i++)
          for (const at of [i % 3, (i * i) % 3]) objects[at]?.push(`${prefix}${i}`);
        const hashes = joined(objects, by);
        expect(hashes.length).toBeLessThanOrEqual(MOST_HASHES);
        expect(hashes).toEqual(hashes.toSorted((a, b) => a - b));
        // Six times the standard error: less than that is wrong now and then.
        const error = count < MOST_HASHES ? 0 : 6 / Math.sqrt(MOST_HASHES - 2);
        expect(Math.abs(countByHashes(hashes) / count - 1)).toBeLessThanOrEqual(error);
      },
    ),
    { numRuns: count > 10_000 ? 5 : 30 },
  );
});

test("hashes are spread evenly, and depend on the seed", () => {
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
