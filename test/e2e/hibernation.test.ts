import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { Listener } from "./support/listener.ts";
import { type Served, serve } from "./support/serve.ts";

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

/**
 * The runtime lets an object that does nothing stay for 10 seconds; ours settle 1 second after an event, and have
 * an alarm go off 10 seconds after a message for other objects.
 */
const SILENCE = 25_000;

let runtime: Served;
/** The objects that have been brought into memory, and who waits for that. */
let woken: string[] = [];
let noticed = () => {};

beforeAll(async () => {
  runtime = await serve({
    around: TELLING,
    onLine: (line) => {
      const [, name] = /woke (\S+)/.exec(line) ?? [];
      if (name) woken.push(name);
      noticed();
    },
  });
  return runtime.end;
});

test("after 15 s of silence no object is in memory, and a message wakes those that it concerns", {
  timeout: 180_000,
}, async () => {
  const root = await Listener.connect(`${runtime.url}/news`);
  const linked = await Listener.connect(`${runtime.url}/elsewhere`);
  const former = await Listener.connect(`${runtime.url}/news`);
  const publisher = await Listener.connect(`${runtime.url}/publisher`);
  linked.say("subscribe news");
  former.say("unsubscribe news");
  for (const client of [linked, former]) expect(await client.ping()).toEqual([]);
  await haveWoken("all", "elsewhere", "news", "publisher");

  for (const message of ["one", "two"]) {
    woken = [];
    await sleep(SILENCE);
    expect(woken).toEqual([]);
    publisher.say(`announce news ${message}`);
    expect(await publisher.ping()).toEqual([]);
    expect(await root.line()).toBe(`news!${message}`);
    expect(await linked.line()).toBe(`news!${message}`);
    // Each woke once: all three had left memory, and "all", which is not concerned, still is out of it.
    await haveWoken("elsewhere", "news", "publisher");
  }

  publisher.say("announce all end");
  for (const client of [root, linked, former, publisher]) {
    expect(await client.line()).toBe("all!end");
    client.close();
  }
});

/** Ends when as many objects as these have been brought into memory, and fails if they are others. */
async function haveWoken(...names: string[]): Promise<void> {
  while (woken.length < names.length) {
    await new Promise<void>((resolve) => {
      noticed = resolve;
    });
  }
  expect(woken.sort()).toEqual(names);
}
