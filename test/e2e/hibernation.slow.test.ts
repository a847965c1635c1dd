import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { type Served, serve } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

/**
 * The Worker, which logs each object that is brought into memory: nothing else shows from outside that an object had
 * left it.
 */
const LOGGING = `
import worker, { Channel as Real } from "./worker.js";
export default worker;
export class Channel extends Real {
  constructor(context, env) {
    super(context, env);
    console.log("woke " + context.id.name);
  }
}`;

/**
 * The runtime evicts an object after 10 idle seconds. Objects settle 1 second after an event, and set an alarm for
 * 10 seconds after a message to other objects.
 */
const SILENCE = 25_000;

let runtime: Served;
/** The objects that have been brought into memory. */
let woken: string[] = [];
let noticed = () => {};

beforeAll(async () => {
  runtime = await serve({
    around: LOGGING,
    onLine: (line) => {
      const [, name] = /woke (\S+)/.exec(line) ?? [];
      if (name) woken.push(name);
      noticed();
    },
  });
  return runtime.end;
});

test("after a silence no object is in memory, and a message wakes only the objects it concerns", {
  tags: ["idle-free"],
  timeout: 180_000,
}, async () => {
  const root = await TestClient.connect(`${runtime.url}/news`);
  const linked = await TestClient.connect(`${runtime.url}/elsewhere`);
  const former = await TestClient.connect(`${runtime.url}/news`);
  const publisher = await TestClient.connect(`${runtime.url}/publisher`);
  linked.send("subscribe news");
  former.send("unsubscribe news");
  for (const client of [linked, former]) expect(await client.ping()).toEqual([]);
  await haveWoken("all", "elsewhere", "news", "publisher");

  for (const message of ["one", "two"]) {
    woken = [];
    await sleep(SILENCE);
    expect(woken).toEqual([]);
    publisher.send(`announce news ${message}`);
    expect(await publisher.ping()).toEqual([]);
    expect(await root.line()).toBe(`news!${message}`);
    expect(await linked.line()).toBe(`news!${message}`);
    // Each woke exactly once, so all three had left memory; "all" isn't concerned, and stays out of it.
    await haveWoken("elsewhere", "news", "publisher");
  }

  publisher.send("announce all end");
  for (const client of [root, linked, former, publisher]) {
    expect(await client.line()).toBe("all!end");
    client.close();
  }
});

test("members stay while all objects hibernate, and a change wakes only the objects it concerns", {
  timeout: 180_000,
}, async () => {
  const ann = await TestClient.connect(`${runtime.url}/lounge`);
  const bob = await TestClient.connect(`${runtime.url}/afar`);
  const watcher = await TestClient.connect(`${runtime.url}/watcher`);
  watcher.send("subscribe presence/lounge");
  expect(await watcher.ping()).toEqual([]);
  ann.send("enter lounge ann");
  expect(await ann.ping()).toEqual([]);
  bob.send("enter lounge bob");
  expect(await bob.ping()).toEqual([]);
  expect(await watcher.read(2)).toEqual(["presence/lounge!enter ann", "presence/lounge!enter bob"]);

  woken = [];
  await sleep(SILENCE);
  expect(woken).toEqual([]);
  watcher.send("members lounge");
  const [head, ...members] = await watcher.ping();
  expect(head).toMatch(/^debug!members lounge \d+ 2$/);
  expect(members).toEqual(["debug!member lounge ann", "debug!member lounge bob"]);
  bob.send("enter lounge bob back");
  expect(await bob.ping()).toEqual([]);
  // Nothing was announced in between.
  expect(await watcher.line()).toBe("presence/lounge!update bob back");
  const all = [...woken].sort();
  expect(all.filter((name) => name !== "lounge")).toEqual(["afar", "presence/lounge", "watcher"]);
  for (const client of [ann, bob, watcher]) client.close();
});

/** Waits until as many objects have woken as named, and checks that they are these. */
async function haveWoken(...names: string[]): Promise<void> {
  while (woken.length < names.length) {
    await new Promise<void>((resolve) => {
      noticed = resolve;
    });
  }
  expect(woken.sort()).toEqual(names);
}
