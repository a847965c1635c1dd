/** What a client that uses very many channels, once each, leaves behind. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { sendAll } from "../cast.ts";
import { Client, closeAll } from "../client.ts";
import { evictAll, keys, settleQuickly, startAfresh, unique } from "../service.ts";

settleQuickly();

beforeEach(() => startAfresh());
afterEach(closeAll);

const MANY = 200;
/** So many take their time on a busy machine. */
const timeout = 300_000;

const names = () => Array.from({ length: MANY }, () => unique("random"));

async function expectEmpty(objects: string[]): Promise<void> {
  await evictAll();
  for (const name of objects) expect(await keys(name)).toEqual([]);
}

test("subscribing to each and leaving it again leaves nothing", { timeout }, async () => {
  const home = unique("home");
  const client = await Client.connect(home);
  await evictAll();
  const [before, beforeAtAll] = [await keys(home), await keys("all")];
  const channels = names();
  for (const channel of channels) {
    await sendAll([client], `subscribe ${channel}\nannounce ${channel.slice(1)} 1\nunsubscribe ${channel}`);
  }
  await expectEmpty([...channels, ...channels.map((channel) => channel.slice(1))]);
  expect(await keys(home)).toEqual(before);
  expect(await keys("all")).toEqual(beforeAtAll);
});

test("connecting to each leaves nothing, however the connections end", { timeout }, async () => {
  const channels = names();
  for (let from = 0; from < MANY; from += 20) {
    const clients = await Promise.all(channels.slice(from, from + 20).map((name) => Client.connect(name)));
    await Promise.all(clients.map((client, i) => (i % 2 ? client.close() : client.closeWithoutCode())));
  }
  await expectEmpty(channels);
  expect(await keys("all")).toEqual(["service"]);
});
