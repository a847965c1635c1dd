/** Clients that resume miss no messages, through evictions, crashes of the root, and links that continue. */
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { crash, evict, evictAll, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

/** Reads a client's position in a channel. */
async function locate(client: Client, channel: string): Promise<number> {
  client.send(`subscribe ${channel} since now`);
  const line = await client.line();
  expect(line).toMatch(new RegExp(`^debug!position ${channel} \\d+$`));
  return Number(line.split(" ")[2]);
}

/** Sends a command, and retries it after a crash; returns the lines up to its reply. */
async function expectDelivery(client: Client, line: string): Promise<string[]> {
  for (;;) {
    client.send(line);
    const answers = await client.ping();
    if (!answers.some((answer) => answer.startsWith("debug!error uncertain "))) return answers;
  }
}

async function announce(client: Client, channel: string, ...messages: string[]): Promise<void> {
  for (const message of messages) await expectDelivery(client, `announce ${channel} ${message}`);
}

describe.each([
  ["at the channel's own object", (channel: string) => channel],
  ["at another object", (channel: string) => `${channel}-home`],
])("coming back %s", (_, homeOf) => {
  test("delivers missed and new messages without a gap, even after all objects were evicted", {
    tags: ["resume-exact"],
  }, async () => {
    const news = unique("news");
    const [talker, reader] = [await Client.connect(), await Client.connect(homeOf(news))];
    const from = await locate(reader, news);
    await announce(talker, news, "1", "2");
    expect(await reader.lines(2)).toEqual([`${news}!1`, `${news}!2`]);
    await reader.close();
    await announce(talker, news, "3", "4");
    await evictAll();
    const back = await Client.connect(`${news}-other`);
    back.send(`subscribe ${news} since ${from + 2}`);
    expect(await back.lines(3)).toEqual([`debug!position ${news} ${from + 2}`, `${news}!3`, `${news}!4`]);
    await announce(talker, news, "5");
    expect(await back.line()).toBe(`${news}!5`);
    expect(await locate(back, news)).toBe(from + 5);
  });

  test("works after the root has crashed", async () => {
    const news = unique("news");
    const [talker, reader] = [await Client.connect(), await Client.connect(homeOf(news))];
    const from = await locate(reader, news);
    await announce(talker, news, "1", "2");
    expect(await reader.ping()).toEqual([`${news}!1`, `${news}!2`]);
    await crash(news);
    await announce(talker, news, "3");
    const back = await Client.connect(homeOf(news));
    back.send(`unsubscribe ${news}\nsubscribe ${news} since ${from + 1}`);
    expect(await back.lines(3)).toEqual([`debug!position ${news} ${from + 1}`, `${news}!2`, `${news}!3`]);
  });
});

test("subscribers at other objects stay connected when the root crashes, and miss no messages", {
  tags: ["crash-own-connections"],
}, async () => {
  const news = unique("news");
  const [talker, reader] = [await Client.connect(), await Client.connect(`${news}-home`)];
  const from = await locate(reader, news);
  await announce(talker, news, "1");
  expect(await reader.line()).toBe(`${news}!1`);
  for (const message of ["2", "3"]) {
    await crash(news);
    await announce(talker, news, message);
    expect(await reader.line()).toBe(`${news}!${message}`);
  }
  await evict(news);
  expect(await locate(reader, news)).toBe(from + 3);
});

test("`last` starts with the newest messages, and expired messages are a gap", {
  tags: ["resume-last", "gap-named"],
}, async () => {
  const news = unique("news");
  const talker = await Client.connect();
  const from = await locate(talker, news);
  await announce(talker, news, "1", "2", "3");
  const reader = await Client.connect();
  reader.send(`subscribe ${news} last 2`);
  expect(await reader.ping()).toEqual([`debug!position ${news} ${from + 1}`, `${news}!2`, `${news}!3`]);
  reader.send(`subscribe ${news} last 2`);
  expect(await reader.line()).toBe(
    `debug!error invalid subscribe ${news}: you are subscribed to this channel; unsubscribe first, or use 'since now'`,
  );
  reader.send(`unsubscribe ${news}\nsubscribe ${news} since 7`);
  expect((await reader.ping()).slice(0, 2)).toEqual([`debug!gap ${news} 7 ${from}`, `debug!position ${news} ${from}`]);
  reader.send(`unsubscribe ${news}\nsubscribe ${news} since ${from + 9}`);
  expect(await reader.ping()).toEqual([
    `debug!gap ${news} ${from + 9} ${from + 3}`,
    `debug!position ${news} ${from + 3}`,
  ]);
});

test("the same key announces once, from any object, even after a crash", { tags: ["key-once"] }, async () => {
  const news = unique("news");
  const [one, other] = [await Client.connect(), await Client.connect(news)];
  const from = await locate(one, news);
  one.send(`once k ${news} hello`);
  expect(await one.ping()).toEqual([`${news}!hello`, `debug!once k ${from + 1}`]);
  other.send(`once k ${news} hello`);
  expect(await other.ping()).toEqual([`${news}!hello`, `debug!once k ${from + 1}`]);
  await crash(news);
  expect(await expectDelivery(one, `once k ${news} hello`)).toEqual([`debug!once k ${from + 1}`]);
  one.send(`once k2 ${news} again`);
  expect(await one.ping()).toEqual([`${news}!again`, `debug!once k2 ${from + 2}`]);
});
