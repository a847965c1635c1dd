import fc from "fast-check";
import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";

test("positions are consecutive, whether messages are stored or not", { tags: ["position-counts"] }, () => {
  const log = new Log(7);
  expect(log.append("a\nb\n", 2).last).toBe(9);
  expect(log.skip("x\ny\nz\n", 3).last).toBe(12);
  expect([log.start, log.size, log.since(7, 100)]).toEqual([12, 0, { after: 12, count: 0, lines: "" }]);
  expect(log.append("c\n", 1).last).toBe(13);
  expect(log.position).toBe(13);
});

test("a log assigns positions only after it knows its own", () => {
  const log = new Log(undefined);
  expect(log.since(5, 100)).toEqual({ after: 5, count: 0, lines: "" });
  expect(() => log.append("a\n", 1)).toThrow(/knows its position/);
  expect(() => log.skip("a\n", 1)).toThrow(/knows its position/);
  log.begin(40);
  expect(log.append("a\n", 1).last).toBe(41);
  log.forgetPosition();
  expect([log.position, log.size]).toEqual([undefined, 0]);
});

/** The sizes of announcements that are appended one after another. */
const batches = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 });

test("a log returns exactly the messages after a position, in pieces of bounded size", () => {
  fc.assert(
    fc.property(batches, fc.nat(20), fc.integer({ min: 1, max: 40 }), (sizes, read, most) => {
      const log = new Log(100);
      const lines = sizes.map((count, i) => `${i};\n`.repeat(count));
      const ends = sizes.map((count, i) => log.append(lines[i] ?? "", count).last);
      const from = Math.min(read, sizes.length - 1);
      let position = ends[from] ?? 0;
      let text = "";
      while (position < (log.position ?? 0)) {
        const piece = log.since(position, most);
        expect(piece.count).toBeGreaterThan(0);
        expect(piece.lines.split("\n")).toHaveLength(piece.count + 1);
        // A single message is never split, however long it is.
        expect(piece.lines.length <= most || piece.count === 1).toBe(true);
        text += piece.lines;
        position += piece.count;
      }
      expect(text).toBe(lines.slice(from + 1).join(""));
      expect(position).toBe(log.position);
      expect(log.since(position, most).count).toBe(0);
    }),
  );
});

test("trimming drops the oldest messages only", () => {
  fc.assert(
    fc.property(batches, fc.nat(80), (sizes, most) => {
      const log = new Log(0);
      for (const [i, count] of sizes.entries()) log.append(`${i};\n`.repeat(count), count);
      const whole = log.since(0, 10_000);
      const start = log.trimTo(most) ?? 0;
      expect(log.size).toBeLessThanOrEqual(most);
      const rest = log.since(start, 10_000);
      expect(rest.lines.length).toBe(log.size);
      expect(whole.lines.endsWith(rest.lines)).toBe(true);
      expect(start + rest.count).toBe(log.position);
      log.trim(log.position ?? 0);
      expect(log.size).toBe(0);
    }),
  );
});

test("a renumbered log returns the messages on each side separately, and their announcements have the new positions", () => {
  const log = new Log(10);
  const before = log.append("a\nb\n", 2);
  const [c, d] = [log.append("c\n", 1), log.append("d\ne\n", 2)];
  log.renumber(12, 1_000);
  expect([before.last, c.last, d.last, log.position]).toEqual([12, 1_001, 1_003, 1_003]);
  expect(log.since(11, 100)).toEqual({ after: 11, count: 1, lines: "b\n" });
  expect(log.since(12, 100)).toEqual({ after: 1_000, count: 3, lines: "c\nd\ne\n" });
  expect(log.since(1_002, 100)).toEqual({ after: 1_002, count: 1, lines: "e\n" });
  expect(log.after(12)).toEqual([c, d]);
  log.trim(12);
  expect([log.start, log.since(12, 100).after]).toEqual([12, 1_000]);
  expect(() => log.renumber(12, 1_002)).toThrow(/positions only rise/);
});

test("a renumbered log without later messages returns its new position", () => {
  const log = new Log(10);
  log.renumber(10, 1_000);
  expect(log.since(10, 100)).toEqual({ after: 1_000, count: 0, lines: "" });
});
