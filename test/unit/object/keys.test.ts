/** Idempotency keys: a message is announced once, and another message with the same key is rejected. */
import { describe, expect, test } from "vitest";
import { settled } from "../settled.ts";
import { Service } from "./service.ts";

const CONFLICT = "this key was used for another message on this channel";

describe.each([
  ["at the channel's own object", "news"],
  ["at another object", "home"],
])("a message with a key that was used for another one, %s,", (_, home) => {
  test("is rejected, and its neighbors are announced", async () => {
    const service = new Service();
    const reader = await service.connect("news", { since: "now" });
    const ann = await service.connect(home);
    const [position = ""] = reader.read().filter((line) => line.startsWith("debug!position"));
    const first = Number(position.split(" ")[2]) + 1;
    expect(await ann.ask("unsubscribe news", "once k news a", "ping")).toEqual([`debug!once k ${first}`, "1000"]);
    expect(await ann.ask("once k2 news b", "once k news b", "once k news a", "once k3 news c", "ping")).toEqual([
      `debug!once k2 ${first + 1}`,
      `debug!error conflict once k: ${CONFLICT}`,
      `debug!once k ${first}`,
      `debug!once k3 ${first + 2}`,
      "1000",
    ]);
    expect(reader.read()).toEqual(["news!a", "news!b", "news!c"]);
  });

  test("is also rejected in the same frame, after hibernation, and after a crash", async () => {
    const service = new Service();
    const ann = await service.connect(home);
    const [first = "", ...others] = await ann.ask("once k news a", "once k news b", "once k news a");
    expect(first).toBe(home === "news" ? "news!a" : first);
    expect([first, ...others].slice(home === "news" ? 1 : 0)).toEqual([
      expect.stringMatching(/^debug!once k \d+$/),
      `debug!error conflict once k: ${CONFLICT}`,
      expect.stringMatching(/^debug!once k \d+$/),
    ]);
    service.hibernate("news");
    expect(await ann.ask("once k news b")).toEqual([`debug!error conflict once k: ${CONFLICT}`]);
    service.crash("news");
    const bob = await service.connect("elsewhere");
    expect(await bob.ask("once k news b")).toEqual([`debug!error conflict once k: ${CONFLICT}`]);
    expect(await bob.ask("once k news a")).toMatchObject([expect.stringMatching(/^debug!once k \d+$/)]);
  });
});

test("if two objects forward different messages with one key, one is announced and the other is rejected", async () => {
  const service = new Service();
  const reader = await service.connect("news");
  const homes = [await service.connect("one"), await service.connect("two")];
  reader.read();
  const answers = homes.map((home, i) => home.ask(`once k news ${i}`));
  expect((await Promise.all(answers)).flat().sort()).toEqual([
    `debug!error conflict once k: ${CONFLICT}`,
    expect.stringMatching(/^debug!once k \d+$/),
  ]);
  await settled();
  expect(reader.read()).toHaveLength(1);
});

test("for messages that a Worker announces together, all lines have to match", async () => {
  const broker = new Service().broker("news");
  const announce = (lines: string, key?: string) =>
    broker.called("announce", { lines, count: lines.split("\n").length - 1, key }, 2);
  const first = await announce("news!a\nnews!b\n", "k");
  expect(await announce("news!a\nnews!b\n", "k")).toEqual(first);
  for (const other of ["news!a\n", "news!b\n", "news!a\nnews!b\nnews!c\n", "news!b\nnews!a\n"]) {
    expect(await announce(other, "k")).toEqual({ conflict: true });
  }
  // The same holds for messages that another object forwards.
  const forward = (number: number, line: string) =>
    broker.called("forward", { from: "home", number, count: 1, lines: line, keys: ["k"] }, 2);
  expect(await forward(1, "news!b\n")).toMatchObject({ positions: [undefined] });
  expect(await announce("news!c\n", "k2")).toMatchObject({ last: expect.any(Number) });
  expect(await announce("news!d\n")).toMatchObject({ last: expect.any(Number) });
});

test("a message with a key is rejected if it is longer than the history", async () => {
  const service = new Service({ HISTORY_BYTES: "40" });
  const ann = await service.connect("home");
  const why = "messages with a key have at most 40 bytes in total, as the channel retains them to detect repeats";
  expect(await ann.ask(`once k news ${"x".repeat(17)}`)).toMatchObject(
    [/^debug!once k/].map((line) => expect.stringMatching(line)),
  );
  expect(await ann.ask(`once k2 news ${"x".repeat(18)}`)).toEqual([`debug!error limit once k2: ${why}`]);
});
