/** The program, run as in a shell. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { SECRET } from "../runtime/support/mint.ts";
import { freePort } from "./support/listening.ts";
import { jsonIn, NODE, outcomeOf, PROGRAM, post, run, start } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";

let runtime: Served;

beforeAll(async () => {
  runtime = await serve();
  return runtime.end;
});

let names = 0;
const unique = () => `cli-${++names}`;

/** Returns a function that reads the next line of a program's output. */
function linesOf(child: ReturnType<typeof start>): () => Promise<string> {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => (await lines.next()).value ?? "";
}

test("pub announces a message, or lines of standard input; sub prints them", async () => {
  const [news, art] = [unique(), unique()];
  expect(await run(["pub", runtime.url, news, "hello world"])).toEqual({ code: 0, out: "", err: "" });
  const input = Array.from({ length: 3_000 }, (_, i) => `line ${i}`).join("\n");
  expect((await run(["pub", runtime.url, news], { input })).code).toBe(0);
  const all = await run(["sub", runtime.url, news, "--last", "3001", "--until-caught-up"]);
  expect([all.code, all.out]).toEqual([0, `hello world\n${input}\n`]);
  await post(runtime, art, "x");
  const raw = await run(["sub", runtime.url, art, "--last", "1", "--count", "1", "--raw"]);
  expect(raw.out).toBe(`${art}!x\n`);
  const json = await run(["sub", runtime.url, art, "--last", "1", "--count", "1", "--json"]);
  expect(JSON.parse(json.out)).toEqual({ channel: art, text: "x", position: expect.any(Number) });
});

test("a refused connection is reported at once, and pub goes on when the server is there", async () => {
  const port = await freePort();
  const child = start(["pub", `ws://127.0.0.1:${port}`, "a", "b", "--timeout", "60"]);
  const outcome = outcomeOf(child);
  const [report] = await once(child.stderr, "data");
  expect(String(report)).toBe("fanout: the server can't be reached; check the address; trying again for 60 s\n");
  const proxy = createServer((client) => {
    const { hostname, port } = new URL(runtime.url);
    const server = connect(Number(port), hostname);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on("error", () => socket.destroy());
  });
  onTestFinished(() => void proxy.close());
  proxy.listen(Number(port), "127.0.0.1");
  expect(await outcome).toMatchObject({ code: 0 });
});

test("pub announces many lines in order, each once, at a rate above the default", async () => {
  const server = await serveInTest({ settings: { LINES_PER_SECOND: "1000000" } });
  const channel = unique();
  const lines = Array.from({ length: 30_000 }, (_, i) => `${i}`);
  const before = await post(server, channel, "before");
  const subscriber = start(["sub", server.url, channel, "--count", `${lines.length + 1}`, "--last", "1"]);
  const read = outcomeOf(subscriber);
  await once(subscriber.stdout, "data");
  const published = await run(["pub", server.url, channel, "--rate", "900000", "--json"], { input: lines.join("\n") });
  expect(published).toMatchObject({ code: 0, err: "" });
  expect(jsonIn(published.out)).toEqual(lines.map((_, i) => ({ channel, line: i + 1, position: before + 1 + i })));
  expect((await read).out).toMatch(/^before\n0\n1\n/);
  expect((await read).out).toBe(`before\n${lines.join("\n")}\n`);
});

test("pub shows its progress at a terminal, in one line that it clears", async () => {
  const announcing = `seq 3000 | ${NODE} ${PROGRAM} pub ${runtime.url} ${unique()}`;
  const terminal = spawn("script", ["-qec", announcing, "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void terminal.kill("SIGKILL"));
  const shown = await text(terminal.stdout);
  const [before, ...lines] = shown.split("\r\x1b[K");
  const summary = lines.pop();
  expect(before).toBe("");
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line).toMatch(/^… \d+ messages, \d+ per second$/);
  expect(summary).toMatch(/^fanout: 3000 messages announced in [\d.]+ s\r\n$/);
});

test("with a cursor, sub resumes exactly where the last run stopped, even if it was killed", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const [news, cursor] = [unique(), join(folder, "cursor")];
  const words = ["sub", runtime.url, news, "--cursor", cursor];
  const first = start(words);
  const next = linesOf(first);
  // The starting position is stored before the first message.
  await expect.poll(() => readFile(cursor, "utf8").catch(() => "")).not.toBe("");
  await post(runtime, news, "a");
  expect(await next()).toBe("a");
  first.kill("SIGKILL");
  await once(first, "exit");
  // A printed message is in the cursor, or is printed again.
  const reached = JSON.parse(await readFile(cursor, "utf8"))[news];
  const newest = await post(runtime, news, "b\nc");
  const second = await run([...words, "--until-caught-up", "--json"]);
  const positions = jsonIn(second.out).map(({ position }) => position);
  expect(positions).toEqual(Array.from({ length: newest - reached }, (_, i) => reached + 1 + i));
  expect((await run([...words, "--until-caught-up"])).out).toBe("");
});

