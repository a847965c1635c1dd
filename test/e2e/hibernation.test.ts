import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { bundle, type Runtime, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

/**
 * The Worker, saying which objects are brought into memory. Of what the runtime does this is the one
 * thing that shows from outside whether an object had left it.
 */
const TELLING = `
import worker, { Channel as Silent } from "./worker.js";
export default worker;
export class Channel extends Silent {
  constructor(context, env) {
    super(context, env);
    console.log("woke " + context.id.name);
  }
}`;

/** The runtime lets an object that does nothing stay for 10 seconds; ours settle 1 second after an event. */
const SILENCE = 15_000;

let folder: string;
let runtime: Runtime;
let woken: string[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  runtime = await startRuntime(await bundle(folder), folder, {
    around: TELLING,
    onLine: (line) => {
      const [, name] = /woke (\S+)/.exec(line) ?? [];
      if (name) woken.push(name);
    },
  });
});

afterAll(async () => {
  await runtime.kill();
  await removeFolder(folder);
});

/** A connection whose lines can be awaited one by one. */
async function connect(path: string) {
  const socket = new WebSocket(runtime.url + path);
  const lines: string[] = [];
  let arrived = () => {};
  socket.on("message", (frame) => {
    lines.push(...frame.toString().split("\n").slice(0, -1));
    arrived();
  });
  const next = async (): Promise<string> => {
    for (;;) {
      const line = lines.shift();
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };
  expect(await next()).toBe("debug!connected...");
  return { next, say: (text: string) => socket.send(text), close: () => socket.terminate() };
}

test("after 15 s of silence no object is in memory, and a message wakes those that it concerns", {
  timeout: 90_000,
}, async () => {
  const root = await connect("/news");
  const linked = await connect("/elsewhere");
  const former = await connect("/news");
  const publisher = await connect("/publisher");
  linked.say("subscribe news\nping");
  former.say("unsubscribe news\nping");
  for (const client of [linked, former]) expect(await client.next()).toMatch(/^\d+$/);
  expect(new Set(woken)).toEqual(new Set(["news", "elsewhere", "publisher", "all"]));

  for (const message of ["one", "two"]) {
    woken = [];
    await sleep(SILENCE);
    expect(woken).toEqual([]);
    publisher.say(`announce news ${message}\nping`);
    expect(await publisher.next()).toMatch(/^\d+$/);
    expect(await root.next()).toBe(`news!${message}`);
    expect(await linked.next()).toBe(`news!${message}`);
    // Each woke once: all three had left memory, and "all", which is not concerned, still is out of it.
    expect(woken.sort()).toEqual(["elsewhere", "news", "publisher"]);
  }

  publisher.say("announce all end");
  for (const client of [root, linked, former, publisher]) {
    expect(await client.next()).toBe("all!end");
    client.close();
  }
});
