/** `fanout members`, run as in a shell. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Network } from "../../tools/faults/network.ts";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { jsonIn, NODE, outcomeOf, PROGRAM, run, start } from "./support/program.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

/** The members are only ever a moment late. */
const SETTINGS = { PRESENCE_GRACE_SECONDS: "1" };

let runtime: Served;

beforeAll(async () => {
  runtime = await serve({ settings: SETTINGS });
  return runtime.end;
});

let names = 0;
const unique = () => `members-${++names}`;

/** Opens a connection that sends lines, all of which must be accepted. */
async function connection(server = runtime): Promise<(...lines: string[]) => Promise<void>> {
  const client = await TestClient.connect(`${server.url}/${unique()}`);
  onTestFinished(() => client.close());
  return async (...lines) => {
    client.send(lines.map((line) => `${line}\n`).join(""));
    expect(await client.ping()).toEqual([]);
  };
}

/** Enters a channel as several members, each with a connection of its own. */
async function enterAs(channel: string, ...members: string[]): Promise<void> {
  for (const member of members) await (await connection())(`enter ${channel} ${member}`);
}

/** Starts the program; returns it, and a function that reads its next lines of output. */
function following(words: string[]) {
  const child = start(words);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (count: number): Promise<string[]> => {
    const read: string[] = [];
    while (read.length < count) read.push((await lines.next()).value ?? "the end");
    return read;
  };
  return { child, next };
}

test("the members are printed one per line, with their data, sorted by name", async () => {
  const news = unique();
  await enterAs(news, "zoe", 'ann {"x": 1}', "Bob  two spaces", "å");
  const lines = ["Bob  two spaces", 'ann {"x": 1}', "zoe", "å"];
  expect(await run(["members", runtime.url, news])).toEqual({ code: 0, out: `${lines.join("\n")}\n`, err: "" });
  const env = { FANOUT_URL: runtime.url };
  const { out } = await run(["members", news, "--json"], { env });
  expect(jsonIn(out)).toEqual([
    { member: "Bob", data: " two spaces" },
    { member: "ann", data: '{"x": 1}' },
    { member: "zoe" },
    { member: "å" },
  ]);
});

test("a channel without members prints nothing, and a remark on standard error", async () => {
  const news = unique();
  expect(await run(["members", runtime.url, news])).toEqual({
    code: 0,
    out: "",
    err: `fanout: ${news} has no members\n`,
  });
});

test("terminals get control characters escaped, pipes get them unchanged, and JSON never has them", async () => {
  const news = unique();
  await enterAs(news, "ann a\u001b[2Jb\u202e");
  expect((await run(["members", runtime.url, news])).out).toBe("ann a\u001b[2Jb\u202e\n");
  expect((await run(["members", runtime.url, news, "--json"])).out).toBe(
    '{"member":"ann","data":"a\\u001b[2Jb\\u202e"}\n',
  );
  const listing = `${NODE} ${PROGRAM} members ${runtime.url} ${news}`;
  const terminal = spawn("script", ["-qec", listing, "/dev/null"], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void terminal.kill("SIGKILL"));
  expect(await text(terminal.stdout)).toBe("ann a\\u001b[2Jb\\u202e\r\n");
});

test("with --follow, the members are followed by each change, until the program is interrupted", async () => {
  const news = unique();
  await enterAs(news, "=", 'ann {"x":1}');
  const { child, next } = following(["members", runtime.url, news, "--follow"]);
  expect(await next(2)).toEqual(["= =", '= ann {"x":1}']);
  const send = await connection();
  await send(`enter ${news} + -`, `enter ${news} + ~`, `enter ${news} + ~`, `enter ${news} +`, `leave ${news}`);
  expect(await next(4)).toEqual(["+ + -", "~ + ~", "~ +", "- +"]);
  const ended = once(child, "exit");
  child.kill("SIGINT");
  expect((await ended)[0]).toBe(0);
});

test("with --follow and --json, each line is an object with a change", async () => {
  const news = unique();
  await enterAs(news, "ann 1");
  const { next } = following(["members", runtime.url, news, "--follow", "--json"]);
  const objects = async (count: number) => jsonIn((await next(count)).join("\n"));
  expect(await objects(1)).toEqual([{ change: "present", member: "ann", data: "1" }]);
  await (await connection())(`enter ${news} bob`, `enter ${news} bob 2`, `leave ${news}`);
  expect(await objects(3)).toEqual([
    { change: "enter", member: "bob" },
    { change: "update", member: "bob", data: "2" },
    { change: "leave", member: "bob" },
  ]);
});

