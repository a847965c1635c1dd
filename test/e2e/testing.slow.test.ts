/** `fanout-edge/testing`: a server that is killed, restarted and cut off. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { Fanout } from "../../src/client/fanout.ts";
import { type ServeOptions, serve, type TestServer } from "../../src/testing/serve.ts";

async function serving(options?: ServeOptions): Promise<TestServer> {
  const server = await serve(options);
  onTestFinished(() => server.stop());
  return server;
}

function clientOf({ url }: TestServer): Fanout {
  const client = new Fanout(url);
  onTestFinished(() => client.close());
  return client;
}

const post = async (url: string, text: string) => (await fetch(`${url}/news`, { method: "POST", body: text })).status;

/** Returns a function that resolves to the texts that a client has received, once there are so many. */
function received(client: Fanout) {
  const texts: string[] = [];
  let onText = () => {};
  client.subscribe("news", {
    last: 9,
    onMessage: ({ text }) => {
      texts.push(text);
      onText();
    },
    onGap: () => texts.push("a gap"),
  });
  const until = async (count: number) => {
    while (texts.length < count) await new Promise<void>((resolve) => (onText = resolve));
    return texts.join(" ");
  };
  return until;
}

test("a client survives its server's end, restarts and cuts", async () => {
  const server = await serving();
  const until = received(clientOf(server));
  expect(await post(server.url, "a")).toBe(200);
  expect(await until(1)).toBe("a");
  await server.kill();
  await expect(fetch(server.url)).rejects.toThrow();
  await server.restart();
  expect(await post(server.url, "b")).toBe(200);
  expect(await until(2)).toBe("a b");
  server.cut();
  expect(await post(server.url, "c")).toBe(200);
  expect(await until(3)).toBe("a b c");
  // It also restarts a server that runs.
  await server.restart();
  expect(await post(server.url, "d")).toBe(200);
  expect(await until(4)).toBe("a b c d");
});

