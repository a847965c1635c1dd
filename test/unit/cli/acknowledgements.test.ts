/** Acknowledgements that a consumer writes to a pipe. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readAcknowledgements } from "../../../src/cli/acknowledgements.ts";
import { openCursor } from "../../../src/cli/cursor.ts";

/** Reads acknowledgements of channels; returns what the consumer does. */
function read(channels: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "acks-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const input = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const output = openSync(pipe, "w");
  let isOpen = true;
  const end = () => {
    if (isOpen) closeSync(output);
    isOpen = false;
  };
  onTestFinished(end);
  const cursor = openCursor(join(folder, "cursor"));
  const acks = readAcknowledgements(input, cursor, channels);
  return { cursor, acks, end, write: (line: string) => writeSync(output, `${line}\n`) };
}

test("nothing is awaited without messages", async () => {
  const { acks } = read(["news"]);
  await acks.settled();
});

test("all printed messages are awaited", async () => {
  const { acks, cursor, write } = read(["news", "art"]);
  acks.expect("news", 7);
  acks.expect("art", 3);
  const settled = acks.settled();
  write("news 7");
  write("art 3");
  await settled;
  expect([cursor.positionIn("news"), cursor.positionIn("art")]).toEqual([7, 3]);
});

test.each(["8", "other 7", "x", ""])("'%s' acknowledges no printed message", async (line) => {
  const { acks, write } = read(["news"]);
  acks.expect("news", 7);
  write(line);
  await expect(acks.failure).rejects.toThrow(`'${line}' isn't the position of a printed message`);
});

const EARLY = "acknowledgements ended before all messages were acknowledged";

test("acknowledgements may not end before the last one", async () => {
  const { acks, end } = read(["news"]);
  acks.expect("news", 7);
  end();
  await expect(acks.failure).rejects.toThrow(EARLY);
});
