/** Checks shared lines against a model that hands each line to each subscriber. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LineBuffer } from "../../../src/session/line-buffer.ts";

const CHANNELS = ["a", "b", "c"];
const SUBSCRIBERS = 4;

interface Subscriber {
  channels: Set<string>;
  received: string;
  expected: string;
}

type Act = {
  does: "publish" | "take" | "end" | "subscribe" | "unsubscribe";
  subscriber: number;
  channel: string;
};

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.record({
    does: fc.constantFrom("publish", "publish", "publish", "take", "subscribe", "unsubscribe", "end"),
    subscriber: fc.nat(SUBSCRIBERS - 1),
    channel: fc.constantFrom(...CHANNELS),
  }),
  { maxLength: 60 },
);

/** Performs one act; `lines` are what it publishes. */
function act(
  buffer: LineBuffer<Subscriber>,
  subscribers: Subscriber[],
  { does, subscriber: i, channel }: Act,
  lines: string,
) {
  const on = (name: string) => new Set(subscribers.filter(({ channels }) => channels.has(name)));
  if (does === "publish") {
    buffer.append(channel, lines);
    for (const each of on(channel)) each.expected += lines;
  } else if (does === "end") {
    for (const taker of buffer.takers) taker.received += buffer.take(taker);
    for (const share of buffer.end(on)) for (const each of share.subscribers) each.received += share.lines;
    expect(subscribers.map(({ received }) => received)).toEqual(subscribers.map(({ expected }) => expected));
    expect({ size: buffer.size, channels: [...buffer.channels] }).toEqual({ size: 0, channels: [] });
  } else change(buffer, subscribers[i], does, channel);
}

/** Has a subscriber take its lines before its channels change. */
function change(
  buffer: LineBuffer<Subscriber>,
  subscriber: Subscriber | undefined,
  does: Act["does"],
  channel: string,
) {
  if (!subscriber) throw new Error("the subscriber doesn't exist");
  subscriber.received += buffer.take(subscriber);
  expect(subscriber.received).toBe(subscriber.expected);
  if (does === "subscribe") subscriber.channels.add(channel);
  if (does === "unsubscribe") subscriber.channels.delete(channel);
}

test("each subscriber gets the lines of its channels in order, whatever happens to others", () => {
  fc.assert(
    fc.property(acts, (all) => {
      const buffer = new LineBuffer<Subscriber>();
      const subscribers = Array.from({ length: SUBSCRIBERS }, (_, i): Subscriber => {
        return { channels: new Set(CHANNELS.slice(0, i)), received: "", expected: "" };
      });
      for (const [i, each] of [...all, { does: "end", subscriber: 0, channel: "" } as const].entries()) {
        act(buffer, subscribers, each, `${i}\n`);
      }
    }),
  );
});

test("subscribers of the same channels share their lines, and no share is empty", () => {
  const subscriber = (...channels: string[]): Subscriber => ({
    channels: new Set(channels),
    received: "",
    expected: "",
  });
  const subscribers = [subscriber("a"), subscriber("a", "b"), subscriber("b", "a"), subscriber("c"), subscriber("a")];
  const buffer = new LineBuffer<Subscriber>();
  for (const [i, channel] of ["a", "b", "a", "d"].entries()) buffer.append(channel, `${i}\n`);
  const on = (name: string) => new Set(subscribers.filter(({ channels }) => channels.has(name)));
  const shares = [...buffer.end(on)].map((share) => ({
    lines: share.lines,
    subscribers: [...share.subscribers],
  }));
  expect(shares).toEqual([
    { lines: "0\n2\n", subscribers: [subscribers[0], subscribers[4]] },
    { lines: "0\n1\n2\n", subscribers: [subscribers[1], subscribers[2]] },
  ]);
});

test("each line counts once, plus an overhead per segment", () => {
  const buffer = new LineBuffer<Subscriber>();
  for (let i = 0; i < 10; i++) buffer.append("a", "123456789\n");
  expect(buffer.size).toBe(200);
});

test("subscribers that take the same lines don't join them again, however many lines of others are between them", () => {
  let lookups = 0;
  class Counted extends Set<string> {
    override has(channel: string): boolean {
      lookups += 1;
      return super.has(channel);
    }
  }
  const subscribers = Array.from({ length: 10 }, () => ({ channels: new Counted(["a"]) }));
  const publisher = { channels: new Set(["a"]) };
  const buffer = new LineBuffer<{ channels: ReadonlySet<string> }>();
  for (let i = 0; i < 1_000; i++) {
    buffer.append("a", `a!${i}\n`);
    // The publisher receives a reply here.
    expect(buffer.take(publisher)).toBe(`a!${i}\n`);
  }
  const taken = new Set(subscribers.map((subscriber) => buffer.take(subscriber)));
  expect([taken.size, [...taken][0]?.split("\n").length]).toEqual([1, 1_001]);
  expect(lookups).toBeLessThan(1_100);
});

test("an empty buffer has nothing for anyone", () => {
  const subscribers = new Set([{ channels: new Set(["a"]) }]);
  expect([...new LineBuffer<{ channels: ReadonlySet<string> }>().end(() => subscribers)]).toEqual([]);
});
