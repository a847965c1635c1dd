/** For how long a root retains messages, keys and positions, through sleep and crashes, and what it leaves in storage. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { properties } from "../../simulation/object.ts";
import { ALL, FAR, linesOf, rootOf, rowsOf } from "../tree/root.ts";

/** How long messages are retained, in milliseconds. */
const RETENTION = 120_000;

/** A root over several lives, with its alarm, and connections that count. */
class Channel {
  readonly rows = new Map<string, unknown>();
  now = 1_000_000;
  written = 0;
  /** When its alarm goes off, in milliseconds. */
  alarm = Number.POSITIVE_INFINITY;
  alarms = 0;
  isCounted = false;
  #life = this.#wake();

  #wake() {
    return rootOf(this.rows, FAR, undefined, this.now);
  }

  /** Has something done, and notes what it wrote and for when it has set the alarm. */
  do<T>(act: (life: ReturnType<typeof rootOf>) => T): T {
    const life = this.#life;
    life.state.now = this.now;
    const before = life.state.written;
    const outcome = act(life);
    this.written += life.state.written - before;
    for (const time of life.state.until.splice(0)) if (time < this.alarm) this.#setAlarm(time);
    return outcome;
  }

  #setAlarm(time: number): void {
    this.alarm = time;
    this.alarms += 1;
  }

  announce(text: string, key?: string): number {
    return this.do(({ tell }) => tell(text, key));
  }

  /** The position, as a client gets it that asks. */
  locate(): number | undefined {
    return this.do(({ root }) => root.locate());
  }

  get retained(): string {
    return this.do(({ root }) =>
      linesOf(root.readMissed({ since: undefined, last: Number.MAX_SAFE_INTEGER })),
    );
  }

  /** The texts that are in storage, retained or not. */
  get texts(): string[] {
    return [...this.rows.values()].flatMap((row) => String(properties(row).lines).split("\n"));
  }

  /** Leaves memory, after it has settled, and comes back. */
  sleep(): void {
    this.do(({ root }) => root.settle(this.isCounted));
    this.#life = this.#wake();
  }

  /** Leaves memory at once, and connections end. */
  crash(): void {
    this.#life = this.#wake();
    if (this.isCounted) this.do(({ root }) => root.history?.retainPosition());
    this.isCounted = false;
  }

  leave(): void {
    if (this.isCounted) this.do(({ root }) => root.history?.retainPosition());
    this.isCounted = false;
  }

  /** Time passes, in milliseconds, and the alarm goes off in another life when it is due. */
  wait(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.alarm <= end) {
      this.now = Math.max(this.now, this.alarm);
      this.alarm = Number.POSITIVE_INFINITY;
      this.#life = this.#wake();
      this.do(({ root }) => root.expire(this.isCounted));
    }
    this.now = end;
  }
}

test("messages that a root announces between sleeps are over when each one's own time is", () => {
  const channel = new Channel();
  for (let i = 0; i < 30; i++) {
    channel.announce(String(i));
    channel.sleep();
    channel.wait(10_000);
  }
  // The one that was announced 120 seconds ago is over.
  expect(channel.retained).toBe([...Array(11)].map((_, i) => `${19 + i}\n`).join(""));
});

test("a message of a row is over before others in it are, in memory and for the next life", () => {
  const channel = new Channel();
  channel.announce("a", "key");
  channel.wait(14_000);
  channel.announce("b");
  expect(rowsOf(channel.rows)).toHaveLength(1);
  channel.wait(RETENTION - 14_001);
  expect(channel.retained).toBe("a\nb\n");
  channel.wait(1);
  for (const act of [() => {}, () => channel.sleep()]) {
    act();
    expect(channel.retained).toBe("b\n");
    expect(channel.do(({ root }) => root.history?.announcedUnder("key"))).toBeUndefined();
  }
});

test("what links have yet to get is not retained for longer by that", () => {
  const { root, state, tell } = rootOf();
  root.link({ from: "home", epoch: 1 });
  tell("a");
  state.now += RETENTION;
  tell("b");
  expect(linesOf(root.readMissed(ALL))).toBe("b\n");
});

