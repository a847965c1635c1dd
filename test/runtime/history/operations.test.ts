/** What who runs the service sees. */
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

/** A figure of the metrics, with its labels as they are written. */
async function metric(name: string): Promise<number> {
  const line = (await page("/-/metrics")).split("\n").find((line) => line.startsWith(`fanout_${name} `));
  return Number(line?.split(" ").at(-1));
}

test("the tree of a channel tells who listens where, and how far each of them is", async () => {
  const news = unique("news");
  // Where there is room for one connection in an object, each is in one of its own.
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

test("what is announced by HTTP, where nobody is connected, is counted too", async () => {
  const keeper = await Client.connect();
  const before = await metric("announcements_total");
  const body = Array.from({ length: 25 }, (_, i) => String(i)).join("\n");
  await exports.default.fetch(`http://fanout.test/${unique("news")}`, { method: "POST", body });
  await expect.poll(() => metric("announcements_total"), { timeout: 30_000 }).toBe(before + 25);
  await keeper.close();
});

test("what is announced under a key is counted, wherever, and once at its own channel", async () => {
  const [here, there] = [unique("here"), unique("there")];
  const talker = await Client.connect(here);
  const before = await metric("announcements_total");
  talker.send(`once a ${here} x\nonce a ${here} x\nonce b ${here} y\nonce a ${there} z`);
  await talker.ping();
  await expect.poll(() => metric("announcements_total"), { timeout: 30_000 }).toBe(before + 3);
  await talker.close();
});

test("no figure falls, though objects sleep and forget what was worth no row", async () => {
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

test("who comes back, is refused or closed is counted by what it was", async () => {
  const news = unique("news");
  const client = await Client.connect();
  const names = ['resumes_total{outcome="gap"}', 'commands_refused_total{reason="invalid"}'];
  const before = await Promise.all(names.map(metric));
  client.send(`subscribe ${news} since 5\nnonsense\nsubscribe debug`);
  await client.ping();
  // What may still be forgotten is not told yet.
  const now = () => Promise.all(names.map(metric));
  await expect.poll(now, { timeout: 30_000 }).toEqual([Number(before[0]) + 1, Number(before[1]) + 2]);
});

test("what an operator would look for is logged, now and then, without what clients say", async () => {
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  const client = await Client.connect(unique("home"));
  const many = Array.from({ length: 300 }, (_, i) => `subscribe secret-${i} last 1`).join("\n");
  client.send(many);
  await client.ping();
  const lines = warned.mock.calls.map(([line]) => String(line));
  warned.mockRestore();
  expect(lines.filter((line) => line.includes('"refused.limit"'))).toHaveLength(1);
  for (const line of lines) expect(line).not.toContain("secret");
});
