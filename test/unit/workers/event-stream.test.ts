/** Counting where a stream of events is. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatEvent, formatId, parseId } from "../../../src/protocol/events.ts";
import { EventStream } from "../../../src/workers/event-stream.ts";

/** Names, ids and data of events, in short. */
function inShort(events: string): string[] {
  return events
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => block.replace(/^event: (.*)\nid: (.*)\ndata: /, "$1 [$2] "));
}

test("an id is read as it was written, for as many channels, and nothing else is one", () => {
  const anyPositions = fc.array(fc.option(fc.maxSafeNat(), { nil: undefined }), { minLength: 1 });
  fc.assert(
    fc.property(anyPositions, (positions) => {
      expect(parseId(formatId(positions), positions.length)).toEqual(positions);
      expect(parseId(formatId(positions), positions.length + 1)).toBeUndefined();
    }),
  );
  for (const id of ["", "x", "1.", "-1", "1.5.x", "1e3"])
    expect(parseId(id, id.split(".").length)).toBeUndefined();
});

test("whatever a message is, its event has no other fields and no end within", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((text) => !text.includes("\n")),
      (message) => {
        const lines = formatEvent("news", message, "1").split(/\r\n|\r|\n/);
        expect(lines.slice(0, 2)).toEqual(["event: news", "id: 1"]);
        expect(lines.slice(-2)).toEqual(["", ""]);
        const data = lines.slice(2, -2);
        for (const line of data) expect(line.startsWith("data: ")).toBe(true);
        expect(data.map((line) => line.slice("data: ".length)).join("\r")).toBe(message);
      },
    ),
  );
});

test("a fresh stream asks where it is, and counts from there", () => {
  const stream = new EventStream(["news", "all"], undefined);
  expect([stream.from, stream.commands]).toEqual([{ since: "now" }, "subscribe all since now\nping\n"]);
  // What comes before it is told where it is was said before it began.
  expect(stream.read("debug!connected...\nall!early\ndebug!position news 7\n").split("\n\n")).toHaveLength(3);
  expect(inShort(stream.read("debug!position all 3\nnews!a\nall!b\n1795438800\nnews!c\n"))).toEqual([
    "debug [7.3] position all 3",
    "news [8.3] a",
    "all [8.4] b",
    "news [9.4] c",
  ]);
});

test("a stream that comes back says when all that was missed has come, and whether it is all", () => {
  const complete = new EventStream(["news", "all"], [7, 3]);
  expect([complete.from, complete.commands]).toEqual([
    { since: 7 },
    "unsubscribe all\nsubscribe all since 3\nping\n",
  ]);
  complete.read("debug!connected...\ndebug!position news 7\nnews!a\ndebug!position all 3\n");
  expect(inShort(complete.read("1795438800\n"))).toEqual(["debug [8.3] resumed complete"]);
  const gap = new EventStream(["news", "all"], [7, 3]);
  expect(inShort(gap.read("debug!gap news 7 9\ndebug!position news 9\ndebug!position all 3\n1\n"))).toEqual([
    "debug [7.3] gap news 7 9",
    "debug [9.3] position news 9",
    "debug [9.3] position all 3",
    "debug [9.3] resumed gap",
  ]);
  expect(inShort(new EventStream(["all"], [undefined]).read("debug!position all 3\n1\n")).at(-1)).toBe(
    "debug [3] resumed gap",
  );
});

test("where `all` cannot be had it is asked for again, from where it was; without another channel there is no stream", () => {
  const stream = new EventStream(["news", "all"], [7, 3]);
  stream.read("debug!position news 7\ndebug!error unavailable subscribe all: it failed; try again\n");
  expect(inShort(stream.read("1\nnews!a\nall!nobody asked for this\n"))).toEqual(["news [8.3] a"]);
  expect(stream.fault).toBeUndefined();
  expect(stream.again()).toBe("unsubscribe all\nsubscribe all since 3\nping\n");
  expect(stream.again()).toBe("");
  expect(inShort(stream.read("debug!position all 3\nall!b\n2\n"))).toEqual([
    "debug [8.3] position all 3",
    "all [8.4] b",
    "debug [8.4] resumed complete",
  ]);
  const other = new EventStream(["news", "all"], [7, 3]);
  other.read("debug!error unavailable subscribe news: it failed; try again\n");
  expect(other.fault).toMatchObject({ code: "unavailable", why: "it failed; try again" });
});

test("a position that the server tells unasked is that of the next event", () => {
  const stream = new EventStream(["news", "all"], undefined);
  stream.read("debug!connected...\ndebug!position news 7\ndebug!position all 3\n1\n");
  expect(inShort(stream.read("news!a\ndebug!position news 900\nnews!b\nall!c\n"))).toEqual([
    "news [8.3] a",
    "debug [900.3] position news 900",
    "news [901.3] b",
    "all [901.4] c",
  ]);
});

test("where nothing is kept, or an old version answers, messages come without a position", () => {
  const stream = new EventStream(["news", "all"], undefined);
  stream.read(
    "debug!error no-history subscribe news: this channel retains no messages\ndebug!position all 3\n",
  );
  expect(inShort(stream.read("news!a\n"))).toEqual(["news [-.3] a"]);
  const old = new EventStream(["news", "all"], undefined);
  expect(inShort(old.read("debug!connected...\nnews!early\n1\nnews!a\n"))).toEqual([
    "debug [-.-] connected...",
    "news [-.-] a",
  ]);
});
