/** `fanout serve` on a disk that becomes full, and has room again. */
import { execFileSync } from "node:child_process";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { serveIn } from "./support/cli-server.ts";
import { run } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { lacks } from "./support/tools.ts";

/** The size of the disk. */
const SIZE = "size=8m";

let disk: string;
let isMounted = false;

beforeEach(async () => {
  disk = await temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", SIZE, "none", disk], { stdio: "pipe" });
    isMounted = true;
  } catch (error) {
    lacks(`a small disk can't be mounted, which takes root on Linux: ${error}`);
  }
  return async () => {
    if (isMounted) execFileSync("umount", ["--lazy", disk]);
    await removeFolder(disk);
  };
});

/** Fills the disk to its last byte; returns a function that makes room. */
function fill(): () => void {
  const ballast = join(disk, "ballast");
  for (let bytes = 1_048_576; bytes >= 1; ) {
    try {
      appendFileSync(ballast, Buffer.alloc(bytes));
    } catch {
      bytes = Math.floor(bytes / 2);
    }
  }
  return () => rmSync(ballast);
}

test("announcements fail while the disk is full, and nothing that was acknowledged is lost", {
  tags: ["serve-disk-full"],
}, async ({ skip }) => {
  if (!isMounted) return skip("a small disk can't be mounted");
  const data = join(disk, "data");
  const words = ["--var", "HISTORY_SECONDS=3600", "--var", "HISTORY_BYTES=500000"];
  const first = await serveIn(data, words);
  const acknowledged: string[] = [];
  const refused = new Set<string>();
  let count = 0;
  const announce = async (): Promise<boolean> => {
    const text = `${++count} ${"x".repeat(400)}`;
    const response = await fetch(`${first.url}/news`, { method: "POST", body: text });
    if (response.ok) acknowledged.push(text);
    else refused.add(`${response.status} ${response.headers.get("fanout-error")}`);
    await response.text();
    return response.ok;
  };
  for (let i = 0; i < 10; i++) expect(await announce()).toBe(true);
  const makeRoom = fill();
  // Storage may have some pages left.
  await expect.poll(announce, { interval: 5 }).toBe(false);
  for (let i = 0; i < 10; i++) await announce();
  expect([...refused].filter((refusal) => !/^503 (uncertain|unavailable)$/.test(refusal))).toEqual([]);
  expect(first.err()).toMatch(/^fanout: the disk of .* is full; announcements fail until there is room$/m);
  // A second server can't start there, and says why.
  const other = await run(["serve", "--port", "0", "--data", join(disk, "other")]);
  expect(other).toMatchObject({ code: 7, err: expect.stringMatching(/^fanout: the disk of .* is full; make room/) });
  makeRoom();
  await expect.poll(announce).toBe(true);
  expect(await announce()).toBe(true);
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await serveIn(data, words);
  const url = second.url.replace(/^http/, "ws");
  const { out } = await run(["sub", url, "news", "--last", "9999", "--until-caught-up"]);
  const stored = out.trimEnd().split("\n");
  const numbers = stored.map(Number.parseFloat);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(stored).toEqual(expect.arrayContaining(acknowledged));
});
