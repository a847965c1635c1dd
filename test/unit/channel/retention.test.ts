/** How long a root retains messages, keys and positions, through hibernation and crashes, and which rows it leaves. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { properties } from "../../simulation/object.ts";
import { ALL, FAR, linesOf, rootOf, rowsOf } from "../tree/root.ts";

/** The retention time, in milliseconds. */
const RETENTION = 120_000;

/** A root that leaves memory and wakes again, its alarm, and clients that count positions. */
class Channel {
  readonly rows = new Map<string, unknown>();
  now = 1_000_000;
  written = 0;
  /** The alarm's time, in milliseconds. */
  alarm = Number.POSITIVE_INFINITY;
  alarms = 0;
  isCounted = false;
  #instance = this.#wake();

  #wake() {
    return rootOf(this.rows, FAR, undefined, this.now);
  }

  /** Acts on the root, counts the rows that it writes, and sets its alarm. */
  do<T>(act: (instance: ReturnType<typeof rootOf>) => T): T {
    const instance = this.#instance;
    instance.state.now = this.now;
    const before = instance.state.written;
    const result = act(instance);
    this.written += instance.state.written - before;
    for (const time of instance.state.due.splice(0)) if (time < this.alarm) this.#setAlarm(time);
    return result;
  }

  #setAlarm(time: number): void {
    this.alarm = time;
    this.alarms += 1;
  }

  announce(text: string, key?: string): number {
    return this.do(({ announce }) => announce(text, key));
  }

  /** Returns the position, as a client gets it. */
  locate(): number | undefined {
    return this.do(({ root }) => root.channel.locate());
  }

  get retained(): string {
    return this.do(({ root }) => linesOf(root.channel.readMissed({ since: undefined, last: Number.MAX_SAFE_INTEGER })));
  }

  /** The texts in storage, retained or not. */
  get texts(): string[] {
    return [...this.rows.values()].flatMap((row) => String(properties(row).lines).split("\n"));
  }

  /** Settles, leaves memory and wakes. */
  hibernate(): void {
    this.do(({ root }) => root.settle(this.isCounted));
    this.#instance = this.#wake();
  }

  /** Leaves memory at once, so that its connections close. */
  crash(): void {
    this.#instance = this.#wake();
    if (this.isCounted) this.do(({ root }) => root.channel.history?.retainPosition());
    this.isCounted = false;
  }

  leave(): void {
    if (this.isCounted) this.do(({ root }) => root.channel.history?.retainPosition());
    this.isCounted = false;
  }

  /** Lets time pass, in milliseconds. The root leaves memory before its alarm goes off. */
  wait(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let alarms = 0; this.alarm <= end; alarms++) {
      if (alarms === 10_000) throw new Error("one alarm follows another without end");
      this.now = Math.max(this.now, this.alarm);
      this.alarm = Number.POSITIVE_INFINITY;
      this.#instance = this.#wake();
      this.do(({ root }) => root.expire(this.isCounted));
    }
    this.now = end;
  }
}

test("messages announced between hibernations expire one by one", () => {
  const channel = new Channel();
  for (let i = 0; i < 30; i++) {
    channel.announce(String(i));
    channel.hibernate();
    channel.wait(10_000);
  }
  // The message announced 120 seconds ago has expired.
  expect(channel.retained).toBe([...Array(11)].map((_, i) => `${19 + i}\n`).join(""));
});

test("a message expires before later messages in its row, in memory and after waking", {
  tags: ["retention-end"],
}, () => {
  const channel = new Channel();
  channel.announce("a", "key");
  channel.wait(14_000);
  channel.announce("b");
  expect(rowsOf(channel.rows)).toHaveLength(1);
  channel.wait(RETENTION - 14_001);
  expect(channel.retained).toBe("a\nb\n");
  channel.wait(1);
  for (const act of [() => {}, () => channel.hibernate()]) {
    act();
    expect(channel.retained).toBe("b\n");
    expect(channel.do(({ root }) => root.channel.history?.index.announcedUnder("key"))).toBeUndefined();
  }
});

