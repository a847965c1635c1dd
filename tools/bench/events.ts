/** Performs each kind of event in isolation, and measures its cost. */
import { assert } from "../../src/assert.ts";
import { type Cost, each, minus, times } from "../../src/costs/cost.ts";
import type { Costs, MessageKind } from "../../src/costs/measured.ts";
import { TIME } from "../../test/conformance/case.ts";
import type { TestClient } from "../../test/e2e/support/test-client.ts";
import { type Meter, type Spent, totalOf } from "./meter.ts";

/** Seconds for which messages are retained: short, but long enough that no other alarm fires at the same time. */
export const RETENTION_SECONDS = 15;

/** When messages are announced. */
export interface Schedule {
  /** Resolves when lone messages are due. The objects have settled before. */
  beforeLone(): Promise<unknown>;
  /** Number of messages without a pause, after a first one. */
  quick: number;
  /** Resolves when the next of them is due; all subscribers have the previous one. */
  afterQuick(): Promise<unknown>;
  /** Number of messages with pauses in which the objects settle, but no alarm fires. */
  slow: number;
  /** Resolves when the next of them is due on a channel; all subscribers have the previous one. */
  afterSlow(channel: string, meter: Meter): Promise<unknown>;
}

/**
 * Measures each kind of event.
 * @param withoutHistory meters an unused runtime that retains no messages
 * @param withHistory meters an unused runtime that retains messages
 */
export async function measure(withoutHistory: Meter, withHistory: Meter, schedule: Schedule): Promise<Costs> {
  const [others, messages, retained] = [
    await connectionEvents(withoutHistory),
    await announceAll(withoutHistory, schedule),
    await announceAll(withHistory, schedule),
  ];
  return { ...others, ...messages, ...asRetained(retained) };
}

function asRetained(costs: Record<MessageKind, Cost>): Record<`${MessageKind}, retained`, Cost> {
  return {
    "a lone message to 10 subscribers, no links, retained": costs["a lone message to 10 subscribers, no links"],
    "a lone message from another object, retained": costs["a lone message from another object"],
    "a lone message by POST, retained": costs["a lone message by POST"],
    "a lone message, 1 link, retained": costs["a lone message, 1 link"],
    "a lone message, 10 links, retained": costs["a lone message, 10 links"],
    "one more message immediately after, 10 links, retained": costs["one more message immediately after, 10 links"],
    "a message every two seconds for a minute, 10 links, retained":
      costs["a message every two seconds for a minute, 10 links"],
  };
}

async function connectionEvents(meter: Meter) {
  let crowd: TestClient[] = [];
  // One object has two connections.
  const homes = [...names("home", 10), "home/0"];
  await meter.spent(async () => {
    crowd = await connectTo(meter, homes);
  });
  const [one, other] = [crowd[0], crowd[10]];
  assert(one !== undefined && other !== undefined, "all have connected");
  return {
    ...(await connectAndLeave(meter)),
    ...(await subscribeAndUnsubscribe(meter, one, other)),
    "`info`, with 10 objects in use": totalOf(await meter.spent(() => carriedOut(one, "info"))),
  };
}

