/** Performs each kind of event by itself, and tells what it costs. */
import { assert } from "../../src/assert.ts";
import { TIME } from "../../test/conformance/case.ts";
import type { Listener } from "../../test/e2e/support/listener.ts";
import { type Cost, each, minus, times } from "./cost.ts";
import { type Meter, type Spent, totalOf } from "./meter.ts";

/** Kinds of events. Before each the objects that it concerns have been left in peace until they had settled. */
export type Kind =
  | "connecting to a channel that nobody uses"
  | "connecting to a channel in use"
  | "leaving it to others"
  | "leaving it, as the last one"
  | "subscribing to another channel, as the first of an object"
  | "subscribing, as one more of that object"
  | "unsubscribing, as one of several"
  | "unsubscribing, as the last one"
  | "`info`, with 10 objects in use"
  | Saying
  | `${Saying}, kept`;

/** Messages; `kept` where history is. */
export type Saying =
  | "a lone message to 10 listeners, no links"
  | "the same from another object"
  | "a lone message, 1 link"
  | "a lone message, 10 links"
  | "one more message at once, 10 links"
  | "one each two seconds for a minute, 10 links";

export type Costs = Record<Kind, Cost>;

/** Seconds for which messages are kept: so few that it does not take long, but no other alarm goes off just then. */
export const KEPT_FOR = 15;

/** What is said when. */
export interface Course {
  /** Ends when lone messages are due, to objects that have settled before. */
  beforeLone(): Promise<unknown>;
  /** Messages without a pause, after a first one. */
  quick: number;
  /** Ends when the next of them is due; everybody has the one before. */
  afterQuick(): Promise<unknown>;
  /** Messages with pauses in which the objects settle, but their alarms do not go off. */
  slow: number;
  /** Ends when the next of them is due, on a channel; everybody has the one before. */
  afterSlow(channel: string, meter: Meter): Promise<unknown>;
}

/**
 * Measures each kind of event.
 * @param forgetful of a runtime that nobody has used, and that keeps no history
 * @param keeping the same of one that keeps some
 */
export async function measure(forgetful: Meter, keeping: Meter, course: Course): Promise<Costs> {
  const [others, said, kept] = [
    await comingAndGoing(forgetful),
    await announcing(forgetful, course),
    await announcing(keeping, course),
  ];
  return { ...others, ...said, ...marked(kept) };
}

function marked(costs: Record<Saying, Cost>): Record<`${Saying}, kept`, Cost> {
  return {
    "a lone message to 10 listeners, no links, kept": costs["a lone message to 10 listeners, no links"],
    "the same from another object, kept": costs["the same from another object"],
    "a lone message, 1 link, kept": costs["a lone message, 1 link"],
    "a lone message, 10 links, kept": costs["a lone message, 10 links"],
    "one more message at once, 10 links, kept": costs["one more message at once, 10 links"],
    "one each two seconds for a minute, 10 links, kept": costs["one each two seconds for a minute, 10 links"],
  };
}

async function comingAndGoing(meter: Meter) {
  let crowd: Listener[] = [];
  // One object has two connections.
  const homes = [...names("home", 10), "home/0"];
  await meter.spent(async () => {
    crowd = await connectTo(meter, homes);
  });
  const [one, other] = [crowd[0], crowd[10]];
  assert(one !== undefined && other !== undefined, "everybody has connected");
  return {
    ...(await coming(meter)),
    ...(await subscribing(meter, one, other)),
    "`info`, with 10 objects in use": totalOf(await meter.spent(() => carriedOut(one, "info"))),
  };
}

