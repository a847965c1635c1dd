/**
 * The memory of an object under load. V8 gets as much memory as the platform gives, and ends the runtime if that is not
 * enough. `CROWD=9000`, `STALLED=5000` and `LINKS=1000` run more clients than the suite has time for.
 */
import { expect, test } from "vitest";
import { memoryOf } from "./support/runtime.ts";
import { type Served, serveInTest } from "./support/serve.ts";
import { connectAll, type TestClient } from "./support/test-client.ts";

const CROWD = Number(process.env.CROWD ?? 2_000);
/** Subscriptions per client: the maximum, including `all` and the channel it connects to. */
const EACH = 254;

/** Number of clients that stop reading. */
const STALLED = Number(process.env.STALLED ?? 500);
/** Megabytes announced to each client. */
const MEGABYTES = 4;
/** Maximum growth of the runtime's memory, in KiB: six times the 32 MB that may be pending; the runtime needs four. */
const BOUND = (6 * 32_000_000) / 1_024;

/** Number of clients that each send a frame of 4 MB at once. */
const BUSY = 60;
/** How many of them the server closes at least: 16 MB of commands may be pending. */
const NEARLY_ALL = BUSY - 16 / 4;
/** Maximum growth of the runtime's memory once nearly all of them are closed, in KiB: half of what they send. */
const BUSY_BOUND = 150_000;

/** Number of objects linked to one. */
const LINKS = Number(process.env.LINKS ?? 200);
/** Messages for all of them: half as many again as the log holds. */
const FLOOD = 100;

/** Starts a runtime whose V8 has as much memory as on the platform. */
function start(settings: Record<string, string> = {}): Promise<Served> {
  return serveInTest({ settings, v8Flags: ["--max-old-space-size=128"] });
}

test(`${CROWD} connections subscribe to ${EACH} channels each until memory for subscriptions is used up`, {
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
    client.send(wanted);
    for (const line of await client.ping()) {
      expect(line).toMatch(
        /^debug!error unavailable subscribe channel-\d+-x+: this object has no memory for more subscriptions/,
      );
      refused += 1;
    }
  }
  // Some fail, because the others use all the memory for subscriptions.
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(CROWD * EACH);
  crowd[0]?.send(`announce ${names[0]} for its subscribers\nannounce crowd for all`);
  await Promise.all(
    crowd.map(async (client) => {
      for (let line = ""; line !== "crowd!for all"; line = await client.line());
    }),
  );
  // A new client goes to another object.
  const [late] = await connectAll(runtime.url, ["/crowd"]);
  late?.send(wanted);
  expect(await late?.ping()).toEqual([]);
  for (const client of crowd) client.close();
});

test(`${STALLED} clients that leave ${MEGABYTES} MB each unread are closed before memory runs out`, {
  timeout: 600_000,
}, async () => {
  const runtime = await start();
  const paths = Array.from({ length: STALLED }, () => "/flood");
  const [publisher, reader, ...stalled] = await connectAll(runtime.url, ["/flood", "/flood", ...paths]);
  if (!publisher || !reader) throw new Error("the clients are missing");
  for (const { socket } of stalled) socket.pause();
  const before = await memoryOf(runtime.pid);
  let most = 0;
  const message = "x".repeat(60_000);
  for (let sent = 0; sent < (MEGABYTES * 1e6) / message.length; sent += 1) {
    publisher.send(`announce flood ${sent} ${message}`);
    expect(await reader.line()).toBe(`flood!${sent} ${message}`);
    expect(await publisher.line()).toBe(`flood!${sent} ${message}`);
    most = Math.max(most, await memoryOf(runtime.pid));
  }
  console.log(`runtime memory: ${before} KiB before, peak ${most} KiB`);
  expect(most - before).toBeLessThan(BOUND);
  expect(await publisher.ping()).toEqual([]);
  // A stalled client that reads again gets the earlier messages, then the reason why more are missing.
  const [first] = stalled;
  first?.socket.resume();
  expect(await first?.closed).toMatchObject({
    code: 1013,
    reason: expect.stringMatching(/^unavailable: the client reads too slowly/),
  });
  // A new client goes to an object without such a backlog.
  const [late] = await connectAll(runtime.url, ["/flood"]);
  publisher.send(`announce flood ${message}`);
  expect(await late?.line()).toBe(`flood!${message}`);
  for (const client of stalled) client.close();
});

test(`${LINKS} links that fall behind at once leave enough memory`, {
  timeout: 600_000,
}, async () => {
  const runtime = await start({ LINKS_PER_OBJECT: String(LINKS) });
  const [publisher] = await connectAll(runtime.url, ["/flood"]);
  if (!publisher) throw new Error("the publisher is missing");
  const homes = Array.from({ length: LINKS }, (_, i) => `/home-${i}`);
  const clients = await connectAll(runtime.url, homes);
  await Promise.all(
    clients.map(async (client) => {
      client.send("subscribe flood");
      await client.ping();
    }),
  );
  // More than the log holds, sent without waiting for any reply.
  const message = "x".repeat(60_000);
  for (let sent = 0; sent < FLOOD; sent += 1) publisher.send(`announce flood ${sent} ${message}`);
  const ends = await Promise.all(
    clients.map(async (client) => {
      for (let next = 0; next < FLOOD; next += 1) {
        const line = await client.line().catch(() => undefined);
        if (line === undefined) return client.closing?.code;
        expect(line.slice(0, 20)).toBe(`flood!${next} ${message}`.slice(0, 20));
      }
      return "all";
    }),
  );
  // Clients that the server could no longer buffer for were told why; the runtime survived.
  expect(ends.filter((end) => end !== "all" && end !== 1013)).toEqual([]);
  publisher.send("announce flood after");
  for (let line = ""; line !== "flood!after"; line = await publisher.line());
});

/** A Worker whose object `hung` answers no forwarded commands. */
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

test(`${BUSY} clients whose frames of 4 MB are stuck waiting for another object use little memory`, {
  timeout: 600_000,
}, async () => {
  const runtime = await serveInTest({ v8Flags: ["--max-old-space-size=128"], around: HUNG });
  const paths = Array.from({ length: BUSY }, () => "/busy");
  const [bystander, ...busy] = await connectAll(runtime.url, ["/busy", ...paths]);
  if (!bystander) throw new Error("the bystander is missing");
  const before = await memoryOf(runtime.pid);
  const frame = `announce hung x\n${"x".repeat(4_000_000)}`;
  for (const client of busy) client.send(frame);
  const ends = busy.map(async (client) => (await client.closed).reason);
  expect(await bystander.ping()).toEqual([]);
  const most = await untilClosed(busy, NEARLY_ALL, () => memoryOf(runtime.pid));
  console.log(`runtime memory: ${before} KiB before, peak ${most} KiB`);
  // The runtime holds each frame once, whatever the object does; what the object made of it is released.
  const memory = () => memoryOf(runtime.pid);
  await expect.poll(memory).toBeLessThan(before + BUSY_BOUND);
  for (const client of busy.filter(({ closing }) => !closing)) client.close();
  const refused = (await Promise.all(ends)).filter((reason) => reason === "limit: too many commands are pending");
  expect(refused.length).toBeGreaterThanOrEqual(NEARLY_ALL);
});

/** Waits until `count` clients are closed; returns the peak measurement. */
async function untilClosed(clients: TestClient[], count: number, measure: () => Promise<number>): Promise<number> {
  let most = 0;
  while (clients.filter(({ closing }) => closing).length < count) {
    most = Math.max(most, await measure());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return most;
}