test("each message can be the input of a command, and sub stops if one fails", async () => {
  const news = unique();
  await post(runtime, news, "a\nb");
  const command = 'read -r line; echo "$FANOUT_CHANNEL: $line"; [ "$line" != b ] || exit 6';
  const { code, out, err } = await run(["sub", runtime.url, news, "--last", "2", "--exec", command]);
  expect([code, out]).toEqual([8, `${news}: a\n${news}: b\n`]);
  expect(err).toMatch(/ended with 6/);
});

test("sub exits quietly when its pipe is closed, and on Ctrl-C", async () => {
  const news = unique();
  const child = start(["sub", runtime.url, news]);
  const ended = once(child, "exit");
  await expect.poll(() => post(runtime, news, "a").then(() => child.stdout.readableLength)).toBeGreaterThan(0);
  child.stdout.destroy();
  const closing = setInterval(() => void post(runtime, news, "b"), 50);
  onTestFinished(() => clearInterval(closing));
  expect((await ended)[0]).toBe(0);
  const other = start(["sub", runtime.url, news]);
  const interrupted = once(other, "exit");
  await expect.poll(() => post(runtime, news, "a").then(() => other.stdout.readableLength)).toBeGreaterThan(0);
  other.kill("SIGINT");
  expect((await interrupted)[0]).toBe(0);
});

test("ping and info use the server in FANOUT_URL", async () => {
  const env = { FANOUT_URL: runtime.url };
  const pinged = await run(["ping", "--count", "2"], { env });
  expect([pinged.code, pinged.out]).toEqual([0, expect.stringMatching(/^[\d.]+ ms\n[\d.]+ ms\n$/)]);
  expect((await run(["info"], { env })).out).toMatch(/^current connections: \d+$/m);
  expect(JSON.parse((await run(["info", "--json"], { env })).out)).toHaveProperty("uptime");
  expect((await run(["pub", unique(), "x"], { env })).code).toBe(0);
});

test("a token of `fanout token` is valid", async () => {
  const locked = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const made = await run(["token", "--subscribe", "news", "--announce", "news"], {
    env: { TOKEN_SECRET: SECRET },
  });
  const env = { FANOUT_TOKEN: made.out.trim() };
  expect(await run(["pub", locked.url, "news", "x"], { env })).toMatchObject({ code: 0 });
  expect(await run(["pub", locked.url, "art", "x"], { env })).toEqual({
    code: 4,
    out: "",
    err: "fanout: your token doesn't grant this channel; its claim 'announce' has to list it\n",
  });
  expect(await run(["sub", locked.url, "news"])).toMatchObject({
    code: 4,
    err: expect.stringMatching(/^fanout: a token is missing; send it as/),
  });
});

test("a token names the channels to enter, and the only name to enter them under", async () => {
  const env = { TOKEN_SECRET: SECRET };
  const claimsIn = ({ out }: { out: string }) =>
    JSON.parse(Buffer.from(out.split(".")[1] ?? "", "base64url").toString());
  const member = await run(["token", "--enter", "news", "room/*", "--sub", "ann"], { env });
  expect(member).toMatchObject({ code: 0, err: "" });
  expect(claimsIn(member)).toMatchObject({ subscribe: [], announce: [], enter: ["news", "room/*"], sub: "ann" });
  const reader = await run(["token", "--subscribe", "news"], { env });
  expect(claimsIn(reader)).toEqual({ subscribe: ["news"], announce: [], exp: expect.any(Number) });
});

test("messages that have expired end the program with 3", async () => {
  const news = unique();
  await post(runtime, news, "x");
  const { code, err } = await run(["sub", runtime.url, news, "--since", "5", "--until-caught-up"]);
  expect([code, err]).toEqual([
    3,
    expect.stringMatching(/^fanout: messages of .+ after 5 are lost, up to \d+: they have expired\n$/),
  ]);
});