function names(channel: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${channel}/${i}`);
}

function connectTo(meter: Meter, channels: string[]): Promise<Listener[]> {
  return Promise.all(channels.map((channel) => meter.connect(`/${channel}`)));
}

/** Says something, and reads up to the answer to a `ping` in the same frame. */
async function carriedOut(listener: Listener, command: string): Promise<void> {
  listener.say(`${command}\nping`);
  while (!TIME.test(await listener.line()));
}

async function coming(meter: Meter) {
  const listeners: Listener[] = [];
  const connect = async () => listeners.push(await meter.connect("/news"));
  const leave = async () => {
    for (const listener of listeners.splice(0, 1)) meter.leave(listener);
  };
  return {
    "connecting to a channel that nobody uses": totalOf(await meter.spent(connect)),
    "connecting to a channel in use": totalOf(await meter.spent(connect)),
    "leaving it to others": totalOf(await meter.spent(leave)),
    "leaving it, as the last one": totalOf(await meter.spent(leave)),
  };
}

/** @param other of the same object */
async function subscribing(meter: Meter, one: Listener, other: Listener) {
  const spent = async (listener: Listener, command: string) =>
    totalOf(await meter.spent(() => carriedOut(listener, command)));
  return {
    "subscribing to another channel, as the first of an object": await spent(one, "subscribe news"),
    "subscribing, as one more of that object": await spent(other, "subscribe news"),
    "unsubscribing, as one of several": await spent(one, "unsubscribe news"),
    "unsubscribing, as the last one": await spent(other, "unsubscribe news"),
  };
}

/** Messages of all kinds at one time, as each takes the ten seconds until an alarm; each has objects of its own. */
async function announcing(meter: Meter, course: Course): Promise<Record<Saying, Cost>> {
  const rooms: Room[] = [];
  await meter.spent(async () => {
    rooms.push(await Room.direct(meter, "alone"), await Room.direct(meter, "afar", "afar/publisher"));
    for (const [channel, links] of Object.entries({ one: 1, ten: 10, quick: 10, slow: 10 })) {
      rooms.push(await Room.linked(meter, channel, links));
    }
  });
  const spent = await meter.spent(() => Promise.all(rooms.map((room) => talk(meter, room, course))));
  const lone = totalOf(spent, "ten");
  return {
    "a lone message to 10 listeners, no links": totalOf(spent, "alone"),
    "the same from another object": totalOf(spent, "afar"),
    "a lone message, 1 link": totalOf(spent, "one"),
    "a lone message, 10 links": lone,
    "one more message at once, 10 links": furtherOf(spent, "quick", course.quick, lone),
    "one each two seconds for a minute, 10 links": totalOf(spent, "slow"),
  };
}

/** Announces what there is to say in a room, which its name tells. */
async function talk(
  meter: Meter,
  room: Room,
  { beforeLone, quick, afterQuick, slow, afterSlow }: Course,
): Promise<void> {
  const { channel } = room;
  if (channel === "quick") await room.announce(1 + quick, afterQuick);
  else if (channel === "slow") await room.announce(slow, () => afterSlow(channel, meter));
  else {
    await beforeLone();
    await room.announce(1);
  }
}

/**
 * What each of so many messages cost that came after a first one. Where a busy machine has made a pause in which
 * the objects settled, there was another first one. One alarm goes with all.
 */
function furtherOf(spent: Map<string, Spent>, channel: string, count: number, first: Cost): Cost {
  const root = spent.get(channel);
  assert(root !== undefined, "the channel's object has been used");
  const firsts = root.periods - (root.requests.alarm ?? 0);
  const further = minus(totalOf(spent, channel), times(firsts, first));
  const { alarm: _, ...requests } = further.requests;
  return each(1 + count - firsts, { ...further, requests });
}

/** A channel with those who hear it, and one who announces there. */
class Room {
  readonly channel: string;
  readonly #publisher: Listener;
  readonly #listeners: Listener[];

  private constructor(channel: string, publisher: Listener | undefined, listeners: Listener[]) {
    assert(publisher !== undefined, "somebody announces");
    this.channel = channel;
    this.#publisher = publisher;
    this.#listeners = listeners;
  }

  /** Ten listeners that are all connected to it; one of them announces unless somebody else does. */
  static async direct(meter: Meter, channel: string, publishedAt?: string): Promise<Room> {
    const listeners = await connectTo(
      meter,
      Array.from({ length: 10 }, () => channel),
    );
    const publisher = publishedAt === undefined ? listeners[0] : await meter.connect(`/${publishedAt}`);
    return new Room(channel, publisher, listeners);
  }

  /** Listeners that are connected elsewhere, each to an object of its own, and one that announces. */
  static async linked(meter: Meter, channel: string, links: number): Promise<Room> {
    const listeners = await connectTo(meter, names(channel, links));
    for (const listener of listeners) await carriedOut(listener, `subscribe ${channel}`);
    const publisher = await meter.connect(`/${channel}`);
    return new Room(channel, publisher, [publisher, ...listeners]);
  }

  /**
   * Announces messages; each is heard by everyone before the next.
   * @param between waited for in between
   */
  async announce(count: number, between: () => Promise<unknown> = async () => {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      if (i > 0) await between();
      this.#publisher.say(`announce ${this.channel} ${i}`);
      for (const listener of this.#listeners) await listener.line();
    }
  }
}
