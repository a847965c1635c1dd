/** What readers get of lines that are gathered once for all of them, beside a model that hands each line to each. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Gathering } from "../../../src/session/line-buffer.ts";

const CHANNELS = ["a", "b", "c"];
const READERS = 4;

interface Reader {
  channels: Set<string>;
  /** What it has got, and what it should have. */
  got: string;
  expected: string;
}

type Act = { does: "publish" | "take" | "end" | "come" | "go"; reader: number; channel: string };

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.record({
    does: fc.constantFrom("publish", "publish", "publish", "take", "come", "go", "end"),
    reader: fc.nat(READERS - 1),
    channel: fc.constantFrom(...CHANNELS),
  }),
  { maxLength: 60 },
);

/** Carries out one act, with the lines that it is about. */
function act(
  gathering: Gathering<Reader>,
  readers: Reader[],
  { does, reader: i, channel }: Act,
  lines: string,
) {
  const on = (name: string) => new Set(readers.filter(({ channels }) => channels.has(name)));
  if (does === "publish") {
    gathering.publish(channel, lines);
    for (const each of on(channel)) each.expected += lines;
  } else if (does === "end") {
    for (const taker of gathering.takers) taker.got += gathering.take(taker);
    for (const share of gathering.end(on)) for (const each of share.readers) each.got += share.lines;
    expect(readers.map(({ got }) => got)).toEqual(readers.map(({ expected }) => expected));
    expect({ size: gathering.size, channels: [...gathering.channels] }).toEqual({ size: 0, channels: [] });
  } else comeOrGo(gathering, readers[i], does, channel);
}

/** Whoever comes or goes takes its part first. */
function comeOrGo(
  gathering: Gathering<Reader>,
  reader: Reader | undefined,
  does: Act["does"],
  channel: string,
) {
  if (!reader) throw new Error("there are as many readers");
  reader.got += gathering.take(reader);
  expect(reader.got).toBe(reader.expected);
  if (does === "come") reader.channels.add(channel);
  if (does === "go") reader.channels.delete(channel);
}

test("each reader gets the lines of its channels, in their order, whatever happens to others", () => {
  fc.assert(
    fc.property(acts, (all) => {
      const gathering = new Gathering<Reader>();
      const readers = Array.from({ length: READERS }, (_, i): Reader => {
        return { channels: new Set(CHANNELS.slice(0, i)), got: "", expected: "" };
      });
      for (const [i, each] of [...all, { does: "end", reader: 0, channel: "" } as const].entries()) {
        act(gathering, readers, each, `${i}\n`);
      }
    }),
  );
});

test("readers of the same channels share their lines, and no share is empty", () => {
  const reader = (...channels: string[]): Reader => ({ channels: new Set(channels), got: "", expected: "" });
  const readers = [reader("a"), reader("a", "b"), reader("b", "a"), reader("c"), reader("a")];
  const gathering = new Gathering<Reader>();
  for (const [i, channel] of ["a", "b", "a", "d"].entries()) gathering.publish(channel, `${i}\n`);
  const on = (name: string) => new Set(readers.filter(({ channels }) => channels.has(name)));
  const shares = [...gathering.end(on)].map((share) => ({ lines: share.lines, readers: [...share.readers] }));
  expect(shares).toEqual([
    { lines: "0\n2\n", readers: [readers[0], readers[4]] },
    { lines: "0\n1\n2\n", readers: [readers[1], readers[2]] },
  ]);
});

test("lines count once, however many readers they are for, and each part that nothing came between a little more", () => {
  const gathering = new Gathering<Reader>();
  for (let i = 0; i < 10; i++) gathering.publish("a", "123456789\n");
  expect(gathering.size).toBe(200);
});
