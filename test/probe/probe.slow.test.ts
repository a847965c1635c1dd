/** The probe's questions, against the local runtime and one that enforces the platform's limits. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLocal } from "../../tools/probe/access.ts";
import { type Access, Platform } from "../../tools/probe/platform.ts";
import { type Answer, probe, QUESTIONS } from "../../tools/probe/probe.ts";
import { NOT_ASKED } from "../../tools/probe/question.ts";
import { block } from "../../tools/probe/table.ts";
import { type Runtime, removeFolder, temporaryFolder } from "../e2e/support/runtime.ts";

const OPTIONS = { calls: 1_100, onStep: () => {} };

let folders: string[];
let runtimes: Runtime[];
/** The runtime as it is, and one that enforces the assumed limits of the platform. */
let local: Access;
let enforcing: Access;

beforeAll(async () => {
  folders = [await temporaryFolder(), await temporaryFolder()];
  const [one = "", other = ""] = folders;
  const around = await readFile(new URL("../../tools/probe/enforcing.js", import.meta.url), "utf8");
  const started = [await startLocal(one), await startLocal(other, around)] as const;
  runtimes = started.map(({ runtime }) => runtime);
  [{ access: local }, { access: enforcing }] = started;
});

afterAll(async () => {
  for (const runtime of runtimes) await runtime.kill();
  for (const folder of folders) await removeFolder(folder);
});

/** Returns the observations of one question's rows. */
function seenIn(answers: Answer[], number: number): Record<string, string> {
  const rows = answers.find((answer) => answer.number === number)?.rows ?? [];
  return Object.fromEntries(rows.map(({ question, seen }) => [question, seen]));
}

test("every question gets an answer, as far as the local runtime can give one", async () => {
  const answers = await probe(new Platform(local, false), [], OPTIONS);
  expect(answers.map(({ number }) => number)).toEqual(QUESTIONS.map((_, index) => index + 1));
  for (const { rows } of answers) {
    expect(rows.length).toBeGreaterThan(0);
    for (const { seen } of rows) expect(seen).not.toMatch(/^failed/);
  }

  const { "the error of the next hop": failure, ...hops } = seenIn(answers, 1);
  expect(failure).toBe("nothing failed");
  expect(new Set(Object.values(hops))).toEqual(new Set(["no limit seen up to 40"]));
  expect(seenIn(answers, 3)).toEqual({
    "in an event": "no limit seen up to 1,100",
    "in the next event of the same object": "no limit seen up to 1,100",
  });
  expect(seenIn(answers, 4)).toEqual({
    "while the client doesn't read": expect.stringMatching(/, [1-9][\d.]* MiB a second later$/),
    "once the client has read everything": "0",
    "of frames held back by a commit": expect.stringMatching(/^1\.0 MiB of 1\.0 MiB before, /),
  });
  expect(seenIn(answers, 7)).toEqual({
    "after 15 s of silence": "rebuilt",
    "a message it sends then": "arrives on the stream",
  });
  expect(seenIn(answers, 8)).toMatchObject({
    "code that throws": expect.stringMatching(/^TypeError: thrown by the probe \(.*remote: true/),
    "ctx.abort()": expect.stringMatching(/^Error: aborted by the probe \(.*durableObjectReset: true/),
    "… then one through a new stub": "answered",
    "an object that takes too much memory": expect.stringContaining(NOT_ASKED),
  });
  expect(seenIn(answers, 9)).toMatchObject({
    "it was rebuilt": "yes",
    "getAlarm() in alarm()": "null",
    "scheduledTime is the time that was set": "yes",
  });
  for (const seen of Object.values(seenIn(answers, 6))) expect(seen).toContain(NOT_ASKED);
});

test("observations match the assumptions where the platform's limits are enforced", async () => {
  const answers = await probe(new Platform(enforcing, false), [1, 2, 3], OPTIONS);
  const [depth] = answers;
  const hops = depth?.rows.slice(0, -1) ?? [];
  expect(hops.map(({ question, seen }) => [question, seen])).toEqual(
    hops.map(({ question, assumed }) => [question, assumed]),
  );
  expect(depth?.rows.at(-1)?.seen).toBe("Error: Subrequest depth limit exceeded.");
  expect(seenIn(answers, 2)).toMatchObject({ "to one object": expect.stringMatching(/^[1-6] at a time/) });
  expect(seenIn(answers, 3)).toEqual({
    "in an event": "1,000, then Error: Too many subrequests.",
    "in the next event of the same object": "1,000, then Error: Too many subrequests.",
  });
});

test("the program prints a table of the questions it is given", async () => {
  const program = fileURLToPath(new URL("../../tools/probe/main.ts", import.meta.url));
  const where = ["--url", local.url, "--key", local.key];
  const { stdout } = await promisify(execFile)(process.execPath, [program, "5", "3", "--calls", "7", ...where]);
  expect(stdout).toContain(local.url);
  expect(stdout).toMatch(/assumed +observed\n/);
  expect(stdout).toMatch(/^3\. Calls that one event may make\nin an event +1,000 .* no limit seen up to 7$/m);
  expect(stdout).toMatch(/^5\. /m);
  expect(stdout).not.toMatch(/^[124678]\. /m);
});

test("requests without the key are rejected", async () => {
  await expect(new Platform({ ...local, key: "" }, false).ask("some", "identity")).rejects.toThrow("401");
});

test("long cells of the table wrap to the next line", () => {
  const rows = [{ question: "a question", assumed: "an assumption ".repeat(4), seen: "seen" }];
  expect(block({ number: 1, title: "A title", rows })).toBe(
    `
1. A title
a question                            an assumption an assumption an    seen
                                      assumption an assumption`,
  );
});