test("a position is there for the retention time after it was told last, or after a client that counts has left", () => {
  const channel = new Channel();
  const position = channel.announce("a");
  channel.isCounted = true;
  channel.wait(100 * RETENTION);
  channel.sleep();
  channel.wait(RETENTION);
  channel.leave();
  channel.sleep();
  channel.wait(RETENTION - 1);
  channel.sleep();
  expect(channel.locate()).toBe(position);
  channel.wait(RETENTION - 1);
  channel.sleep();
  expect(channel.locate()).toBe(position);
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

test("a client that a crash has disconnected after a long silence finds its position", () => {
  const channel = new Channel();
  const position = channel.announce("a");
  channel.isCounted = true;
  channel.wait(50 * RETENTION);
  channel.crash();
  channel.wait(RETENTION - 1);
  channel.sleep();
  expect(channel.locate()).toBe(position);
});

test("a lone message takes a row and an alarm, and one row to delete it", () => {
  const channel = new Channel();
  channel.announce("a");
  channel.sleep();
  channel.wait(10 * RETENTION);
  expect([channel.written, channel.alarms, channel.rows.size]).toEqual([2, 1, 0]);
});

test("where clients count, the text of a message leaves storage, and one row stays", () => {
  const channel = new Channel();
  for (const text of ["a", "b", "c"]) {
    channel.announce(text);
    channel.isCounted = true;
    channel.sleep();
    channel.wait(20_000);
  }
  const position = channel.locate();
  channel.wait(3.25 * RETENTION);
  expect([...channel.rows.values()]).toMatchObject([{ after: position, lines: "" }]);
  const { written, alarms } = channel;
  channel.wait(100 * RETENTION);
  channel.sleep();
  expect([channel.written, channel.alarms]).toEqual([written, alarms]);
});

test("questions about a quiet channel take a row in each retention time at most", () => {
  const channel = new Channel();
  for (let i = 0; i < 100; i++) {
    channel.locate();
    channel.sleep();
    channel.wait(RETENTION / 10);
  }
  expect(channel.written).toBeLessThanOrEqual(11);
  expect(channel.alarms).toBeLessThanOrEqual(6);
});

test("messages one after another have one alarm in two retention times, and leave no text for long", () => {
  const channel = new Channel();
  for (let i = 0; i < 200; i++) {
    channel.announce(`${i};`);
    channel.wait(10_000);
    expect(channel.texts).not.toContain(`${i - 42};`);
  }
  expect(channel.alarms).toBeLessThanOrEqual(200 / 24 + 1);
});

test("a burst of rows is deleted when messages go on as a trickle, and none of its text stays for long", () => {
  const channel = new Channel();
  for (let i = 0; i < 20; i++) channel.announce(`burst${"x".repeat(4_096)}`);
  expect(rowsOf(channel.rows)).toHaveLength(20);
  channel.isCounted = true;
  for (let waited = 0; waited < 3.375 * RETENTION; waited += RETENTION / 3) {
    channel.wait(RETENTION / 3);
    channel.announce("trickle");
    channel.sleep();
  }
  expect(channel.texts.filter((text) => text.startsWith("burst"))).toEqual([]);
  expect(rowsOf(channel.rows).length).toBeLessThanOrEqual(4);
  // In the end one row is left, without text.
  channel.wait(4 * RETENTION);
  expect([...channel.rows.values()]).toMatchObject([{ lines: "" }]);
});

test.each([
  ["a moment", 1_000],
  ["a day", 86_400_000],
])("a clock that goes back by %s has nothing retained for more than twice the time", (_, back) => {
  const channel = new Channel();
  channel.announce("a");
  channel.now -= back;
  channel.sleep();
  channel.announce("b");
  expect(channel.retained.endsWith("b\n")).toBe(true);
  channel.wait(2 * RETENTION);
  expect(channel.retained).toBe("");
  channel.sleep();
  expect(channel.retained).toBe("");
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

test("a row from the future neither stays for ever nor counts", () => {
  const channel = new Channel();
  const row = { after: 5, counts: [1], times: [9_000_000_000_000], lines: "a\n", keys: [["key", 6, 1]] };
  channel.rows.set("history:0", row);
  channel.sleep();
  expect(channel.retained).toBe("");
  expect(channel.do(({ root }) => root.history?.announcedUnder("key"))).toBeUndefined();
  expect(channel.locate()).toBe(6);
  channel.sleep();
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

/** What happens to a channel. */
const events = fc.oneof(
  fc.record({ kind: fc.constant("announce" as const), isKeyed: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), milliseconds: fc.integer({ min: 1, max: 30_000 }) }),
  fc.record({ kind: fc.constant("wait" as const), milliseconds: fc.integer({ min: 1, max: 3 * RETENTION }) }),
  fc.record({ kind: fc.constantFrom("ask", "come", "leave", "sleep", "crash") }),
);

/** What is to be found of a channel: its newest position, since when nobody counts on it, and its messages. */
interface Expected {
  position: number | undefined;
  toldAt: number;
  messages: { text: string; key: string; at: number; position: number }[];
}

function happen(
  channel: Channel,
  expected: Expected,
  event: typeof events extends fc.Arbitrary<infer T> ? T : never,
) {
  const counts = channel.isCounted;
  switch (event.kind) {
    case "announce": {
      const text = `${expected.messages.length};`;
      const position = channel.announce(text, event.isKeyed ? text : undefined);
      expected.messages.push({ text, key: event.isKeyed ? text : "", at: channel.now, position });
      break;
    }
    case "wait":
      channel.wait(event.milliseconds);
      break;
    case "come":
      channel.isCounted = true;
      channel.locate();
      break;
    case "ask":
      channel.locate();
      break;
    default:
      channel[event.kind]();
  }
  const isTold = ["announce", "come", "ask", "leave", "crash"].includes(event.kind);
  if (isTold && (counts || !["leave", "crash"].includes(event.kind))) expected.toldAt = channel.now;
}

function check(channel: Channel, expected: Expected): void {
  const isWithin = (at: number) => channel.now - at < RETENTION;
  const messages = expected.messages.filter(({ at }) => isWithin(at));
  const kept = channel.do(({ root }) =>
    root.history?.readMissed({ since: undefined, last: Number.MAX_SAFE_INTEGER }),
  );
  expect(kept?.lines).toBe(messages.map(({ text }) => `${text}\n`).join(""));
  for (const { key, at, position } of expected.messages.filter((message) => message.key !== "")) {
    const known = channel.do(({ root }) => root.history?.announcedUnder(key)?.last);
    expect(known).toBe(isWithin(at) ? position : undefined);
  }
  const old = expected.messages.filter(({ at }) => channel.now - at > 3.5 * RETENTION);
  const stored = new Set(channel.texts);
  expect(old.filter(({ text }) => stored.has(text))).toEqual([]);
  const position = channel.do(({ root }) => root.log.position);
  if (channel.isCounted || isWithin(expected.toldAt)) expect(position).toBe(expected.position ?? position);
  expected.position = position;
}

test("whatever happens, exactly the messages of the retention time are there, positions too, and nothing in the end", () => {
  const scripts = fc.array(events, { minLength: 1, maxLength: 60, size: "max" });
  const property = fc.property(scripts, (script) => {
    const channel = new Channel();
    const expected: Expected = { position: undefined, toldAt: Number.NEGATIVE_INFINITY, messages: [] };
    for (const event of script) {
      if (event.kind === "announce") expected.position = (expected.position ?? 0) + 1;
      happen(channel, expected, event);
      if (event.kind === "announce") expected.position = channel.do(({ root }) => root.log.position);
      check(channel, expected);
    }
    channel.leave();
    channel.sleep();
    channel.wait(10 * RETENTION);
    expect(channel.rows).toEqual(new Map());
  });
  fc.assert(property, { numRuns: 500 });
});
