/**
 * Runs the recipes' programs in Node, Python and the shell, and checks the excerpts and numbers in `docs/recipes/`.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { Fanout } from "../../src/client/fanout.ts";
import { written } from "../../src/costs/cost.ts";
import { FREE, most as howMany, messages } from "../../src/costs/free-plan.ts";
import { COSTS } from "../../src/costs/measured.ts";
import { Network } from "../../tools/faults/network.ts";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { NODE, PROGRAM } from "./support/program.ts";
import { serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const python = find("python3", "apt-get install python3");

/** The command that runs an example: with Python or Node. */
function commandOf(example: string): string[] {
  return [example.endsWith(".py") ? (python ?? "python3") : NODE, join(ROOT, "examples", example)];
}

type Program = ChildProcessByStdio<null, Readable, Readable>;

/** Starts an example, and kills it when the test ends. */
function start([program = "", ...words]: string[], env: Record<string, string>): Program {
  const child = spawn(program, words, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Runs an example to its end; returns its output and exit code. */
async function run(words: string[], env: Record<string, string>) {
  const child = start(words, env);
  const ended = once(child, "exit");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, out: out.trim(), err: err.trim() };
}

/** Ends a program as `kill -9` does. */
async function kill(child: Program): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

function linesOf(child: Program): AsyncIterator<string> {
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

/** Creates an empty folder for the test. */
async function folderInTest(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fanout-recipe-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const http = (url: string) => url.replace("ws:", "http:");

async function post(url: string, channel: string, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${http(url)}/${encodeURIComponent(channel)}`, { method: "POST", body, headers });
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"position"')]);
}

describe.skipIf(!python)("a backend in Python", () => {
  const announce = commandOf("backend/announce.py");

  test("announces an update once, however often it runs", async () => {
    const { url } = await serveInTest();
    const env = { FANOUT_URL: http(url) };
    const first = await run([...announce, "7", "shipped"], env);
    expect(first).toMatchObject({ code: 0, err: "", out: expect.stringMatching(/^\d{16}$/) });
    expect(await run([...announce, "7", "shipped"], env)).toEqual(first);
    const { out } = await run([...announce, "7", "delivered"], env);
    expect(Number(out)).toBe(Number(first.out) + 1);
    const { status, headers } = await fetch(`${http(url)}/orders?poll&last=9`);
    expect([status, headers.get("Fanout-Position")]).toEqual([200, out]);
  });

  test("says why an announcement is refused, and announces with a token", async () => {
    const { url } = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const env = { FANOUT_URL: http(url) };
    const { code, err } = await run([...announce, "7", "shipped"], env);
    expect([code, err]).toEqual([1, expect.stringMatching(/^refused \(401 forbidden\): .*token/)]);
    const FANOUT_TOKEN = await mint({ announce: ["orders"] });
    expect(await run([...announce, "7", "shipped"], { ...env, FANOUT_TOKEN })).toMatchObject({ code: 0, err: "" });
  });

  test("stops following with a sentence if the server refuses it", async () => {
    const { url } = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const file = join(await folderInTest(), "id");
    const { code, err } = await run([...commandOf("backend/follow.py"), file], { FANOUT_URL: http(url) });
    expect([code, err]).toEqual([1, expect.stringMatching(/^401: .*token/)]);
  });
});

/** Returns the next line that isn't one of those to skip. */
async function nextBut(skipped: RegExp, lines: AsyncIterator<string>): Promise<string> {
  const { value } = await lines.next();
  return skipped.test(value) ? nextBut(skipped, lines) : value;
}

describe.each(["backend/follow.py", "backend/follow.ts"])("%s", (example) => {
  const isMissing = example.endsWith(".py") && !python;

  test.skipIf(isMissing)("reports a lost connection, and resumes by itself, also after a restart", async () => {
    const server = await serveInTest();
    const network = await Network.start(() => server.url);
    onTestFinished(() => network.stop());
    const file = join(await folderInTest(), "position");
    // WebSocket addresses work as well.
    const child = start([...commandOf(example), file], { FANOUT_URL: network.url.replace("http", "ws") });
    const errors = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
    await expect.poll(() => existsSync(file)).toBe(true);
    const lines = linesOf(child);
    for (const round of [1, 2]) {
      network.cut();
      expect((await errors.next()).value).toMatch(/lost|disconnected/);
      if (round === 2) await server.restart();
      await post(server.url, "orders", `missed ${round}`);
      expect((await lines.next()).value).toBe(`missed ${round}`);
    }
  });

  test.skipIf(isMissing)("prints every order in order, although it and the server are killed", async () => {
    const server = await serveInTest();
    const file = join(await folderInTest(), "position");
    const follow = () => start([...commandOf(example), file], { FANOUT_URL: http(server.url) });

    let child = follow();
    let lines = linesOf(child);
    await expect.poll(() => existsSync(file)).toBe(true);
    for (const round of [1, 2, 3]) {
      await post(server.url, "orders", `seen ${round}`);
      expect(await nextBut(/^missed/, lines)).toBe(`seen ${round}`);
      await kill(child);
      if (round === 2) await server.restart();
      for (const i of [1, 2]) await post(server.url, "orders", `missed ${round} ${i}`);
      child = follow();
      lines = linesOf(child);
      // The last line before the kill is printed again if its position wasn't yet stored.
      expect(await nextBut(/^seen/, lines)).toBe(`missed ${round} 1`);
      expect((await lines.next()).value).toBe(`missed ${round} 2`);
    }
  });
});

test("a watcher stores every alert once, although it is killed again and again", async () => {
  const { url } = await serveInTest();
  const inbox = join(await folderInTest(), "inbox");
  const env = { FANOUT_URL: url, FANOUT: `${NODE} ${PROGRAM}` };
  const watch = () => start(["sh", join(ROOT, "examples/watcher/watch.sh"), inbox], env);
  const stored = async () => (await readdir(inbox)).filter((name) => /^\d+$/.test(name)).sort();
  const alerts = Array.from({ length: 24 }, (_, i) => `alert ${i}`);

  let child = watch();
  await expect.poll(() => existsSync(join(inbox, ".cursor"))).toBe(true);
  for (const [i, alert] of alerts.entries()) {
    await post(url, "alerts", alert);
    if (i % 8 !== 5) continue;
    // In the middle of its work.
    await expect.poll(async () => (await stored()).length).toBeGreaterThan(i - 3);
    await kill(child);
    child = watch();
  }
  await expect.poll(async () => (await stored()).length).toBe(alerts.length);
  const texts = (await stored()).map(async (name) => (await readFile(join(inbox, name), "utf8")).trimEnd());
  await expect.poll(() => Promise.all(texts)).toEqual(alerts);
});

test("a day of history costs as many rows as two minutes: one for each message", async () => {
  const MESSAGES = 40;
  const around = await readFile(join(ROOT, "tools/bench/counting-worker.js"), "utf8");
  for (const HISTORY_SECONDS of ["120", "86400"]) {
    const settings = { HISTORY_SECONDS, HISTORY_BYTES: "500000" };
    const { url } = await serveInTest({ settings, around, flags: ["nodejs_als"] });
    for (let i = 0; i < MESSAGES; i++) await post(url, "chat", `message ${i}`);
    const costs: unknown = await (await fetch(`${http(url)}/!costs`)).json();
    expect(costs).toMatchObject({ chat: { rows: { history: MESSAGES, alarm: 1 } } });
  }
});

const RECIPES = join(ROOT, "docs/recipes");
const pageOf = (recipe: string) => readFile(join(RECIPES, `${recipe}.md`), "utf8");

describe("the recipes' pages", async () => {
  const pages = (await readdir(RECIPES)).map((name) => name.replace(".md", ""));
  const paths = (await readdir(join(ROOT, "examples"), { recursive: true })).filter((path) =>
    /\.(ts|tsx|py|sh|toml)$|chat\.js$|members\.js$|scores\.js$|cursors\.js$/.test(path),
  );
  const examples = await Promise.all(paths.map((path) => readFile(join(ROOT, "examples", path), "utf8")));

  /** Code without indentation, which differs between an excerpt and its file. */
  const flat = (code: string) => code.replace(/^[ \t]+/gm, "");

  test.each(pages)("%s quotes the examples exactly", async (page) => {
    const excerpts = [...(await pageOf(page)).matchAll(/^```(?:js|ts|python|toml)\n(.*?)^```$/gms)];
    const all = examples.map(flat);
    for (const [, excerpt = ""] of excerpts)
      expect(
        all.some((code) => code.includes(flat(excerpt))),
        excerpt,
      ).toBe(true);
  });

  test.each(pages)("%s names files that exist, in its commands too", async (page) => {
    for (const [path] of (await pageOf(page)).matchAll(/\bexamples\/[\w./-]+\.\w+/g))
      expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
  });

  test("the index links to every page", async () => {
    const index = await pageOf("README");
    for (const page of pages.filter((name) => name !== "README")) expect(index).toContain(`(${page}.md)`);
  });
});

describe("the numbers of the recipes follow from measured costs:", () => {
  const rows = (...events: (keyof typeof COSTS)[]) => events.reduce((sum, event) => sum + written(COSTS[event]), 0);

  test("a day of chat", async () => {
    const page = await pageOf("chat");
    const use = messages(COSTS, 50, 0).use(2_000);
    const share = Math.max(use.rows / FREE.rows, use.requests / FREE.requests, use.seconds / FREE.seconds);
    expect(page).toContain(`use ${Math.round(share * 100)} % of the Workers free plan`);

    const { url } = await serveInTest();
    const fanout = new Fanout(url);
    await fanout.announce("chat", "x".repeat(50));
    await fanout.close();
    const tree: unknown = await (await fetch(`${http(url)}/-/channels/chat`)).json();
    const size = 108;
    expect(tree).toMatchObject({ kept: { count: 1, bytes: size } });
    const most = Math.floor(500_000 / size / 100) * 100;
    expect(page).toContain(`${most.toLocaleString("en-US")} messages of 50 letters`);
  });

  test("notifications", async () => {
    const page = await pageOf("notifications");
    const visit = rows("an object's first subscription to another channel", "an object's last unsubscribe");
    expect(page).toContain(`costs ${visit} rows`);
    expect(page).toContain(`costs ${rows("a lone message, 1 link, retained")}.`);
    const visits = Math.floor(FREE.rows / visit / 1_000) * 1_000;
    expect(page).toContain(`${visits.toLocaleString("en-US")} visits a day`);
  });

  test("scores", async () => {
    const most = Math.floor(howMany(messages(COSTS, 1_000, 0), FREE) / 100) * 100;
    expect(await pageOf("scores")).toContain(`${most.toLocaleString("en-US")} messages a day`);
  });

  test("cursors: a message from a client is a twentieth of a request, and writes no row", async () => {
    const around = await readFile(join(ROOT, "tools/bench/counting-worker.js"), "utf8");
    const settings = { HISTORY_CHANNELS: "chat chat/*" };
    const { url } = await serveInTest({ settings, around, flags: ["nodejs_als"] });
    const fanout = new Fanout(url);
    const costs = async (): Promise<unknown> => (await fetch(`${http(url)}/!costs`)).json();
    // The client learns from the first announcement that the channel retains nothing.
    for (let i = 0; i < 10; i++) await fanout.announce("cursors", `[${i}]`);
    const before = await costs();
    for (let i = 0; i < 10; i++) await fanout.announce("cursors", `[${i}]`);
    expect(countsOf(await costs())).toEqual({ ...countsOf(before), message: countsOf(before).message + 10 });
    await fanout.close();
    const page = await pageOf("cursors");
    const perHour = (10 * 3_600) / 20;
    expect(page).toContain(`costs ${perHour.toLocaleString("en-US")} requests`);
    expect(page).toContain(`carries ${Math.floor(FREE.requests / perHour)} hours`);
    expect(page).toContain(`has ${Math.floor(FREE.seconds / 3_600)} hours a day`);
  });
});

/** Returns an object's counted rows, and the messages that it received from clients. */
function countsOf(costs: unknown): { rows: string; message: number } {
  const text = JSON.stringify(costs);
  const [, rows = "", message] = /"cursors":\{"rows":(\{.*?\}),"requests":\{.*?"message":(\d+)/.exec(text) ?? [];
  return { rows, message: Number(message) };
}
