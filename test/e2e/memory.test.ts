/**
 * An object's memory, whatever its connections do, with as much of it as the platform gives: here that is told to
 * V8 itself, which ends the runtime if it is not enough. `CROWD=9000`, `STALLED=5000` and `LINKS=1000` have more
 * come than the suite has time for.
 */
import { expect, test } from "vitest";
import { connectAll, type Listener } from "./support/listener.ts";
import { memoryOf } from "./support/runtime.ts";
import { type Served, serveInTest } from "./support/serve.ts";

const CROWD = Number(process.env.CROWD ?? 2_000);
/** Subscriptions of each: as many as one may have, `all` and the channel that it is at included. */
const EACH = 254;

/** Clients that stop reading. */
const STALLED = Number(process.env.STALLED ?? 500);
/** Megabytes that are announced to each of them. */
const MEGABYTES = 4;
/** Most of the runtime's memory that what waits may take, in KiB: less than a tenth of what nobody reads. */
const BOUND = 250_000;

/** Clients that each have a frame of 4 MB carried out at one time. */
const BUSY = 60;
/** Most of the runtime's memory that these may take when nearly all are closed, in KiB: half of what they send. */
const BUSY_BOUND = 150_000;

/** Objects that are linked to one. */
const LINKS = Number(process.env.LINKS ?? 200);
/** Messages for them all: half as much again as the log holds. */
const FLOOD = 100;

/** A runtime of its own, in which V8 has as much memory as on the platform. */
function start(settings: Record<string, string> = {}): Promise<Served> {
  return serveInTest({ settings, v8Flags: ["--max-old-space-size=128"] });
}

test(`${CROWD} connections subscribe to ${EACH} channels each, as far as there is memory`, {
  timeout: 600_000,
}, async () => {
  const runtime = await start();
  const crowd = await connectAll(
    runtime.url,
    Array.from({ length: CROWD }, () => "/crowd"),
  );
  const names = Array.from({ length: EACH }, (_, i) => `channel-${i}-`.padEnd(50, "x"));
  const wanted = names.map((name) => `subscribe ${name}`).join("\n");
  let refused = 0;
  for (const client of crowd) {
    client.say(wanted);
    for (const line of await client.ping()) {
      expect(line).toMatch(
        /^debug!error unavailable subscribe channel-\d+-x+: this object has no memory for more subscriptions/,
      );
      refused += 1;
    }
  }
  // Some of them: what the others have takes all the memory that there is for it.
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(CROWD * EACH);
  crowd[0]?.say(`announce ${names[0]} heard by those who are subscribed\nannounce crowd heard by all`);
  await Promise.all(
    crowd.map(async (client) => {
      for (let line = ""; line !== "crowd!heard by all"; line = await client.line());
    }),
  );
  // Who comes now is at home in another object.
  const [late] = await connectAll(runtime.url, ["/crowd"]);
  late?.say(wanted);
  expect(await late?.ping()).toEqual([]);
  for (const client of crowd) client.close();
});

test(`${STALLED} clients that do not read ${MEGABYTES} MB each are closed before that takes all memory`, {
  timeout: 600_000,
}, async () => {
  const runtime = await start();
  const paths = Array.from({ length: STALLED }, () => "/flood");
  const [publisher, reader, ...stalled] = await connectAll(runtime.url, ["/flood", "/flood", ...paths]);
  if (!publisher || !reader) throw new Error("two are connected before the others");
  for (const { socket } of stalled) socket.pause();
  const before = await memoryOf(runtime.pid);
  let most = 0;
  const message = "x".repeat(60_000);
  for (let sent = 0; sent < (MEGABYTES * 1e6) / message.length; sent += 1) {
    publisher.say(`announce flood ${sent} ${message}`);
    expect(await reader.line()).toBe(`flood!${sent} ${message}`);
    expect(await publisher.line()).toBe(`flood!${sent} ${message}`);
    most = Math.max(most, await memoryOf(runtime.pid));
  }
  console.log(`memory of the runtime: ${before} KiB before, at most ${most} KiB`);
  expect(most - before).toBeLessThan(BOUND);
  expect(await publisher.ping()).toEqual([]);
  // Who reads again is told that messages are missing, after those that came before.
  const [first] = stalled;
  first?.socket.resume();
  expect(await first?.closed).toMatchObject({
    code: 1013,
    reason: expect.stringMatching(/^unavailable: the client reads too slowly/),
  });
  // Who comes now is at home where nothing waits for those who were closed.
  const [late] = await connectAll(runtime.url, ["/flood"]);
  publisher.say(`announce flood ${message}`);
  expect(await late?.line()).toBe(`flood!${message}`);
  for (const client of stalled) client.close();
});

