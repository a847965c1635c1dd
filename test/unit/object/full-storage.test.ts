/** What clients get when storage begins to refuse rows. */
import { expect, test } from "vitest";
import { Service, settled } from "./service.ts";

/** The position that the only line tells. */
function positionIn(lines: string[]): number {
  const [line = "", ...more] = lines.filter((each) => each.startsWith("debug!position"));
  expect(more).toEqual([]);
  return Number(line.split(" ")[2]);
}

test("clients that count are told new positions before the messages that storage refuses, others get nothing more", async () => {
  const service = new Service();
  const counts = await service.connect("news", { since: "now" });
  const afar = await service.connect("home");
  const other = await service.connect("news");
  const distant = await service.connect("home");
  const once = await service.connect("news");
  await distant.ask("subscribe news");
  const first = positionIn(counts.read());
  expect(positionIn(await afar.ask("subscribe news since now", "ping"))).toBe(first);
  await once.ask("once k news 0");
  for (const client of [counts, afar, other, distant, once]) client.read();
  service.takes = false;
  // In one frame: what is stored, and what is not, are told apart, and lines of other channels stay where they are.
  const lines = await counts.ask(
    "announce news 1",
    "ping",
    "announce news 2",
    "subscribe news since now",
    "announce news 3",
  );
  const position = positionIn(lines.slice(0, 2));
  expect(position).toBeGreaterThan(first + 1_000_000);
  expect(lines).toEqual([
    `debug!position news ${position}`,
    "news!1",
    "1000",
    "news!2",
    `debug!position news ${position + 2}`,
    "news!3",
  ]);
  await settled();
  const counted = [`debug!position news ${position}`, "news!1", "news!2", "news!3"];
  expect([afar.read(), once.read()]).toEqual([counted, counted]);
  expect([other.read(), distant.read()]).toEqual([counted.slice(1), counted.slice(1)]);
  // And everything goes on from there.
  expect(await afar.ask("once k2 news 4", "ping")).toEqual([
    "news!4",
    `debug!once k2 ${position + 4}`,
    "1000",
  ]);
  expect(await afar.ask("subscribe news since now")).toEqual([`debug!position news ${position + 4}`]);
  expect([other.ending, distant.ending, counts.ending]).toEqual([undefined, undefined, undefined]);
});

test("answers tell the positions that messages have after that", async () => {
  const service = new Service();
  const reader = await service.connect("news", { since: "now" });
  const ann = await service.connect("home");
  const first = positionIn(reader.read());
  service.takes = false;
  const [own, forwarded, posted] = await Promise.all([
    reader.ask("once k news 1"),
    ann.ask("once k2 news 2"),
    service.broker("news").called("announce", { lines: "news!3\nnews!4\n", count: 2 }, 2),
  ]);
  const all = [...own, ...reader.read()];
  const position = positionIn(all);
  expect(position).toBeGreaterThan(first + 1_000_000);
  const messages = all.filter((line) => line.startsWith("news!"));
  const positionOf = (message: string) => position + 1 + messages.indexOf(message);
  expect(messages).toHaveLength(4);
  expect(all).toContain(`debug!once k ${positionOf("news!1")}`);
  expect(forwarded).toEqual([`debug!once k2 ${positionOf("news!2")}`]);
  expect(posted).toEqual({ last: positionOf("news!4") });
});

test("that a client counts outlives sleep, and a channel that it left is not told", async () => {
  const service = new Service();
  const [counts, left] = [
    await service.connect("news", { since: "now" }),
    await service.connect("news", { since: "now" }),
  ];
  await left.ask("unsubscribe news", "subscribe news");
  counts.read();
  service.sleep("news");
  service.takes = false;
  const lines = await counts.ask("announce news a");
  expect(lines).toEqual([expect.stringMatching(/^debug!position news \d+$/), "news!a"]);
  expect(left.read()).toEqual(["news!a"]);
});

test("a child of a tree passes new positions on to its own connections and links", async () => {
  const service = new Service({ SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" });
  await service.connect("news");
  const inChild = await service.connect("news!1");
  const homes = [await service.connect("one"), await service.connect("two")];
  for (const home of homes) await home.ask("subscribe news since now");
  await inChild.ask("subscribe news since now");
  service.takes = false;
  await service.broker("news").called("announce", { lines: "news!a\n", count: 1 }, 2);
  await settled();
  for (const client of [inChild, ...homes]) {
    expect(client.read()).toEqual([expect.stringMatching(/^debug!position news \d+$/), "news!a"]);
    expect(client.ending).toBeUndefined();
  }
});

test("after a crash while storage was full, no position is given again, and what is missing is named", async () => {
  const service = new Service();
  const reader = await service.connect("news", { since: "now" });
  const ann = await service.connect("home");
  await ann.ask("once k news stored");
  const stored = positionIn(reader.read()) + 1;
  service.takes = false;
  const [answer = ""] = await ann.ask("once k2 news lost");
  const lost = Number(answer.split(" ")[2]);
  for (const since of [stored, lost]) {
    service.crash("news");
    service.takes = since === lost;
    service.now += 1_000;
    const back = await service.connect("news", { since });
    const lines = back.read();
    expect(lines).toEqual([
      "debug!connected...",
      expect.stringMatching(new RegExp(`^debug!gap news ${since} \\d+$`)),
      expect.stringMatching(/^debug!position news \d+$/),
    ]);
    const [next = ""] = await ann.ask("once k3 news more");
    expect(Number(next.split(" ")[2])).not.toBe(lost);
  }
});