test("a silent cut tells no client", async () => {
  const server = await serving();
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/news`);
  const events: string[] = [];
  socket.onmessage = ({ data }) => void events.push(String(data));
  socket.onclose = () => void events.push("closed");
  socket.onerror = () => void events.push("failed");
  await once(socket, "message");
  const before = events.length;
  server.cut({ silently: true });
  expect(await post(server.url, "a")).toBe(200);
  socket.send("ping\n");
  // The server doesn't count it any more, and later connections get through.
  const client = clientOf(server);
  await expect.poll(async () => (await client.info()).get("current connections")).toBe("1");
  await client.ping();
  expect(events).toHaveLength(before);
  server.cut();
  await expect.poll(() => events.at(-1)).toBe("closed");
});

test("several servers at once have nothing in common", async () => {
  const servers = await Promise.all([serving(), serving(), serving()]);
  expect(new Set(servers.map(({ url }) => url)).size).toBe(3);
  await Promise.all(servers.map(({ url }, i) => post(url, `server ${i}`)));
  for (const [i, { url }] of servers.entries()) {
    const stream = await fetch(`${url}/news?last=9&poll`);
    expect(await stream.text()).toContain(`server ${i}`);
    expect(await (await fetch(`${url}/news?last=9&poll`)).text()).not.toContain(`server ${(i + 1) % 3}`);
  }
});

test("operations at once take place one after the other, and a stopped server says so", async () => {
  const server = await serve();
  await Promise.all([server.kill(), server.restart(), server.kill(), server.restart()]);
  expect(await post(server.url, "a")).toBe(200);
  const stopped = [server.stop(), server.stop(), server[Symbol.asyncDispose]()];
  const why = "this server was stopped, so it can't";
  expect(() => server.cut()).toThrow(why);
  // What returns a promise rejects it; it never throws.
  await Promise.all([server.kill(), server.restart()].map((act) => expect(act).rejects.toThrow(why)));
  await Promise.all(stopped);
  await expect(fetch(server.url)).rejects.toThrow();
});

test("settings take effect", async () => {
  const { url } = await serving({ settings: { HISTORY_SECONDS: 77 } });
  const { settings } = JSON.parse(await (await fetch(`${url}/-/settings`)).text());
  expect(settings.HISTORY_SECONDS).toBe(77);
  const closed = await serving({ settings: { TOKEN_SECRET: "x".repeat(32) } });
  expect(await post(closed.url, "a")).toBe(401);
});

test.each<[options: unknown, why: RegExp]>([
  [null, /^the options must be an object with any of settings, and nothing else$/],
  ["x", /^the options must be an object/],
  [{ port: 80 }, /^the options must be an object with any of settings, not "port"$/],
  [{ settings: null }, /^the option `settings` must be an object with any of SOCKETS_PER_OBJECT, /],
  [{ settings: [] }, /^the option `settings` must be an object/],
  [
    { settings: { HISTORY: 5 } },
    /^the option `settings` must be an object with any of SOCKETS_PER_OBJECT, .*, not "HISTORY"$/,
  ],
  [{ settings: { CONSOLE: true } }, /^the setting CONSOLE takes text or a number; leave it out for its default$/],
  [{ settings: { CONSOLE: "a\0" } }, /^the setting CONSOLE takes text or a number/],
  [{ settings: { HISTORY_SECONDS: "" } }, /^the setting HISTORY_SECONDS takes text or a number/],
  [{ settings: { HISTORY_SECONDS: -1 } }, /^HISTORY_SECONDS must be a whole number from 0 to 86400, not '-1'$/],
  [
    { settings: { HISTORY_SECONDS: Number.NaN } },
    /^HISTORY_SECONDS must be a whole number from 0 to 86400, not 'NaN'$/,
  ],
])("the options %j are refused with a sentence", async (options, why) => {
  const start = (): Promise<unknown> => Reflect.apply(serve, undefined, [options]);
  await expect(start()).rejects.toThrow(why);
});

const MODULE = new URL("../../src/testing/serve.ts", import.meta.url).href;

/** A program that starts a server, prints its address and its processes' folder, and then does something. */
const program = (then: string) => `
  import { serve } from ${JSON.stringify(MODULE)};
  const server = await serve();
  await (await fetch(server.url + "/news", { method: "POST", body: "a" })).text();
  console.log(server.url);
  ${then}`;

/** Returns the command lines and folders of the processes below this one that run the server. */
async function runtimesOf(pid: number | undefined): Promise<{ pid: number; folder: string }[]> {
  const { stdout } = await promisify(execFile)("ps", ["-eo", "pid=,ppid=,args="]);
  const lines = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  return lines.flatMap(([id = "", parent, ...words]) => {
    const folder = words.find((word) => word.includes("fanout-testing-"));
    return Number(parent) === pid && folder ? [{ pid: Number(id), folder }] : [];
  });
}

test("a program that doesn't stop its server ends all the same, and so does the server", async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program("")]);
  await expect(fetch(stdout.trim())).rejects.toThrow();
});

test("a program that has stopped its server ends", async () => {
  const then = `
    await server.kill();
    await fetch(server.url).catch(() => {});
    await server.restart();
    await (await fetch(server.url + "/news?last=1&poll")).text();
    server.cut();
    await server.stop();`;
  const run = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", program(then)]);
  await Promise.all(Array.from({ length: 6 }, run));
});

test("a program that is killed leaves neither processes nor files", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program("setInterval(() => {}, 1000);")]);
  await once(createInterface({ input: child.stdout }), "line");
  const [remover] = await runtimesOf(child.pid);
  const folder = remover?.folder ?? "";
  expect(existsSync(folder)).toBe(true);
  const children = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).trim().split(" ");
  expect(children).toHaveLength(2);
  child.kill("SIGKILL");
  await expect.poll(() => existsSync(folder)).toBe(false);
  await expect.poll(() => children.some((pid) => existsSync(`/proc/${pid}/exe`))).toBe(false);
});