test(`${LINKS} links that are behind at once leave the runtime memory enough`, {
  timeout: 600_000,
}, async () => {
  const runtime = await start({ LINKS_PER_OBJECT: String(LINKS) });
  const [publisher] = await connectAll(runtime.url, ["/flood"]);
  if (!publisher) throw new Error("it is connected");
  const homes = Array.from({ length: LINKS }, (_, i) => `/home-${i}`);
  const listeners = await connectAll(runtime.url, homes);
  await Promise.all(
    listeners.map(async (listener) => {
      listener.say("subscribe flood");
      await listener.ping();
    }),
  );
  // More than the log holds, at once: nobody waits for anybody.
  const message = "x".repeat(60_000);
  for (let sent = 0; sent < FLOOD; sent += 1) publisher.say(`announce flood ${sent} ${message}`);
  const ends = await Promise.all(
    listeners.map(async (listener) => {
      for (let next = 0; next < FLOOD; next += 1) {
        const line = await listener.line().catch(() => undefined);
        if (line === undefined) return listener.closing?.code;
        expect(line.slice(0, 20)).toBe(`flood!${next} ${message}`.slice(0, 20));
      }
      return "all";
    }),
  );
  // Who could not be held any longer was told; the runtime has had memory enough.
  expect(ends.filter((end) => end !== "all" && end !== 1013)).toEqual([]);
  publisher.say("announce flood after");
  for (let line = ""; line !== "flood!after"; line = await publisher.line());
});

/** A Worker whose object `hung` answers nothing but links. */
const HUNG = `
import worker, { Channel as Real } from "./worker.js";
export default worker;
export class Channel extends Real {
  #name;
  constructor(context, env) {
    super(context, env);
    this.#name = context.id.name;
  }
  call(kind, ...rest) {
    return this.#name === "hung" && kind === "forward" ? new Promise(() => {}) : super.call(kind, ...rest);
  }
}
`;

test(`${BUSY} clients whose frames of 4 MB wait in the middle for another object take memory for few`, {
  timeout: 600_000,
}, async () => {
  const runtime = await serveInTest({ v8Flags: ["--max-old-space-size=128"], around: HUNG });
  const paths = Array.from({ length: BUSY }, () => "/busy");
  const [bystander, ...busy] = await connectAll(runtime.url, ["/busy", ...paths]);
  if (!bystander) throw new Error("one is connected before the others");
  const before = await memoryOf(runtime.pid);
  const frame = `announce hung x\n${"x".repeat(4_000_000)}`;
  for (const client of busy) client.say(frame);
  const ends = busy.map(async (client) => (await client.closed).reason);
  expect(await bystander.ping()).toEqual([]);
  const most = await untilClosed(busy, BUSY - 5, () => memoryOf(runtime.pid));
  console.log(`memory of the runtime: ${before} KiB before, at most ${most} KiB`);
  // The runtime has each frame in memory once, whatever the object does. What the object has made of them goes.
  const memory = () => memoryOf(runtime.pid);
  await expect.poll(memory, { timeout: 60_000 }).toBeLessThan(before + BUSY_BOUND);
  for (const client of busy.filter(({ closing }) => !closing)) client.close();
  expect(new Set(await Promise.all(ends))).toContain("limit: too many commands are pending");
});

/** Waits until so many are closed; returns the most that was measured meanwhile. */
async function untilClosed(
  clients: Listener[],
  count: number,
  measure: () => Promise<number>,
): Promise<number> {
  let most = 0;
  while (clients.filter(({ closing }) => closing).length < count) {
    most = Math.max(most, await measure());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return most;
}