function names(channel: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${channel}/${i}`);
}

function connectTo(meter: Meter, channels: string[]): Promise<TestClient[]> {
  return Promise.all(channels.map((channel) => meter.connect(`/${channel}`)));
}

/** Sends a command, and reads up to the reply to a `ping` in the same frame. */
async function carriedOut(subscriber: TestClient, command: string): Promise<void> {
  subscriber.send(`${command}\nping`);
  while (!TIME.test(await subscriber.line()));
}

async function connectAndLeave(meter: Meter) {
  const subscribers: TestClient[] = [];
  const connect = async () => subscribers.push(await meter.connect("/news"));
  const leave = async () => {
    for (const subscriber of subscribers.splice(0, 1)) meter.leave(subscriber);
  };
  return {
    "connecting to an unused channel": totalOf(await meter.spent(connect)),
    "connecting to a channel in use": totalOf(await meter.spent(connect)),
    "leaving a channel still in use": totalOf(await meter.spent(leave)),
    "leaving a channel as its last client": totalOf(await meter.spent(leave)),
  };
}

/** @param other another connection of the same object */
async function subscribeAndUnsubscribe(meter: Meter, one: TestClient, other: TestClient) {
  const spent = async (subscriber: TestClient, command: string) =>
    totalOf(await meter.spent(() => carriedOut(subscriber, command)));
  return {
    "an object's first subscription to another channel": await spent(one, "subscribe news"),
    "another subscription of that object": await spent(other, "subscribe news"),
    "unsubscribing while others stay subscribed": await spent(one, "unsubscribe news"),
    "an object's last unsubscribe": await spent(other, "unsubscribe news"),
  };
}

/** Announces messages of all kinds in parallel, because each takes ten seconds until an alarm; each has its own objects. */
async function announceAll(meter: Meter, schedule: Schedule): Promise<Record<MessageKind, Cost>> {
  const channels: TestChannel[] = [];
  await meter.spent(async () => {
    channels.push(await TestChannel.direct(meter, "alone"), await TestChannel.direct(meter, "afar", "afar/publisher"));
    channels.push(await TestChannel.posted(meter, "posted"));
    for (const [channel, links] of Object.entries({ one: 1, ten: 10, quick: 10, slow: 10 })) {
      channels.push(await TestChannel.linked(meter, channel, links));
    }
  });
  const spent = await meter.spent(() => Promise.all(channels.map((target) => announceIn(meter, target, schedule))));
  const lone = totalOf(spent, "ten");
  return {
    "a lone message to 10 subscribers, no links": totalOf(spent, "alone"),
    "a lone message from another object": totalOf(spent, "afar"),
    "a lone message by POST": totalOf(spent, "posted"),
    "a lone message, 1 link": totalOf(spent, "one"),
    "a lone message, 10 links": lone,
    "one more message immediately after, 10 links": furtherOf(spent, "quick", schedule.quick, lone),
    "a message every two seconds for a minute, 10 links": totalOf(spent, "slow"),
  };
}

/** Announces the messages of a test channel, whose name determines them. */
async function announceIn(
  meter: Meter,
  target: TestChannel,
  { beforeLone, quick, afterQuick, slow, afterSlow }: Schedule,
): Promise<void> {
  const { channel } = target;
  if (channel === "quick") await target.announce(1 + quick, afterQuick);
  else if (channel === "slow") await target.announce(slow, () => afterSlow(channel, meter));
  else {
    await beforeLone();
    await target.announce(1);
  }
}

/**
 * Returns the cost of each of several messages after a first one. If a pause on a busy machine let the objects settle,
 * the next message counts as another first one. One alarm covers all of them, and is not counted.
 */
function furtherOf(spent: Map<string, Spent>, channel: string, count: number, first: Cost): Cost {
  const root = spent.get(channel);
  assert(root !== undefined, "the channel's object has been used");
  const firsts = root.periods - (root.requests.alarm ?? 0);
  const further = minus(totalOf(spent, channel), times(firsts, first));
  const { alarm: _, ...requests } = further.requests;
  return each(1 + count - firsts, { ...further, requests });
}

/** Announces a message. */
type Publish = (text: string) => Promise<void>;

/** A channel with its subscribers and a publisher. */
class TestChannel {
  readonly channel: string;
  readonly #publish: Publish;
  readonly #subscribers: TestClient[];

  private constructor(channel: string, publisher: TestClient | Publish | undefined, subscribers: TestClient[]) {
    assert(publisher !== undefined, "a test channel has a publisher");
    this.channel = channel;
    this.#publish =
      publisher instanceof Function ? publisher : async (text) => publisher.send(`announce ${channel} ${text}`);
    this.#subscribers = subscribers;
  }

  /** Creates a test channel with ten subscribers connected to the channel; one of them publishes unless `publishedAt` is set. */
  static async direct(meter: Meter, channel: string, publishedAt?: string): Promise<TestChannel> {
    const subscribers = await connectTo(
      meter,
      Array.from({ length: 10 }, () => channel),
    );
    const publisher = publishedAt === undefined ? subscribers[0] : await meter.connect(`/${publishedAt}`);
    return new TestChannel(channel, publisher, subscribers);
  }

  /** Creates a test channel with ten subscribers connected to the channel, and a publisher without a connection. */
  static async posted(meter: Meter, channel: string): Promise<TestChannel> {
    const subscribers = await connectTo(
      meter,
      Array.from({ length: 10 }, () => channel),
    );
    return new TestChannel(channel, (text) => meter.post(channel, text), subscribers);
  }

  /** Creates a test channel with subscribers connected elsewhere, each to its own object, and a publisher. */
  static async linked(meter: Meter, channel: string, links: number): Promise<TestChannel> {
    const subscribers = await connectTo(meter, names(channel, links));
    for (const subscriber of subscribers) await carriedOut(subscriber, `subscribe ${channel}`);
    const publisher = await meter.connect(`/${channel}`);
    return new TestChannel(channel, publisher, [publisher, ...subscribers]);
  }

  /**
   * Announces messages; all subscribers receive each before the next is sent.
   * @param between awaited between messages
   */
  async announce(count: number, between: () => Promise<unknown> = async () => {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      if (i > 0) await between();
      await this.#publish(String(i));
      for (const subscriber of this.#subscribers) await subscriber.line();
    }
  }
}
