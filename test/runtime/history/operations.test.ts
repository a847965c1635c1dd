/** The operators' pages and log. */
import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { Client } from "../support/client.ts";
import { evictAll, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function page(path: string): Promise<string> {
  const response = await exports.default.fetch(`http://fanout.test${path}`);
  expect(response.status).toBe(200);
  return response.text();
}

/** Returns the value of a metric with exactly these labels. */
async function metric(name: string): Promise<number> {
  const line = (await page("/-/metrics")).split("\n").find((line) => line.startsWith(`fanout_${name} `));
  return Number(line?.split(" ").at(-1));
}

test("a channel's page shows its objects with their subscribers and lag", async () => {
  const news = unique("news");
  // If objects have room for one connection, each connection has its own object.
  const listeners = [await Client.connect(news), await Client.connect(news), await Client.connect(news)];
  const response = await exports.default.fetch(`http://fanout.test/${news}`, {
    method: "POST",
    body: "a\nb",
  });
  const [, position] = /"position":(\d+)/.exec(await response.text()) ?? [];
  for (const listener of listeners) expect(await listener.ping()).toEqual([`${news}!a`, `${news}!b`]);
  await evictAll();
  const tree = JSON.parse(await page(`/-/channels/${news}`));
  expect(tree).toMatchObject({
    channel: news,
    listeners: 3,
    position: Number(position),
    omitted: 0,
    unreachable: 0,
  });
  expect(tree.kept).toMatchObject({ count: 2 });
  expect([1, 3]).toContain(tree.objects.length);
  const each = 3 / tree.objects.length;
  for (const object of tree.objects) expect(object).toMatchObject({ listeners: each, lag: 0 });
  expect(tree.objects[0]).toMatchObject({ object: news, parent: null });
});

test("announcements by HTTP are counted, even on channels without connections", async () => {
  const keeper = await Client.connect();
  const before = await metric("announcements_total");
  const body = Array.from({ length: 25 }, (_, i) => String(i)).join("\n");
  await exports.default.fetch(`http://fanout.test/${unique("news")}`, { method: "POST", body });
  await expect.poll(() => metric("announcements_total")).toBe(before + 25);
  await keeper.close();
});

test("announcements with a key are counted in all transports, and once on their channel", async () => {
  const [here, there] = [unique("here"), unique("there")];
  const talker = await Client.connect(here);
  const before = await metric("announcements_total");
  talker.send(`once a ${here} x\nonce a ${here} x\nonce b ${here} y\nonce a ${there} z`);
  await talker.ping();
  await expect.poll(() => metric("announcements_total")).toBe(before + 3);
  await talker.close();
});

test("counters never decrease, although evicted objects forget counts that weren't stored", async () => {
  const [talker, reader] = [await Client.connect(), await Client.connect(unique("home"))];
  reader.send("subscribe slept");
  await reader.ping();
  const names = ["rows_written_total", "awake_seconds_total", "messages_total"];
  let before = await Promise.all(names.map(metric));
  for (let i = 0; i < 5; i++) {
    talker.send(`announce slept ${i}`);
    await reader.line();
    if (i % 2 === 0) await evictAll();
    const now = await Promise.all(names.map(metric));
    for (const [n, value] of now.entries()) expect(value, names[n]).toBeGreaterThanOrEqual(before[n] ?? 0);
    before = now;
  }
  for (const value of before) expect(value).toBeGreaterThan(0);
});

test("resumes, refusals and closes are counted by cause", async () => {
  const news = unique("news");
  const client = await Client.connect();
  const names = ['resumes_total{outcome="gap"}', 'commands_refused_total{code="invalid"}'];
  const before = await Promise.all(names.map(metric));
  client.send(`subscribe ${news} since 5\nnonsense\nsubscribe debug`);
  await client.ping();
  // Counts that could still be forgotten aren't reported.
  const now = () => Promise.all(names.map(metric));
  await expect.poll(now).toEqual([Number(before[0]) + 1, Number(before[1]) + 2]);
});

test("members are a gauge, and their changes are counted by kind", async () => {
  const news = unique("news");
  const [one, other] = [await Client.connect(unique("home")), await Client.connect(unique("home"))];
  const names = ["members", ...["enter", "update", "leave"].map((kind) => `member_changes_total{kind="${kind}"}`)];
  const now = () => Promise.all(names.map(metric));
  const before = await now();
  const since = (...more: number[]) => more.map((n, i) => Number(before[i]) + n);
  one.send(`enter ${news} ann\nenter ${news} ann 1\nenter ${news} ann 2`);
  expect(await one.ping()).toEqual([]);
  other.send(`enter ${news} ann 2\nenter ${news} bob`);
  expect(await other.ping()).toEqual([]);
  await expect.poll(now).toEqual(since(2, 2, 2, 0));
  one.send(`leave ${news}`);
  expect(await one.ping()).toEqual([]);
  await expect.poll(now).toEqual(since(1, 2, 2, 1));
});

test("failures are logged with a rate limit, and without clients' data", async () => {
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  const client = await Client.connect(unique("home"));
  const many = Array.from({ length: 20 }, () => `announce news ${"secret ".repeat(10_000)}`).join("\n");
  client.send(many);
  await client.ping();
  const lines = warned.mock.calls.map(([line]) => String(line));
  warned.mockRestore();
  expect(lines.filter((line) => line.includes('"refused.limit"'))).toHaveLength(1);
  for (const line of lines) expect(line).not.toContain("secret");
});