test("messages that links have yet to receive aren't retained for longer", () => {
  const { root, state, announce } = rootOf();
  root.link({ from: "home", epoch: 1 });
  announce("a");
  state.now += RETENTION;
  announce("b");
  expect(linesOf(root.channel.readMissed(ALL))).toBe("b\n");
});

test("a position is retained after it was last sent, or after a client that counts positions has left", {
  tags: ["position-valid"],
}, () => {
  const channel = new Channel();
  const position = channel.announce("a");
  channel.isCounted = true;
  channel.wait(100 * RETENTION);
  channel.hibernate();
  channel.wait(RETENTION);
  channel.leave();
  channel.hibernate();
  channel.wait(RETENTION - 1);
  channel.hibernate();
  expect(channel.locate()).toBe(position);
  channel.wait(RETENTION - 1);
  channel.hibernate();
  expect(channel.locate()).toBe(position);
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

test("a client finds its position again after a long silence and a crash", () => {
  const channel = new Channel();
  const position = channel.announce("a");
  channel.isCounted = true;
  channel.wait(50 * RETENTION);
  channel.crash();
  channel.wait(RETENTION - 1);
  channel.hibernate();
  expect(channel.locate()).toBe(position);
});

test("a single message costs one row, one alarm and one deletion", () => {
  const channel = new Channel();
  channel.announce("a");
  channel.hibernate();
  channel.wait(10 * RETENTION);
  expect([channel.written, channel.alarms, channel.rows.size]).toEqual([2, 1, 0]);
});

test("while clients count positions, expired text is deleted, and one row stays", () => {
  const channel = new Channel();
  for (const text of ["a", "b", "c"]) {
    channel.announce(text);
    channel.isCounted = true;
    channel.hibernate();
    channel.wait(20_000);
  }
  const position = channel.locate();
  channel.wait(3.25 * RETENTION);
  expect([...channel.rows.values()]).toMatchObject([{ after: position, lines: "" }]);
  const { written, alarms } = channel;
  channel.wait(100 * RETENTION);
  channel.hibernate();
  expect([channel.written, channel.alarms]).toEqual([written, alarms]);
});

test("asking for the position of a quiet channel costs at most one row per retention time", () => {
  const channel = new Channel();
  for (let i = 0; i < 100; i++) {
    channel.locate();
    channel.hibernate();
    channel.wait(RETENTION / 10);
  }
  expect(channel.written).toBeLessThanOrEqual(11);
  expect(channel.alarms).toBeLessThanOrEqual(6);
});

test("a steady flow of messages takes one alarm per two retention times, and leaves no text for long", {
  tags: ["retention-erased"],
}, () => {
  const channel = new Channel();
  for (let i = 0; i < 200; i++) {
    channel.announce(`${i};`);
    channel.wait(10_000);
    expect(channel.texts).not.toContain(`${i - 42};`);
  }
  expect(channel.alarms).toBeLessThanOrEqual(200 / 24 + 1);
});

test("the rows of a burst are deleted during a trickle of messages, and its text doesn't stay for long", () => {
  const channel = new Channel();
  for (let i = 0; i < 20; i++) channel.announce(`burst${"x".repeat(4_096)}`);
  expect(rowsOf(channel.rows)).toHaveLength(20);
  channel.isCounted = true;
  for (let waited = 0; waited < 3.375 * RETENTION; waited += RETENTION / 3) {
    channel.wait(RETENTION / 3);
    channel.announce("trickle");
    channel.hibernate();
  }
  expect(channel.texts.filter((text) => text.startsWith("burst"))).toEqual([]);
  expect(rowsOf(channel.rows).length).toBeLessThanOrEqual(4);
  // In the end, one row without text is left.
  channel.wait(4 * RETENTION);
  expect([...channel.rows.values()]).toMatchObject([{ lines: "" }]);
});

test.each([
  ["a moment", 1_000],
  ["a day", 86_400_000],
])("if the clock goes back by %s, nothing is retained for more than twice the retention time", (_, back) => {
  const channel = new Channel();
  channel.announce("a");
  channel.now -= back;
  channel.hibernate();
  channel.announce("b");
  expect(channel.retained.endsWith("b\n")).toBe(true);
  channel.wait(2 * RETENTION);
  expect(channel.retained).toBe("");
  channel.hibernate();
  expect(channel.retained).toBe("");
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

test("a row from the future isn't retained, and is deleted", () => {
  const channel = new Channel();
  const row = { after: 5, counts: [1], times: [9_000_000_000_000], lines: "a\n", keys: [["key", 6, 1]] };
  channel.rows.set("history:0", row);
  channel.hibernate();
  expect(channel.retained).toBe("");
  expect(channel.do(({ root }) => root.channel.history?.index.announcedUnder("key"))).toBeUndefined();
  expect(channel.locate()).toBe(6);
  channel.hibernate();
  channel.wait(10 * RETENTION);
  expect(channel.rows).toEqual(new Map());
});

/** Events of a channel. */
const events = fc.oneof(
  fc.record({ kind: fc.constant("announce" as const), isKeyed: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), milliseconds: fc.integer({ min: 1, max: 30_000 }) }),
  fc.record({ kind: fc.constant("wait" as const), milliseconds: fc.integer({ min: 1, max: 3 * RETENTION }) }),
  fc.record({ kind: fc.constantFrom("ask", "join", "leave", "hibernate", "crash") }),
);

/** The expected state of a channel: its newest position, when that was last sent, and its messages. */
interface Expected {
  position: number | undefined;
  sentAt: number;
  messages: { text: string; key: string; at: number; position: number }[];
}

function happen(channel: Channel, expected: Expected, event: typeof events extends fc.Arbitrary<infer T> ? T : never) {
  const wasCounted = channel.isCounted;
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
    case "join":
      channel.isCounted = true;
      channel.locate();
      break;
    case "ask":
      channel.locate();
      break;
    default:
      channel[event.kind]();
  }
  const isSent = ["announce", "join", "ask"].includes(event.kind);
  const endsCounting = ["leave", "crash"].includes(event.kind) && wasCounted;
  if (isSent || endsCounting) expected.sentAt = channel.now;
}

function check(channel: Channel, expected: Expected): void {
  const isCurrent = (at: number) => channel.now - at < RETENTION;
  const messages = expected.messages.filter(({ at }) => isCurrent(at));
  const retained = channel.do(({ root }) =>
    root.channel.history?.readMissed({ since: undefined, last: Number.MAX_SAFE_INTEGER }),
  );
  expect(retained?.lines).toBe(messages.map(({ text }) => `${text}\n`).join(""));
  for (const { key, at, position } of expected.messages.filter((message) => message.key !== "")) {
    const known = channel.do(({ root }) => root.channel.history?.index.announcedUnder(key)?.last);
    expect(known).toBe(isCurrent(at) ? position : undefined);
  }
  const old = expected.messages.filter(({ at }) => channel.now - at > 3.5 * RETENTION);
  const stored = new Set(channel.texts);
  expect(old.filter(({ text }) => stored.has(text))).toEqual([]);
  const position = channel.do(({ root }) => root.log.position);
  if (channel.isCounted || isCurrent(expected.sentAt)) expect(position).toBe(expected.position ?? position);
  expected.position = position;
}

test("whatever happens, exactly the messages and positions of the retention time are retained, and in the end nothing", {
  tags: ["retention-end", "position-valid"],
}, () => {
  const scripts = fc.array(events, { minLength: 1, maxLength: 60, size: "max" });
  const property = fc.property(scripts, (script) => {
    const channel = new Channel();
    const expected: Expected = { position: undefined, sentAt: Number.NEGATIVE_INFINITY, messages: [] };
    for (const event of script) {
      if (event.kind === "announce") expected.position = (expected.position ?? 0) + 1;
      happen(channel, expected, event);
      if (event.kind === "announce") expected.position = channel.do(({ root }) => root.log.position);
      check(channel, expected);
    }
    channel.leave();
    channel.hibernate();
    channel.wait(10 * RETENTION);
    expect(channel.rows).toEqual(new Map());
  });
  fc.assert(property, { numRuns: 500 });
});
