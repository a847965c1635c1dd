/** `fanout sub --cursor`, killed at every step, as its consumer's own record shows it. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { runHere } from "./in-process.ts";

/** The positions of the messages, whose texts are the same. */
const MESSAGES = [1, 2, 3, 4];

/** Replies as a server does that has retained all messages. */
function retained(line: string): string[] {
  const [command, channel, , since = "0"] = line.split(" ");
  if (command === "ping") return ["1700000000"];
  if (command !== "subscribe") return [];
  const missed = MESSAGES.filter((position) => position > Number(since));
  return [`debug!position ${channel} ${since}`, ...missed.map((position) => `${channel}!${position}`)];
}

/** Runs the program with a cursor, and kills it before a step: a print, or a change of the file system. */
async function run(file: string, killBefore: number) {
  const record: string[] = [];
  let steps = 0;
  const step = () => {
    if (steps >= killBefore) throw new Error("killed");
    steps += 1;
  };
  const { writeFileSync, renameSync, rmSync } = fs;
  const spies = [
    vi.spyOn(fs, "writeFileSync").mockImplementation((...words) => {
      if (String(words[0]).endsWith(".tmp")) step();
      writeFileSync(...words);
    }),
    vi.spyOn(fs, "renameSync").mockImplementation((...words) => {
      step();
      renameSync(...words);
    }),
    vi.spyOn(fs, "rmSync").mockImplementation((...words) => {
      if (steps < killBefore) rmSync(...words);
    }),
  ];
  syncBuiltinESMExports();
  const consume = (text: string) => {
    step();
    record.push(text.trimEnd());
  };
  const words = ["sub", "ws://localhost", "news", "--cursor", file, "--until-caught-up"];
  const { code } = await runHere(words, { reply: retained, consume });
  for (const spy of spies) spy.mockRestore();
  syncBuiltinESMExports();
  // The lock of a process ends with it.
  fs.rmSync(`${file}.lock`, { force: true });
  return { code, record, steps };
}

test("killed at any step, it has printed each message at least once, in order, and none is missing", {
  tags: ["cursor-ack"],
}, async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "kill-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  let isKilled = true;
  let kills = 0;
  for (; isKilled; kills++) {
    const file = join(folder, `cursor-${kills}`);
    fs.writeFileSync(file, '{"news":0}\n');
    const first = await run(file, kills);
    const second = await run(file, Number.POSITIVE_INFINITY);
    isKilled = first.code !== 0;
    expect(second.code).toBe(0);
    // Only the message that was being processed may be repeated.
    const repeated = second.record[0] === first.record.at(-1) ? 1 : 0;
    expect([...first.record, ...second.record.slice(repeated)], `killed before step ${kills}`).toEqual(
      MESSAGES.map(String),
    );
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).toEqual({ news: 4 });
  }
  expect(kills).toBeGreaterThan(MESSAGES.length * 3);
});
