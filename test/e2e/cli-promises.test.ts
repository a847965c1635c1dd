/** The program's guarantees to scripts: cursors, exit codes, terminals, secrets and input. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { listening } from "./support/listening.ts";
import { jsonIn, NODE, outcomeOf, PROGRAM, post, run, start } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";

let runtime: Served;

beforeAll(async () => {
  runtime = await serve();
  return runtime.end;
});

let names = 0;
const unique = () => `promise-${++names}`;

async function folderInTest(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

const fanout = (...words: string[]) => [NODE, PROGRAM, ...words].map((word) => `'${word}'`).join(" ");

/** Runs a bash script. */
async function bash(script: string, cwd: string, env: Record<string, string> = {}) {
  const child = spawn("bash", ["-o", "pipefail", "-c", script], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return outcomeOf(child);
}

describe("a cursor", () => {
  test("follows acknowledgements: unprocessed messages are printed again", { tags: ["cursor-ack"] }, async () => {
    const [folder, news] = [await folderInTest(), unique()];
    await writeFile(join(folder, "place"), "");
    const newest = await post(runtime, news, "1\n2\n3\n4\n5");
    await writeFile(join(folder, "place"), JSON.stringify({ [news]: newest - 5 }));
    const sub = (...words: string[]) =>
      fanout("sub", runtime.url, news, "--cursor", "place", "--until-caught-up", "--json", ...words);
    const consumer = `while read -r line; do p=\${line##*:}; echo "\${p%\\}}"; done`;
    const partly = await bash(
      `mkfifo acks; ${sub("--ack", "3")} 3<acks | { head -n 2 | { ${consumer}; }; } >acks`,
      folder,
    );
    expect(partly.code).not.toBe(0);
    expect(JSON.parse(await readFile(join(folder, "place"), "utf8"))).toEqual({ [news]: newest - 3 });
    const rest = await bash(`${sub("--ack", "3")} 3<acks | tee seen | { ${consumer}; } >acks`, folder);
    expect(rest).toMatchObject({ code: 0, err: "" });
    expect((await readFile(join(folder, "seen"), "utf8")).match(/"text":"\d"/g)).toEqual([
      '"text":"3"',
      '"text":"4"',
      '"text":"5"',
    ]);
    expect((await bash(sub(), folder)).out).toBe("");
    expect((await stat(join(folder, "place"))).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(["acks", "place", "seen"]);
  });

  test("isn't moved by acknowledgements of messages that weren't printed, which end the program", async () => {
    const [folder, news] = [await folderInTest(), unique()];
    const newest = await post(runtime, news, "1\n2");
    for (const line of [`${newest + 1}`, "x", `other ${newest}`]) {
      await writeFile(join(folder, "place"), JSON.stringify({ [news]: newest - 1 }));
      const sub = fanout("sub", runtime.url, news, "--cursor", "place", "--until-caught-up", "--ack", "3");
      // The second acknowledgement would end the program otherwise.
      const { code, err } = await bash(
        `rm -f acks; mkfifo acks; ${sub} 3<acks | { read -r; printf '%s\\n' '${line}' ${newest}; } >acks`,
        folder,
      );
      expect([code, err]).toEqual([7, expect.stringContaining(`'${line}' isn't the position of a printed message`)]);
      expect(JSON.parse(await readFile(join(folder, "place"), "utf8"))).toEqual({ [news]: newest - 1 });
    }
  });

  test("advances when a command exits with 0, and not when it fails", { tags: ["cursor-ack"] }, async () => {
    const [folder, news] = [await folderInTest(), unique()];
    const place = join(folder, "place");
    const newest = await post(runtime, news, "a\nb\nc");
    await writeFile(place, JSON.stringify({ [news]: newest - 3 }));
    const words = ["sub", runtime.url, news, "--cursor", place, "--until-caught-up", "--exec"];
    const failed = await run([...words, "read -r line; [ $line != b ]"]);
    expect([failed.code, JSON.parse(await readFile(place, "utf8"))]).toEqual([8, { [news]: newest - 2 }]);
    expect((await run([...words, "cat"])).out).toBe("b\nc\n");
  });

  test("is used by one run at a time; the lock of a killed run is ignored", { tags: ["cursor-once"] }, async () => {
    const [folder, news] = [await folderInTest(), unique()];
    const place = join(folder, "place");
    const words = ["sub", runtime.url, news, "--cursor", place];
    const first = start(words);
    await expect.poll(() => readFile(place, "utf8").catch(() => "")).not.toBe("");
    expect(await run(words)).toMatchObject({
      code: 7,
      err: expect.stringMatching(/^fanout: process \d+ is using the cursor/),
    });
    first.kill("SIGKILL");
    await once(first, "exit");
    expect((await run([...words, "--until-caught-up"])).code).toBe(0);
  });

  test("is never overwritten if it can't be read, or isn't a cursor", { tags: ["cursor-kept"] }, async () => {
    const folder = await folderInTest();
    const other = join(folder, "other");
    for (const content of ["precious", "[1]", '{"a":-1}', "null"]) {
      await writeFile(other, content);
      const { code } = await run(["sub", runtime.url, "a", "--cursor", other, "--until-caught-up"]);
      expect([code, await readFile(other, "utf8")]).toEqual([2, content]);
    }
    for (const path of [folder, join(folder, "missing", "place"), join(other, "place")]) {
      expect((await run(["sub", runtime.url, "a", "--cursor", path, "--until-caught-up"])).code).toBe(2);
    }
    expect(await readdir(folder)).toEqual(["other"]);
  });
});

test("a full disk exits with 7", async () => {
  const news = unique();
  await post(runtime, news, "x");
  const { code, err } = await bash(`${fanout("sub", runtime.url, news, "--last", "1")} >/dev/full`, "/");
  expect([code, err]).toEqual([7, expect.stringMatching(/^fanout: standard output can't be written: .*ENOSPC/)]);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s exits with %i if an announcement has no reply", async (signal, code) => {
  const server = createServer();
  const child = start(["pub", await listening(server), "a", "x", "--timeout", "100"]);
  onTestFinished(() => void server.close());
  const [socket] = await once(server, "connection");
  onTestFinished(() => void socket.destroy());
  child.kill(signal);
  expect((await once(child, "exit"))[0]).toBe(code);
});

test("control characters in messages reach pipes and --raw, but no terminals", {
  tags: ["terminal-safe"],
}, async () => {
  const news = unique();
  const evil = "\u001b]52;c;eA==\u0007\u009b\u202e";
  await post(runtime, news, evil);
  const words = ["sub", runtime.url, news, "--last", "1", "--count", "1"];
  expect((await run(words)).out).toBe(`${evil}\n`);
  expect((await run([...words, "--json"])).out).toMatch(/^[ -~]+\n$/);
  const atTerminal = async (...more: string[]) =>
    (await bash(`script -qec "${fanout(...words, ...more)}" /dev/null`, "/")).out;
  expect(await atTerminal()).toBe("\\u001b]52;c;eA==\\u0007\\u009b\\u202e\r\n");
  expect(await atTerminal("--raw")).toBe(`${news}!${evil}\r\n`);
});

test("a command gets channel and position, but no secrets", { tags: ["command-secrets"] }, async () => {
  const news = unique();
  const position = await post(runtime, news, "x");
  const { out } = await run(["sub", runtime.url, "--on", `${news}=env`, "--last", "1", "--count", "1"], {
    env: { FANOUT_TOKEN: "hidden", TOKEN_SECRET: "hidden" },
  });
  expect(out).toMatch(new RegExp(`^FANOUT_CHANNEL=${news}$`, "m"));
  expect(out).toMatch(new RegExp(`^FANOUT_POSITION=${position}$`, "m"));
  expect(out).not.toMatch(/hidden/);
});

test("pub announces long lines, and prints positions in order", async () => {
  const news = unique();
  const input = Array.from({ length: 200 }, (_, i) => `${i} `.padEnd(60_000, "x")).join("\n");
  const { code, out, err } = await run(["pub", runtime.url, news, "--json"], { input });
  expect([code, err]).toEqual([0, ""]);
  const printed = jsonIn(out);
  expect(printed).toEqual(printed.map((_, i) => ({ channel: news, line: i + 1, position: printed[0].position + i })));
  expect(printed).toHaveLength(200);
});

test("pub accepts files, NUL, and messages that begin with -", async () => {
  const [folder, news] = [await folderInTest(), unique()];
  await writeFile(join(folder, "lines"), "a\n\nb");
  const { out } = await run(["pub", runtime.url, news, "--json", "--file", join(folder, "lines")]);
  const printed = jsonIn(out);
  expect(printed).toMatchObject([
    { channel: news, line: 1 },
    { channel: news, line: 3, position: printed[0].position + 1 },
  ]);
  expect((await run(["pub", runtime.url, news, "--null"], { input: "c\0d" })).code).toBe(0);
  expect((await run(["pub", runtime.url, news, "--", "-5 degrees"])).code).toBe(0);
  const all = await run(["sub", runtime.url, news, "--last", "9", "--until-caught-up"]);
  expect(all.out).toBe("a\nb\nc\nd\n-5 degrees\n");
});

test("the loss of the connection is reported", async () => {
  const server = await serveInTest();
  const child = start(["sub", server.url, unique()]);
  let err = "";
  child.stderr.on("data", (data) => {
    err += data;
  });
  const { url } = server;
  await expect
    .poll(async () =>
      (await (await fetch(`${url.replace(/^ws/, "http")}/-/info`)).text()).match(/"current connections":1/),
    )
    .not.toBeNull();
  await server.kill();
  await expect.poll(() => err).toMatch(/^fanout: the connection was lost.*; connecting again\n$/);
});

test("--json prints gaps as objects between the messages", async () => {
  const news = unique();
  const position = await post(runtime, news, "x");
  const { code, out } = await run(["sub", runtime.url, news, "--since", "5", "--until-caught-up", "--json"]);
  expect(code).toBe(3);
  const [gap, message] = jsonIn(out);
  expect(gap).toEqual({ channel: news, gap: { from: 5, to: position - 1 } });
  expect(message ?? { position }).toMatchObject({ position });
});

test("completion prints a working script", async () => {
  const script = `eval "$(${fanout("completion", "bash")})"
    complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fanout; echo "\${COMPREPLY[*]}"; }
    complete fanout sub --cu; complete fanout mem; complete fanout members --f`;
  expect((await bash(script, "/")).out).toBe("--cursor\nmembers\n--follow\n");
});
