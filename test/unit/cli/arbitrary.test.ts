/** Arbitrary command lines: each ends with a documented exit code, and says why on standard error, never with a stack. */
import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DONE, LOCAL, REFUSED, TIMED_OUT, UNREACHABLE, USAGE } from "../../../src/cli/exits.ts";
import { anyUnits } from "../protocol/texts.ts";
import { runHere } from "./in-process.ts";

const URL = "ws://127.0.0.1:1";
// Arguments end at a NUL, and are decoded from UTF-8.
const anyWord = anyUnits.map((text) => Buffer.from(text.replaceAll("\0", "")).toString());
const OPTIONS = [
  ..."since last count until-caught-up ack json raw exec on key file null rate token-file token timeout follow".split(
    " ",
  ),
  ..."prefix connections size seconds channel to var secret-file subscribe announce enter sub operate expires".split(
    " ",
  ),
  ..."name open dry-run host help version nonsense __proto__".split(" "),
].map((name) => `--${name}`);
const VALUES = [
  "",
  "0",
  "2",
  "-1",
  "1.5",
  "1e9",
  "9007199254740993",
  "1h",
  "a",
  "a b",
  "a=b",
  "all",
  "debug",
  "\u202e",
];
const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...OPTIONS) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...VALUES, "a\nb", "x".repeat(300), "--", "-", "-0", URL, "ftp://a", "bash"),
  },
  { weight: 1, arbitrary: anyWord },
);
const words = fc.array(word, { maxLength: 6 });

/** Commands, and words with which they end before they would start a server, write files or listen. */
const COMMANDS: Record<string, string[]> = {
  sub: [URL],
  pub: [URL, "a"],
  ping: [URL],
  info: [URL],
  members: [URL],
  channels: [URL],
  revoke: [URL],
  bench: [URL],
  doctor: [URL],
  bridge: ["--listen", "nowhere"],
  serve: ["--port", "none"],
  deploy: ["--nowhere"],
  token: [],
  completion: [],
};

const LINE = /^(fanout|error): [^\n]+\n/;

async function check(line: string[], url: string): Promise<void> {
  const { code, out, err } = await runHere(line, {
    env: { FANOUT_URL: url, TOKEN_SECRET: "s".repeat(32) },
    input: () => Readable.from([Buffer.from("a\n")]),
  });
  const all = JSON.stringify({ line, code, out, err });
  expect([DONE, USAGE, REFUSED, TIMED_OUT, UNREACHABLE, LOCAL], all).toContain(code);
  // The doctor prints its findings.
  if (code !== DONE && !/^bad .+\n$/.test(out)) expect(err, all).toMatch(LINE);
  for (const each of err.split("\n").slice(0, -1))
    expect(each, all).toMatch(/^(fanout: |error: |Run '|\(Did you mean )/);
}

test.each(Object.entries(COMMANDS))("%s takes arbitrary arguments", { tags: ["exit-codes"] }, async (name, first) => {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    await fc.assert(
      fc.asyncProperty(words, fc.constantFrom("", URL), (more, url) => check([name, ...first, ...more], url)),
      { seed, numRuns: 10, endOnFailure: true },
    );
  }
});

test("no command is left out", async () => {
  const { out } = await runHere(["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z]+) (?!.*for command)/gm)].map(([, name]) => name);
  expect(names.sort()).toEqual(Object.keys(COMMANDS).sort());
});