describe("after a lost connection, --follow prints all that has changed meanwhile", () => {
  test.each([
    ["changes that the server has retained", "262144"],
    ["the difference, if the changes have expired", "1000"],
  ])("%s", async (_, HISTORY_BYTES) => {
    const server = await serveInTest({ settings: { ...SETTINGS, HISTORY_BYTES } });
    let isDown = false;
    const network = await Network.start(() => (isDown ? "http://127.0.0.1:1" : server.url));
    onTestFinished(() => network.stop());
    const news = unique();
    const [ann, bob, cid] = [await connection(server), await connection(server), await connection(server)];
    await ann(`enter ${news} ann 0`);
    await bob(`enter ${news} bob`);
    const { child, next } = following(["members", network.url.replace("http", "ws"), news, "--follow"]);
    expect(await next(2)).toEqual(["= ann 0", "= bob"]);
    const reports = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
    isDown = true;
    network.cut();
    expect((await reports.next()).value).toMatch(/^fanout: the connection was lost/);
    for (let i = 0; i < 5; i++) await ann(`enter ${news} ann ${i}${"x".repeat(500)}`);
    await bob(`leave ${news}`);
    await cid(`enter ${news} cid`);
    isDown = false;
    expect((await reports.next()).value).toBe("fanout: connected again");
    await cid(`leave ${news}`);
    await bob(`enter ${news} dan`);
    const members = new Map([
      ["ann", "0"],
      ["bob", ""],
    ]);
    const last = new Map([
      ["ann", `4${"x".repeat(500)}`],
      ["dan", ""],
    ]);
    while (!isDeepStrictEqual(members, last)) apply((await next(1))[0], members);
  });
});

/** Applies a line to a map of members, as a consumer would. */
function apply(line = "", members: Map<string, string>): void {
  const [, sign, member = "", data = ""] = /^([+~-]) (\w+) ?(\w*)$/.exec(line) ?? [];
  expect(members.has(member), line).toBe(sign !== "+");
  if (sign === "-") members.delete(member);
  else members.set(member, data);
}

test("--follow ends when the server no longer accepts the token: 4", async () => {
  const [first, second] = await Promise.all(
    [SECRET, `${SECRET}, changed`].map((secret) => serveInTest({ settings: { TOKEN_SECRET: secret } })),
  );
  let current = first;
  const network = await Network.start(() => current?.url ?? "");
  onTestFinished(() => network.stop());
  const child = start(["members", network.url, "news", "--follow"], {
    FANOUT_TOKEN: await mint({ subscribe: ["news"] }),
  });
  const ended = outcomeOf(child);
  await once(child.stderr, "data");
  current = second;
  network.cut();
  const { code, out, err } = await ended;
  expect([code, out]).toEqual([4, ""]);
  expect(err).toMatch(/^fanout: the token's signature is wrong/m);
});

test("--follow exits quietly when its pipe is closed", async () => {
  const news = unique();
  await enterAs(news, "ann");
  const { child, next } = following(["members", runtime.url, news, "--follow"]);
  await next(1);
  const ended = once(child, "exit");
  child.stdout.destroy();
  const send = await connection();
  let data = 0;
  const change = () => send(`enter ${news} bob ${data++}`).then(() => child.exitCode);
  await expect.poll(change, { interval: 200 }).not.toBeNull();
  expect((await ended)[0]).toBe(0);
});

describe("errors have an exit code and one line:", () => {
  test("two channels, with the address in FANOUT_URL: 2", async () => {
    const env = { FANOUT_URL: runtime.url };
    const err = "fanout: 'b' is one too many; give one channel\n";
    expect(await run(["members", "a", "b"], { env })).toEqual({ code: 2, out: "", err });
  });

  test("a server that retains nothing, and so has no presence: 4", async () => {
    const { url } = await serveInTest({ settings: { HISTORY_SECONDS: "0" } });
    const err = "fanout: presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)\n";
    for (const more of [[], ["--follow"]]) {
      expect(await run(["members", url, "news", ...more])).toEqual({ code: 4, out: "", err });
    }
  });

  test("a token that doesn't grant the channel, or none: 4", async () => {
    const { url } = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const env = { FANOUT_TOKEN: await mint({ subscribe: ["news"], announce: [] }) };
    expect(await run(["members", url, "news"], { env })).toMatchObject({ code: 0 });
    expect(await run(["members", url, "art"], { env })).toEqual({
      code: 4,
      out: "",
      err: "fanout: your token doesn't grant this channel; its claim 'subscribe' has to list it\n",
    });
    expect(await run(["members", url, "news"])).toMatchObject({
      code: 4,
      err: expect.stringMatching(/^fanout: a token is missing; send it as/),
    });
  });
});
