/** Every error of every command: its exit code, and its line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ERROR_CODES } from "../../../src/protocol/errors.ts";
import { type Closed, runHere, type Surroundings } from "./in-process.ts";

/** A command line, the surroundings in which it fails, its exit code, and its last line on standard error. */
type Row = [what: string, words: string[], surroundings: Surroundings, code: number, line: string | RegExp];

const folder = mkdtempSync(join(tmpdir(), "exit-codes-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fileOf = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const notCursor = fileOf("precious", "precious");
const empty = fileOf("empty", "");
const missing = join(folder, "missing");

const url = "ws://localhost";
const REVOKED: Closed = { code: 1008, reason: "revoked: no access" };
const NO_SERVER = "the server can't be reached; check the address";
const LATE = "the server didn't reply within 3 s";
const ENOSPC = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
const EIO = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
const EISDIR = Object.assign(new Error("EISDIR: illegal operation on a directory, read"), { code: "EISDIR" });
const UNEXPECTED = /^fanout: unexpected error: a fault; report it as a fault of fanout \d+\.\d+\.\d+$/;

/** Replies as a server does on which all is well. */
function healthy(line: string): string[] {
  const [command = "", name = ""] = line.split(" ");
  if (command === "ping") return ["1700000000"];
  if (command === "info") return ["figure: 1", "1700000000"];
  if (command === "subscribe") return [`debug!position ${name} 7`];
  if (command === "once") return [`debug!once ${name} 8`];
  if (command === "members") return [`debug!members ${name} 7 0`];
  return [];
}

/** Replies as a server does that refuses one command, and executes all others. */
const refusing = (command: string, code: string) => (line: string) => {
  const [name, argument] = line.split(" ");
  return name === command ? [`debug!error ${code} ${command}${argument ? ` ${argument}` : ""}: no`] : healthy(line);
};

/** Replies as a server does that revokes the token as soon as it has answered everything. */
const revoking = (line: string) => (/^ping|^members/.test(line) ? [...healthy(line), REVOKED] : healthy(line));

async function* failing(error: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a\n");
  throw error;
}

const bytes = async function* (...parts: number[][]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Uint8Array.from(part);
};

/** Commands that need a connection, with valid arguments. The last argument is what they need printed. */
const CONNECTING: Record<string, string[]> = {
  sub: ["sub", url, "news", "--count", "1"],
  pub: ["pub", url, "news", "hello", "--json"],
  ping: ["ping", url],
  info: ["info", url],
  members: ["members", url, "news", "--json", "--follow"],
  bench: ["bench", url, "--connections", "1", "--seconds", "1"],
};
const OPERATORS: Record<string, string[]> = {
  channels: ["channels", url],
  revoke: ["revoke", url, "ann"],
};
const WITH_SERVER = Object.entries({ ...CONNECTING, ...OPERATORS, doctor: ["doctor", url] });
const timed = (words: string[]) => [...words, "--timeout", "3"];
const json = (value: unknown, status = 200) => ({
  respond: async () => new Response(typeof value === "string" ? value : JSON.stringify(value), { status }),
});

const ROWS: Row[] = [
  // Invalid command lines
  ...WITH_SERVER.flatMap(([, [name = "", ...rest]]): Row[] => [
    ["an unknown option", [name, "--nonsense"], {}, 2, /^error: unknown option '--nonsense'/m],
    ["no time", [name, ...rest, "--timeout", "0"], {}, 2, /It takes a whole number from 1/],
    ["a token as an argument", [name, ...rest, "--token", "x"], {}, 2, /^fanout: a token isn't an argument/],
    [
      "no token in its file",
      [name, ...rest, "--token-file", missing],
      {},
      2,
      /^fanout: the secret can't be read: ENOENT/,
    ],
    ["an empty token file", [name, ...rest, "--token-file", empty], {}, 2, /is empty; write the value of FANOUT_TOKEN/],
    [
      "no JWT",
      [name, ...rest],
      { env: { FANOUT_TOKEN: "no jwt" } },
      2,
      "fanout: the token isn't a JWT; 'fanout token' makes one for testing",
    ],
    [
      "another scheme",
      [name, "ftp://host", ...rest.slice(1)],
      {},
      2,
      /^fanout: the address is "ftp:\/\/host"; it takes/,
    ],
  ]),
  ["no command", ["nonsense"], {}, 2, /unknown command 'nonsense'/],
  ["no channel", ["sub", url], {}, 2, "fanout: the channel is missing; give it after the address"],
  ["an invalid channel", ["sub", url, "a b"], {}, 2, /^fanout: /],
  ["no cursor for --ack", ["sub", url, "a", "--ack", "3"], {}, 2, "fanout: --ack needs --cursor <file>"],
  ["two starts", ["sub", url, "a", "--since", "1", "--last", "1"], {}, 2, /^fanout: use --since or --last/],
  ["no cursor in its file", ["sub", url, "a", "--cursor", notCursor], {}, 2, /precious isn't a cursor; name a file/],
  ["a folder as the cursor", ["sub", url, "a", "--cursor", folder], {}, 2, /^fanout: the cursor can't be read: EISDIR/],
  ["no channel", ["pub", url], {}, 2, "fanout: the channel is missing; give it after the address"],
  ["an invalid key", ["pub", url, "a", "x", "--key", "a b"], {}, 2, /option '--key <key>' argument 'a b' is invalid/],
  ["an empty message", ["pub", url, "a", ""], {}, 2, "fanout: the message is empty; it has at least one character"],
  ["no input file", ["pub", url, "a", "--file", missing], {}, 2, /^fanout: the input can't be read: ENOENT/],
  [
    "a folder as input file",
    ["pub", url, "a", "--file", folder],
    {},
    2,
    /^fanout: the input can't be read: .* is a folder$/,
  ],
  [
    "a folder as input",
    ["pub", url, "a"],
    { reply: healthy, input: () => failing(EISDIR) },
    2,
    /^fanout: the input can't be read: EISDIR/,
  ],
  [
    "input that isn't UTF-8",
    ["pub", url, "a"],
    { reply: healthy, input: () => bytes([255, 10]) },
    2,
    /^fanout: line 1 isn't UTF-8/,
  ],
  [
    "a long line",
    ["pub", url, "a"],
    { reply: healthy, input: () => bytes(new Array(1_000_001).fill(97)) },
    2,
    "fanout: line 1 has more than 1000000 bytes",
  ],
  [
    "a long key",
    ["pub", url, "a", "--key", "k".repeat(63)],
    { reply: healthy, input: () => bytes([97, 10]) },
    2,
    /^fanout: with --key, line 1 has the key/,
  ],
  ["an invalid channel", ["members", url, "presence/a"], {}, 2, /^fanout: /],
  ["no subject", ["revoke", url], {}, 2, "fanout: the subject is missing; give it after the address"],
  [
    "a small message",
    ["bench", url, "--size", "1"],
    {},
    2,
    /^fanout: --size is too small; it takes \d+ bytes or more$/,
  ],
  ["no address", ["bridge"], {}, 2, /required option '--to <url>' not specified/],
  ["no port", ["bridge", "--to", url, "--listen", "x"], {}, 2, /^fanout: 'x' isn't a host and a port/],
  [
    "another machine's address",
    ["bridge", "--to", url, "--listen", "192.0.2.1:0"],
    {},
    2,
    /^fanout: the bridge can't listen at 192.0.2.1:0: listen EADDRNOTAVAIL/,
  ],
  ["an unknown setting", ["serve", "--var", "NONSENSE=1"], {}, 2, /The settings are /],
  ["a secret as an argument", ["serve", "--var", "TOKEN_SECRET=x"], {}, 2, /^fanout: a secret isn't an argument/],
  ["a name that no Worker can have", ["deploy", "--name", "A"], {}, 2, /lowercase letters/],
  ["no option after --", ["deploy", "--", "x"], {}, 2, /^fanout: 'x' isn't an option; name the Worker with --name x$/],
  ["no secret", ["token"], {}, 2, /^fanout: the server's secret is missing or short/],
  [
    "no duration",
    ["token", "--expires", "soon"],
    { env: { TOKEN_SECRET: "x".repeat(32) } },
    2,
    /^fanout: 'soon' isn't a duration/,
  ],
  ["an unknown shell", ["completion", "tcsh"], {}, 2, /^error: command-argument value 'tcsh' is invalid/],

  // Servers that can't be reached, are silent, or refuse
  ...Object.values(CONNECTING).flatMap((words): Row[] => [
    ["no server", timed(words), {}, 6, `fanout: ${NO_SERVER}`],
    ["no reply", timed(words), { reply: () => [] }, 5, `fanout: ${LATE}`],
    ["a refused connection", timed(words), { reply: () => [REVOKED] }, 4, "fanout: no access"],
  ]),
  ...Object.values(OPERATORS).flatMap((words): Row[] => [
    [
      "no server",
      words,
      {
        respond: () =>
          Promise.reject(new TypeError("fetch failed", { cause: new Error("getaddrinfo ENOTFOUND host") })),
      },
      6,
      "fanout: the server can't be reached (getaddrinfo ENOTFOUND host); check the address",
    ],
    [
      "no TLS",
      words,
      { respond: () => Promise.reject(new TypeError("fetch failed", { cause: new Error("wrong version number") })) },
      6,
      "fanout: the server can't be reached (wrong version number); check the address",
    ],
    ["a refusal", words, json("This token isn't an operator's.", 403), 4, "fanout: this token isn't an operator's"],
    ["an empty refusal", words, json("", 503), 4, "fanout: the server answers with 503"],
    ["no JSON", words, json("<html>"), 4, "fanout: the answer isn't JSON; is this a Fanout server?"],
    ["other JSON", words, json([null]), 4, "fanout: the server's answer isn't understood; update this program"],
  ]),
  ...ERROR_CODES.filter((code) => !["rate", "unavailable", "uncertain", "no-history"].includes(code)).flatMap(
    (code): Row[] => [
      [`sub: ${code}`, ["sub", url, "a", "b"], { reply: refusing("subscribe", code) }, 4, "fanout: no"],
      [
        `a subscription that must catch up: ${code}`,
        ["sub", url, "a", "b", "--until-caught-up"],
        { reply: refusing("subscribe", code) },
        4,
        "fanout: no",
      ],
      [`pub: ${code}`, ["pub", url, "a", "x"], { reply: refusing("once", code) }, 4, "fanout: no"],
      [
        `pub of lines: ${code}`,
        ["pub", url, "a"],
        { reply: refusing("once", code), input: () => bytes([97, 10]) },
        4,
        "fanout: no",
      ],
      [`info: ${code}`, ["info", url], { reply: refusing("info", code) }, 4, "fanout: no"],
      [`members: ${code}`, ["members", url, "a"], { reply: refusing("members", code) }, 4, "fanout: no"],
    ],
  ),

  ...[
    ["sub", url, "a"],
    ["members", url, "a", "--follow"],
  ].map((words): Row => ["a revocation later", words, { reply: revoking }, 4, "fanout: no access"]),

  // Losses, and failures of this machine
  [
    "expired messages",
    ["sub", url, "a", "--since", "2", "--until-caught-up"],
    { reply: (line) => (line.startsWith("subscribe a") ? ["debug!gap a 2 5", "debug!position a 5"] : healthy(line)) },
    3,
    /^fanout: messages of a after 2 are lost, up to \d: they have expired$/,
  ],
  [
    "a full disk",
    ["ping", url],
    { reply: healthy, unwritable: ENOSPC },
    7,
    "fanout: standard output can't be written: ENOSPC: no space left on device, write",
  ],
  [
    "input that breaks off",
    ["pub", url, "a"],
    { reply: healthy, input: () => failing(EIO) },
    7,
    "fanout: the input can't be read: EIO: i/o error, read",
  ],

  // Signals with work left
  ["SIGINT", ["ping", url], { reply: () => [], signal: ["SIGINT", "ping"] }, 130, ""],
  ["SIGTERM", ["pub", url, "a", "x"], { reply: () => [], signal: ["SIGTERM", "once"] }, 143, ""],
  ["SIGTERM", ["bridge", "--to", url, "--listen", "0"], { signal: ["SIGTERM", "is a bridge to"] }, 0, ""],

  // Faults of the program
  ["an unexpected error", ["ping", url], { reply: healthy, fault: new Error("a\n fault") }, 9, UNEXPECTED],
  ["an unexpected error", ["info", url], { reply: healthy, fault: new Error("a fault") }, 9, UNEXPECTED],
  [
    "an unexpected error",
    ["pub", url, "a", "x", "--json"],
    { reply: healthy, fault: new Error("a fault") },
    9,
    UNEXPECTED,
  ],
  ["an unexpected error", ["doctor", url], { fault: new Error("a fault") }, 9, UNEXPECTED],
  ["an unexpected error", ["completion", "bash"], { fault: new Error("a fault") }, 9, UNEXPECTED],
  [
    "an unexpected error",
    ["revoke", url, "ann"],
    { ...json({ before: 1, objects: 1, unreachable: 0 }), fault: new Error("a fault") },
    9,
    UNEXPECTED,
  ],
  ["an unexpected error", ["bridge", "--to", url, "--listen", "0"], { fault: new Error("a fault") }, 9, UNEXPECTED],
  ["no server", ["doctor", url, "--timeout", "1"], {}, 6, ""],
];

test.each(ROWS)("%s: fanout %j", { tags: ["exit-codes"] }, async (_, words, surroundings, code, line) => {
  const ended = await runHere(words, surroundings);
  expect(ended.code, JSON.stringify(ended)).toBe(code);
  const lines = ended.err.trimEnd().split("\n");
  if (typeof line === "string") expect(lines.at(-1)).toBe(line);
  else expect(lines).toContainEqual(expect.stringMatching(line));
  expect(ended.err).not.toMatch(/^ +at /m);
});

test("a port in use: 7", { tags: ["exit-codes"] }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const { code, err } = await runHere(["bridge", "--to", url, "--listen", `127.0.0.1:${port}`]);
  server.close();
  expect([code, err]).toEqual([7, expect.stringMatching(/^fanout: the bridge can't listen at .*EADDRINUSE/)]);
});

test("the table has every command, and the documents have every exit code of the program", async () => {
  const { out, code } = await runHere(["--help"]);
  expect(code).toBe(0);
  const commands = Array.from(out.matchAll(/^ {2}([a-z]+) /gm), ([, name]) => name);
  expect(commands.length).toBeGreaterThan(10);
  const tried = new Set(ROWS.map(([, [name]]) => name));
  expect(commands.filter((name) => name !== "help" && !tried.has(name))).toEqual([]);

  const source = readFileSync(new URL("../../../src/cli/exits.ts", import.meta.url), "utf8");
  const codes = Array.from(
    source.matchAll(/^export const \w+ = (\d+);|(?:SIGINT|SIGTERM): (\d+)/gm),
    ([, a, b]) => a ?? b,
  );
  const readme = readFileSync(new URL("../../../src/cli/README.md", import.meta.url), "utf8");
  const table = Array.from(readme.matchAll(/^\| (\d[\d, ]*) \|/gm), ([, row = ""]) => row.split(", ")).flat();
  expect(table.sort()).toEqual(codes.sort());
  const help = /Exit codes: ([^.]*)\./s.exec(out)?.[1] ?? "";
  expect((help.match(/(?<=^|\s)\d+/g) ?? []).sort()).toEqual(codes);
});
