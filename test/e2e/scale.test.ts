import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { arithmetic, table } from "../../tools/bench/scale.ts";

const small = {
  title: "",
  channels: 1,
  subscribers: 40,
  announcements: 2,
  socketsPerObject: 10,
  linksPerObject: 100,
};
const round = {
  send: 0.001,
  link: 0.01,
  hop: 0.1,
  requests: 1,
  duration: 1,
  memory: 0.5,
  settle: 1,
  hosted: 1,
};

test("a tree of four objects", () => {
  const seconds = 30 * 24 * 3600;
  const result = arithmetic(small, round);
  expect(result).toMatchObject({ objects: 4, depth: 1, depthOfAll: 1, calls: 3, billed: 3.05 });
  expect(result.last).toBeCloseTo(0.1 + 3 * 0.01 + 10 * 0.001);
  expect(result.month).toBeCloseTo((2 * seconds * 3.05) / 1e6 + (4 * seconds * 0.5) / 1e6);
  expect(result.hosted).toBeCloseTo((2 * seconds * 41) / 1e6);
});

test("a channel that fits into one object calls nobody", () => {
  expect(arithmetic({ ...small, subscribers: 10 }, round)).toMatchObject({
    objects: 1,
    depth: 0,
    calls: 0,
    billed: 0.05,
  });
});

test("docs/architecture.md shows the table that the program prints", async () => {
  const readme = await readFile(new URL("../../docs/architecture.md", import.meta.url), "utf8");
  expect(readme).toContain(table());
});
