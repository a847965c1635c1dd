/** Presence with clients that aren't this project's, on the bare runtime, and through a power failure. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { type Served, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const curl = find("curl", "apt-get install curl");

/** The grace period, in seconds. */
const GRACE = 3;

const settings = { PRESENCE_GRACE_SECONDS: String(GRACE) };

/** Starts curl, which ends with the test. */
function runCurl(...args: string[]): ChildProcess & { stdout: NonNullable<ChildProcess["stdout"]> } {
  if (curl === undefined) throw new Error("curl isn't installed");
  const child = spawn(curl, ["-sN", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Returns the members that `GET /presence/<channel>?members` lists. */
async function list({ url }: Served, channel: string): Promise<{ position: number; members: unknown }> {
  const { stdout } = runCurl(`${url.replace(/^ws/, "http")}/presence/${channel}?members`);
  const { count, members, ...answer } = JSON.parse(await text(stdout));
  expect({ channel: answer.channel, count }).toEqual({ channel, count: members.length });
  return { position: answer.position, members };
}

/** Sends a command; returns the lines before the reply to a `ping`. */
function carryOut(client: TestClient, command: string): Promise<string[]> {
  client.send(`${command}\n`);
  return client.ping();
}

/** Connects a client, and has it enter `room`. */
async function enter({ url }: Served, home: string, entry: string): Promise<TestClient> {
  const client = await TestClient.connect(`${url}/${home}`);
  expect(await carryOut(client, `enter room ${entry}`)).toEqual([]);
  return client;
}

/** Reads the data of a channel's server-sent events, up to a number of them. */
async function readEvents(lines: Interface, channel: string, count: number): Promise<string[]> {
  const read: string[] = [];
  let event = "";
  for await (const line of lines) {
    if (line.startsWith("event: ")) event = line.slice("event: ".length);
    if (line.startsWith("data: ") && event === channel) read.push(line.slice("data: ".length));
    if (read.length === count) break;
  }
  return read;
}

test.skipIf(!curl)("WebSocket clients enter, and curl lists and follows the members", async () => {
  const server = await serveInTest({ settings });
  const ann = await enter(server, "room", "ann reading");
  const bob = await enter(server, "elsewhere", "bob");
  const { position, members } = await list(server, "room");
  expect(members).toEqual([{ member: "ann", data: "reading" }, { member: "bob" }]);
  const watcher = await TestClient.connect(`${server.url}/third`);
  expect(await carryOut(watcher, "members room")).toEqual([
    `debug!members room ${position} 2`,
    "debug!member room ann reading",
    "debug!member room bob",
  ]);
  expect(await carryOut(watcher, `subscribe presence/room since ${position}`)).toEqual([
    `debug!position presence/room ${position}`,
  ]);
  const events = `${server.url.replace(/^ws/, "http")}/presence/room?since=${position}`;
  const { stdout } = runCurl("-H", "Accept: text/event-stream", events);
  const followed = readEvents(createInterface({ input: stdout }), "presence/room", 3);

  expect(await carryOut(bob, "enter room bob typing")).toEqual([]);
  expect(await carryOut(ann, "leave room")).toEqual([]);
  // A second connection of bob, who stays when the first one ends, and leaves with the last one.
  const second = await enter(server, "room", "bob typing");
  bob.close();
  expect(await carryOut(second, "leave room")).toEqual([]);
  const changes = ["update bob typing", "leave ann", "leave bob"];
  expect(await watcher.read(3)).toEqual(changes.map((change) => `presence/room!${change}`));
  expect(await followed).toEqual(changes);
  expect(await watcher.ping()).toEqual([]);
  expect(await list(server, "room")).toEqual({ position: position + 3, members: [] });
});

test.skipIf(!curl)(
  "after a power failure, members who return in time were never gone, and the others leave",
  async () => {
    const server = await serveInTest({ settings });
    for (const [home, member] of Object.entries({
      room: "ann",
      "home/1": "bob",
      "home/2": "cy",
      "home/4": "di",
    })) {
      await enter(server, home, `${member} before`);
    }
    const { position } = await list(server, "room");
    await server.restart();
    const watcher = await TestClient.connect(`${server.url}/third`);
    const all = ["ann", "bob", "cy", "di"].map((member) => ({ member, data: "before" }));
    expect(await list(server, "room")).toEqual({ position, members: all });
    watcher.send(`subscribe presence/room since ${position}\n`);
    expect(await watcher.line()).toBe(`debug!position presence/room ${position}`);
    await enter(server, "home/3", "ann before");
    await enter(server, "home/2", "cy after");
    const changes = await watcher.read(3);
    expect(changes[0]).toBe("presence/room!update cy after");
    expect(changes.slice(1).sort()).toEqual(["presence/room!leave bob", "presence/room!leave di"]);
    expect(await watcher.ping()).toEqual([]);
    const { members } = await list(server, "room");
    expect(members).toEqual([
      { member: "ann", data: "before" },
      { member: "cy", data: "after" },
    ]);
  },
);
