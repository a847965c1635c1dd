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

/** Watches a function of the file system until the test ends. */
function watch(name: "writeFileSync" | "renameSync") {
  const watched = vi.spyOn(fs, name);
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

test("the complete file is on the disk before it replaces the other one, so a power failure can't empty the cursor", () => {
  const file = newFile();
  const cursor = openCursor(file);
  const [written, renamed] = [watch("writeFileSync"), watch("renameSync")];
  cursor.reach("news", 5);
  const [[next = "", , options] = []] = written.mock.calls;
  expect(options).toMatchObject({ flush: true });
  expect(renamed.mock.calls).toEqual([[next, file]]);
});

test("a cursor that can't be written is reported, and the file stays as it was", () => {
  const file = newFile();
  const cursor = openCursor(file);
  cursor.reach("news", 5);
  watch("renameSync").mockImplementationOnce(() => {
    throw new Error("ENOSPC: no space left on device");
  });
  expect(() => cursor.reach("news", 6)).toThrow("the cursor can't be written: ENOSPC: no space left on device");
  expect(positionsIn(file)).toEqual({ news: 5 });
  expect(fs.readdirSync(join(file, "..")).sort()).toEqual(["place", "place.lock"]);
});
