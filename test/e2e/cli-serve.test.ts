/** `fanout serve`, run as in a shell. */
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { COMPATIBILITY } from "../../src/serve/configuration.ts";
import { TESTED } from "../../src/serve/runtime.ts";
import { SECRETS, SETTINGS } from "../../src/serve/settings.ts";
import { SECRET } from "../runtime/support/mint.ts";
import { isAlive, serveIn } from "./support/cli-server.ts";
import { listening } from "./support/listening.ts";
import { outcomeOf, run, start } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  return () => removeFolder(folder);
});

const root = new URL("../../", import.meta.url);
const data = () => join(folder, "data");

/** Starts a server with its data in `data()`; resolves when it has printed its address. */
const serve = (words?: string[], env?: Record<string, string>) => serveIn(data(), words, env);

const announce = async (url: string, text: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/news`, { method: "POST", body: text, headers });

const newest = async (url: string) => {
  const { code, out } = await run(["sub", url.replace(/^http/, "ws"), "news", "--last", "9", "--until-caught-up"]);
  return [code, out];
};

test("it serves all transports and the console, and stops at SIGTERM and Ctrl-C with its messages stored", async () => {
  const first = await serve();
  expect(first.line).toMatch(/^Fanout serves http:\/\/localhost:\d+; stop it with Ctrl-C$/);
  expect((await announce(first.url, "a")).status).toBe(200);
  const page = await fetch(first.url, { headers: { Accept: "text/html" } });
  expect(await page.text()).toMatch(/<title>/);
  expect((await fetch(`${first.url}/-/client.js`)).status).toBe(200);
  // Connections don't delay the end.
  const stream = await fetch(`${first.url}/news`, { headers: { Accept: "text/event-stream" } });
  const socket = new WebSocket(first.url.replace(/^http/, "ws"));
  await once(socket, "open");
  const closed = once(socket, "close");
  first.child.kill("SIGTERM");
  expect(await first.ended).toEqual([0, null]);
  await closed;
  await stream.text().catch(() => "");
  expect(await isAlive(first.runtime)).toBe(false);
  const second = await serve();
  expect(await newest(second.url)).toEqual([0, "a\n"]);
  second.child.kill("SIGINT");
  expect(await second.ended).toEqual([0, null]);
  expect(second.err()).toBe("");
});

test("the runtime ends with a server that is killed, and the next one has all messages", {
  tags: ["serve-no-orphan", "serve-stored"],
}, async () => {
  const first = await serve();
  await announce(first.url, "a");
  const { position } = JSON.parse(await (await announce(first.url, "b")).text());
  first.child.kill("SIGKILL");
  await first.ended;
  // It begins while the old runtime may still be ending.
  const second = await serve();
  expect(await isAlive(first.runtime)).toBe(false);
  expect(await newest(second.url)).toEqual([0, "a\nb\n"]);
  const next = JSON.parse(await (await announce(second.url, "c")).text());
  expect(next.position).toBeGreaterThan(position);
});

test("it ends with a clear line when the runtime is killed", async () => {
  const server = await serve();
  await announce(server.url, "a");
  process.kill(server.runtime, "SIGKILL");
  expect(await server.ended).toEqual([7, null]);
  expect(server.err()).toBe("fanout: the runtime ended unexpectedly (signal SIGKILL); start the server again\n");
  expect(await newest((await serve()).url)).toEqual([0, "a\n"]);
});

test("only one server at a time uses a folder", { tags: ["serve-lock"] }, async () => {
  const first = await serve();
  const { code, err } = await run(["serve", "--port", "0", "--data", data()]);
  expect([code, err]).toEqual([
    7,
    `fanout: process ${first.child.pid} is using the folder ${data()}; stop it, or choose another folder with --data\n`,
  ]);
  expect((await announce(first.url, "a")).status).toBe(200);
});

test("a lock of an ended process is replaced, even if another process has its id", async () => {
  const first = await serve();
  first.child.kill("SIGKILL");
  await first.ended;
  await expect.poll(() => isAlive(first.runtime)).toBe(false);
  const [owner = ""] = (await readFile(join(data(), "lock"), "utf8")).split("\n");
  // This process is alive, but didn't start when the owner did.
  await writeFile(join(data(), "lock"), owner.replace(/^\d+/, String(process.pid)));
  const second = await serve();
  second.child.kill("SIGTERM");
  await second.ended;
  await writeFile(join(data(), "lock"), `${process.pid}\n`);
  expect(await run(["serve", "--port", "0", "--data", data()])).toMatchObject({ code: 7 });
});

test("the folder stays locked while the runtime is still ending", async () => {
  const first = await serve();
  await announce(first.url, "a");
  process.kill(first.runtime, "SIGSTOP");
  first.child.kill("SIGINT");
  first.child.kill("SIGTERM");
  const [code] = await first.ended;
  expect([130, 143]).toContain(code);
  expect(await readFile(join(data(), "lock"), "utf8")).toContain(`\n${first.runtime} `);
  expect(await newest((await serve()).url)).toEqual([0, "a\n"]);
});

test("of servers that start at once, one wins", async () => {
  const children = Array.from({ length: 4 }, () => start(["serve", "--port", "0", "--data", data()]));
  const exits = children.map((child) => once(child, "exit").then(([code]) => code));
  const winner = await Promise.race(
    children.map(async (child) => {
      for await (const _ of createInterface({ input: child.stdout })) return child;
      return new Promise<never>(() => {});
    }),
  );
  const losers = exits.filter((_, i) => children[i] !== winner);
  expect(await Promise.all(losers)).toEqual([7, 7, 7]);
  winner.kill("SIGTERM");
  expect(await exits[children.indexOf(winner)]).toBe(0);
});

test("settings are options and variables, and options take precedence", async () => {
  const { url } = await serve(["--var", "HISTORY_SECONDS=600", "--var", "CLIENT_LIMIT:7"], {
    HISTORY_SECONDS: "60",
    LINES_PER_SECOND: "50",
    CONSOLE: "",
  });
  const { settings } = JSON.parse(await (await fetch(`${url}/-/settings`)).text());
  expect(settings).toMatchObject({ HISTORY_SECONDS: 600, CLIENT_LIMIT: 7, LINES_PER_SECOND: 50, CONSOLE: "on" });
});

test("secrets are variables or files, and never written to the folder", async () => {
  const file = join(folder, "secret");
  await writeFile(file, `${SECRET}\n`);
  const { url, err } = await serve(["--host", "0.0.0.0", "--secret-file", file]);
  expect((await announce(url, "a")).status).toBe(401);
  const token = await run(["token", "--announce", "news", "--secret-file", file]);
  expect((await announce(url, "a", { Authorization: `Bearer ${token.out.trim()}` })).status).toBe(200);
  expect(await readFile(join(data(), "config.capnp"), "utf8")).not.toContain(SECRET);
  expect(err()).not.toContain("warning");
});

/** Returns an address of this machine that isn't a loopback address; undefined without a network. */
const outerAddress = () =>
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address;

test.skipIf(outerAddress() === undefined)("beyond this machine, clients can't forge their addresses", async () => {
  const { url, line, err } = await serve(["--host", "0.0.0.0", "--var", "LINES_PER_SECOND=20"]);
  expect(line).toMatch(/and every other address of this machine; stop it with Ctrl-C$/);
  expect(err()).toMatch(/^fanout: warning: everyone who can reach this machine may subscribe and announce;.*\n$/);
  const outer = url.replace("127.0.0.1", outerAddress() ?? "");
  let addresses = 0;
  const forging = (at: string) => announce(at, "a", { "CF-Connecting-IP": `192.0.2.${++addresses}` });
  const statuses = async (at: string) =>
    new Set((await Promise.all(Array.from({ length: 60 }, () => forging(at)))).map(({ status }) => status));
  // A proxy on this machine names its clients.
  expect(await statuses(url)).toEqual(new Set([200]));
  expect(await statuses(outer)).toContain(429);
});

test.skipIf(outerAddress() === undefined)("beyond this machine, streams end with their clients", async () => {
  const { url } = await serve(["--host", "0.0.0.0"]);
  const outer = url.replace("127.0.0.1", outerAddress() ?? "");
  const leaving = new AbortController();
  const stream = await fetch(`${outer}/news`, { headers: { Accept: "text/event-stream" }, signal: leaving.signal });
  await stream.body?.getReader().read();
  const connections = async () =>
    /^fanout_connections (\d+)/m.exec(await (await fetch(`${url}/-/metrics`)).text())?.[1];
  expect(await connections()).toBe("1");
  leaving.abort();
  // The runtime notices that a client has left when it writes.
  const afterWriting = async () => (await announce(url, "a")) && connections();
  await expect.poll(afterWriting).toBe("0");
});

test("mistakes get one clear line", async () => {
  const busy = createServer();
  const { port } = new URL(await listening(busy));
  onTestFinished(() => void busy.close());
  const file = join(folder, "file");
  await writeFile(file, "x");
  const empty = join(folder, "empty");
  await writeFile(empty, "");
  const huge = join(folder, "huge");
  await writeFile(huge, "x".repeat(3_000_000));
  const attempt = (...words: string[]) => run(["serve", "--port", "0", "--data", data(), ...words]);
  const inUse = `fanout: port ${port} is in use; choose another one with --port, or 0 for any free port\n`;
  expect(await attempt("--port", port)).toEqual({ code: 7, out: "", err: inUse });
  const noFolder = `fanout: ${file} isn't a folder; choose one with --data\n`;
  expect(await attempt("--data", file)).toEqual({ code: 2, out: "", err: noFolder });
  const wrong = "fanout: HISTORY_SECONDS must be a whole number from 0 to 86400, not 'x'\n";
  expect(await attempt("--var", "HISTORY_SECONDS=x")).toEqual({ code: 2, out: "", err: wrong });
  for (const [words, why] of [
    [["--port", "65536"], /whole number from 0 to 65535/],
    [["--host", "192.0.2.1"], /^fanout: '192\.0\.2\.1' isn't an address of this machine/],
    [["--host", "a b"], /^fanout: 'a b' isn't a host that this machine knows/],
    [["--var", "HISTORY_SECOND=5"], /The settings are SOCKETS_PER_OBJECT, /],
    [["--var", "HISTORY_SECONDS"], /Use the form <NAME>=<value>/],
    [["--var", `TOKEN_SECRET=${SECRET}`], /^fanout: a secret isn't an argument/],
    [["--secret-file", empty], /is empty/],
    [["--secret-file", join(folder, "none")], /can't be read/],
    [["--secret-file", huge], /^fanout: the settings are too long for this system; shorten them\n$/],
  ] as const) {
    const { code, out, err } = await attempt(...words);
    expect([code, out, err]).toEqual([2, "", expect.stringMatching(why)]);
    expect(err).not.toContain(SECRET);
  }
  const unwritable = await attempt("--data", "/sys/fanout");
  expect(unwritable).toEqual({
    code: 7,
    out: "",
    err: expect.stringMatching(/^fanout: the folder \/sys\/fanout .*\n$/),
  });
});

test("it fails when nothing reads its address", async () => {
  const child = start(["serve", "--port", "0", "--data", data()]);
  child.stdout.destroy();
  const [code] = await once(child, "exit");
  expect(code).toBe(7);
});

test("it ends at a signal while it starts", async () => {
  const child = start(["serve", "--port", "0", "--data", data()]);
  const outcome = outcomeOf(child);
  await expect.poll(() => readFile(join(data(), "lock"), "utf8").catch(() => "")).not.toBe("");
  child.kill("SIGTERM");
  expect(await outcome).toMatchObject({ code: 0, err: "" });
});

test("it knows all settings, and runs as wrangler.toml and package.json say", async () => {
  const table = await readFile(new URL("docs/settings.md", root), "utf8");
  const cells = [...table.matchAll(/^\| (`[A-Z].*?) \|/gm)].map(([, cell = ""]) => cell);
  const names = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect([...SETTINGS, ...SECRETS].sort()).toEqual(names.sort());
  const toml = await readFile(new URL("wrangler.toml", root), "utf8");
  expect(toml).toContain(`compatibility_date = "${COMPATIBILITY.date}"`);
  expect(toml).toContain(`compatibility_flags = ${JSON.stringify(COMPATIBILITY.flags).replaceAll(",", ", ")}`);
  const { overrides } = JSON.parse(await readFile(new URL("package.json", root), "utf8"));
  expect(overrides.workerd).toBe(TESTED);
});
