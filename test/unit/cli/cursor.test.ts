/** The file in which `fanout sub` stores its positions. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { openCursor } from "../../../src/cli/cursor.ts";

/** Returns the name of a new file, in a folder that is removed after the test. */
function newFile(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "cursor-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  return join(folder, "place");
}

/** Watches renaming until the test ends. */
function watchRenaming() {
  const watched = vi.spyOn(fs, "renameSync");
  syncBuiltinESMExports();
  onTestFinished(() => {
    watched.mockRestore();
    syncBuiltinESMExports();
  });
  return watched;
}

const positionsIn = (file: string): unknown => JSON.parse(fs.readFileSync(file, "utf8"));

test("a cursor starts where it stopped, and never moves back", () => {
  const file = newFile();
  const cursor = openCursor(file);
  cursor.begin("news", 5);
  cursor.begin("news", 9);
  expect(cursor.positionIn("news")).toBe(5);
  for (const position of [7, 6, 5]) cursor.reach("news", position);
  cursor.reach("art", 0);
  expect(positionsIn(file)).toEqual({ news: 7, art: 0 });
  fs.rmSync(`${file}.lock`);
  expect(openCursor(file).positionIn("news")).toBe(7);
});

test("its file is replaced by a complete one, never changed in place, so a crash leaves either positions", () => {
  const file = newFile();
  const cursor = openCursor(file);
  cursor.reach("news", 5);
  const before = fs.openSync(file, "r");
  onTestFinished(() => fs.closeSync(before));
  cursor.reach("news", 6);
  expect(fs.readFileSync(before, "utf8")).toBe('{"news":5}\n');
  expect(positionsIn(file)).toEqual({ news: 6 });
  expect(fs.readdirSync(join(file, "..")).sort()).toEqual(["place", "place.lock"]);
});

/**
 * Stores the positions 5 and 6 in a cursor at 4, until the power fails before a step: writing a file, or renaming it.
 * The disk loses what wasn't flushed, and maybe the last rename. Returns the position that the next run finds.
 */
function afterPowerFailure(failsBefore: number, isRenameLost: boolean): number | undefined {
  const file = newFile();
  fs.writeFileSync(file, '{"news":4}');
  const cursor = openCursor(file);
  const { writeFileSync, renameSync } = fs;
  const unflushed = new Set<unknown>();
  let [steps, replaced] = [0, ""];
  const step = () => {
    if (steps >= failsBefore) throw new Error("the power failed");
    steps += 1;
  };
  const write = vi.spyOn(fs, "writeFileSync").mockImplementation((path, data, options) => {
    step();
    writeFileSync(path, data, options);
    const isFlushed = typeof options === "object" && options?.flush;
    if (!isFlushed) unflushed.add(path);
  });
  const rename = vi.spyOn(fs, "renameSync").mockImplementation((from, to) => {
    step();
    replaced = fs.readFileSync(to, "utf8");
    renameSync(from, to);
    if (unflushed.has(from)) unflushed.add(to);
  });
  syncBuiltinESMExports();
  try {
    for (const position of [5, 6]) cursor.reach("news", position);
  } catch {}
  for (const spy of [write, rename]) spy.mockRestore();
  syncBuiltinESMExports();
  if (unflushed.has(file)) fs.truncateSync(file);
  if (isRenameLost && replaced !== "") fs.writeFileSync(file, replaced);
  fs.rmSync(`${file}.lock`);
  return openCursor(file).positionIn("news");
}

test("after a power failure at any step, a cursor has its newest position, or the one before", () => {
  const steps = [0, 1, 2, 3, 4];
  expect(steps.map((step) => afterPowerFailure(step, false))).toEqual([4, 4, 5, 5, 6]);
  expect(steps.map((step) => afterPowerFailure(step, true))).toEqual([4, 4, 4, 4, 5]);
});

test("a cursor that can't be written is reported, and the file stays as it was", () => {
  const file = newFile();
  const cursor = openCursor(file);
  cursor.reach("news", 5);
  watchRenaming().mockImplementationOnce(() => {
    throw new Error("ENOSPC: no space left on device");
  });
  expect(() => cursor.reach("news", 6)).toThrow("the cursor can't be written: ENOSPC: no space left on device");
  expect(positionsIn(file)).toEqual({ news: 5 });
  expect(fs.readdirSync(join(file, "..")).sort()).toEqual(["place", "place.lock"]);
});
