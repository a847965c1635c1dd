/** The lines that clients get when storage refuses rows. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { Service } from "./service.ts";

/** Returns the position in the only `position` line. */
function positionIn(lines: string[]): number {
  const [line = "", ...more] = lines.filter((each) => each.startsWith("debug!position"));
  expect(more).toEqual([]);
  return Number(line.split(" ")[2]);
}

test("clients that count positions get the new one before messages that storage refuses; others get only messages", async () => {
  const service = new Service();
  const counting = await service.connect("news", { since: "now" });
  const remote = await service.connect("home");
  const other = await service.connect("news");
  const remoteOther = await service.connect("home");
  const announcing = await service.connect("news");
  await remoteOther.ask("subscribe news");
  const first = positionIn(counting.read());
  expect(positionIn(await remote.ask("subscribe news since now", "ping"))).toBe(first);
  await announcing.ask("once k news 0");
  for (const client of [counting, remote, other, remoteOther, announcing]) client.read();
  service.accepts = false;
  // In one frame: stored and refused messages are separated, and other lines stay in place.
  const lines = await counting.ask(
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
  expect([remote.read(), announcing.read()]).toEqual([counted, counted]);
  expect([other.read(), remoteOther.read()]).toEqual([counted.slice(1), counted.slice(1)]);
  // Positions continue from there.
  expect(await remote.ask("once k2 news 4", "ping")).toEqual(["news!4", `debug!once k2 ${position + 4}`, "1000"]);
  expect(await remote.ask("subscribe news since now")).toEqual([`debug!position news ${position + 4}`]);
  expect([other.closed, remoteOther.closed, counting.closed]).toEqual([undefined, undefined, undefined]);
});

test("replies have the new positions of messages", async () => {
  const service = new Service();
  const reader = await service.connect("news", { since: "now" });
  const ann = await service.connect("home");
  const first = positionIn(reader.read());
  service.accepts = false;
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

test("a client counts positions after hibernation too, but not in a channel that it has left", async () => {
  const service = new Service();
  const [counting, left] = [
    await service.connect("news", { since: "now" }),
    await service.connect("news", { since: "now" }),
  ];
  await left.ask("unsubscribe news", "subscribe news");
  counting.read();
  service.hibernate("news");
  service.accepts = false;
  const lines = await counting.ask("announce news a");
  expect(lines).toEqual([expect.stringMatching(/^debug!position news \d+$/), "news!a"]);
  expect(left.read()).toEqual(["news!a"]);
});

test("a child passes new positions on to its connections and links", async () => {
  const service = new Service({ SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" });
  await service.connect("news");
  const inChild = await service.connect("news!1");
  const homes = [await service.connect("one"), await service.connect("two")];
  for (const home of homes) await home.ask("subscribe news since now");
  await inChild.ask("subscribe news since now");
  service.accepts = false;
  await service.broker("news").called("announce", { lines: "news!a\n", count: 1 }, 2);
  await settled();
  for (const client of [inChild, ...homes]) {
    expect(client.read()).toEqual([expect.stringMatching(/^debug!position news \d+$/), "news!a"]);
    expect(client.closed).toBeUndefined();
  }
});

test("after a crash while storage was full, no position is assigned again, and clients get gaps", {
  tags: ["full-storage"],
}, async () => {
  const service = new Service();
  const reader = await service.connect("news", { since: "now" });
  const ann = await service.connect("home");
  await ann.ask("once k news stored");
  const stored = positionIn(reader.read()) + 1;
  service.accepts = false;
  const [answer = ""] = await ann.ask("once k2 news lost");
  const lost = Number(answer.split(" ")[2]);
  for (const since of [stored, lost]) {
    service.crash("news");
    service.accepts = since === lost;
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

const REFUSED = /takes no more rows; try again$/;

test.each<{ line: string; attempts: number; calls?: Record<string, number>; reply?: RegExp }>([
  { line: "ping", attempts: 0, reply: /^1000$/ },
  { line: "subscribe news", attempts: 0 },
  { line: "unsubscribe all", attempts: 0 },
  { line: "leave news", attempts: 0 },
  { line: "announce news x", attempts: 1, calls: { forward: 1, deliver: 1 } },
  { line: "once k news x", attempts: 1, calls: { forward: 1, deliver: 1 }, reply: /^debug!once k \d+$/ },
  { line: "announce other x", attempts: 1, calls: { forward: 1 } },
  { line: "subscribe other", attempts: 1, reply: REFUSED },
  { line: "subscribe other last 1", attempts: 1, reply: REFUSED },
  { line: "enter news ann", attempts: 1, reply: REFUSED },
  { line: "members news", attempts: 1, calls: { members: 1 }, reply: /^debug!members news \d+ 0$/ },
])("'$line' tries $attempts rows of a full storage, and doesn't repeat calls", async (expected) => {
  const { line, attempts, calls = {}, reply } = expected;
  const service = new Service();
  const client = await service.connect("home");
  await (await service.connect("home")).ask("subscribe news", "announce news before");
  service.accepts = false;
  service.attempts = 0;
  service.calls.clear();
  expect(await client.ask(line)).toEqual(reply ? [expect.stringMatching(reply)] : []);
  expect({ attempts: service.attempts, calls: Object.fromEntries(service.calls) }).toEqual({ attempts, calls });
});
