import fc from "fast-check";
import { expect, test } from "vitest";
import { Log } from "../../../src/links/log.ts";

test("positions go on from the one before, whether messages are kept or not", () => {
  const log = new Log(7);
  expect(log.append("a\nb\n", 2)).toBe(9);
  expect(log.skip(3)).toBe(12);
  expect(log.append("c\n", 1)).toBe(13);
  expect(log.position).toBe(13);
});

test("nobody gives positions who does not know the one before", () => {
  const log = new Log(undefined);
  expect(() => log.append("a\n", 1)).toThrow(/knows the one before/);
  log.begin(40);
  expect(log.append("a\n", 1)).toBe(41);
  log.lose();
  expect([log.position, log.size]).toEqual([undefined, 0]);
});

/** Batches of messages that were appended one after another. */
const batches = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 });

test("after each end of a batch comes exactly what was appended after it, in pieces of bounded size", () => {
  fc.assert(
    fc.property(batches, fc.nat(20), fc.integer({ min: 1, max: 40 }), (sizes, read, most) => {
      const log = new Log(100);
      const lines = sizes.map((count, i) => `${i};\n`.repeat(count));
      const ends = sizes.map((count, i) => log.append(lines[i] ?? "", count));
      const from = Math.min(read, sizes.length - 1);
      let position = ends[from] ?? 0;
      let text = "";
      for (;;) {
        const piece = log.since(position, most);
        if (piece.count === 0) break;
        expect(piece.lines.split("\n")).toHaveLength(piece.count + 1);
        // One batch is never divided, however long.
        expect(piece.lines.length <= most || lines.includes(piece.lines)).toBe(true);
        text += piece.lines;
        position += piece.count;
      }
      expect(text).toBe(lines.slice(from + 1).join(""));
      expect(position).toBe(log.position);
    }),
  );
});

test("what is trimmed is gone, and what comes after it stays", () => {
  fc.assert(
    fc.property(batches, fc.nat(80), (sizes, most) => {
      const log = new Log(0);
      for (const [i, count] of sizes.entries()) log.append(`${i};\n`.repeat(count), count);
      const whole = log.since(0, 10_000);
      const kept = log.trimTo(most) ?? 0;
      expect(log.size).toBeLessThanOrEqual(most);
      const rest = log.since(kept, 10_000);
      expect(rest.lines.length).toBe(log.size);
      expect(whole.lines.endsWith(rest.lines)).toBe(true);
      expect(kept + rest.count).toBe(log.position);
      log.trim(log.position ?? 0);
      expect(log.size).toBe(0);
    }),
  );
});
