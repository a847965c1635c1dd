/** Frames are split into steps, which are executed in order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClosingCause } from "../../../src/protocol/close-codes.ts";
import { formatRefusal, type Refusal } from "../../../src/protocol/errors.ts";
import { CommandError, type CommandHandler, Inbox, type InboxLimits, type Step } from "../../../src/session/inbox.ts";
import { settled } from "../settled.ts";
import { ClientSocket, connectionsOf } from "../sockets.ts";

const LIMITS: InboxLimits = { maxLineBytes: 300, maxBufferedBytes: 1_000, linesPerSecond: 100 };

/**
 * Creates an inbox with one connection.
 * @param execute called with each step; by default, all steps are synchronous
 */
function inboxOf(
  execute: (step: Step) => Promise<void> | undefined = () => undefined,
  pause: CommandHandler["pause"] = () => undefined,
) {
  const connection = connectionsOf().accept(new ClientSocket(), undefined);
  const log: string[] = [];
  const clock = { now: 1_000_000 };
  const handler = {
    execute: (_: unknown, step: Step) => {
      log.push(format(step));
      return execute(step);
    },
    pause,
    portionSize: () => 100_000,
    refuse: (_: unknown, refusal: Refusal) => void log.push(formatRefusal(refusal)),
    close: (_: unknown, cause: ClosingCause, why: string) => {
      log.push(`closed for ${cause}: ${why}`);
      connection.closed = true;
    },
  };
  const inbox = new Inbox(handler, LIMITS, () => clock.now);
  const receive = (frame: string | ArrayBuffer) => inbox.receive(connection, frame);
  /** Returns what the handler was asked to do since the last call. */
  const done = async () => {
    await settled();
    return log.splice(0);
  };
  return { inbox, connection, receive, done, clock };
}

function format(step: Step): string {
  if (step.kind === "announce") return `${step.count}: ${step.lines.trim().replaceAll("\n", ", ")}`;
  if (step.kind === "once") return `once ${step.messages.map(({ key, message }) => `${key}: ${message}`)}`;
  return "channel" in step ? `${step.kind} ${step.channel}` : step.kind;
}

test("consecutive keyed announcements on one channel are one step", async () => {
  const { receive, done } = inboxOf();
  void receive("announce a 1\nonce k a 2\nonce l a 3\nonce m b 4\nannounce a 5\nkeepalive\nannounce a 6");
  expect(await done()).toEqual(["1: a!1", "once k: 2,l: 3", "once m: 4", "1: a!5", "keepalive", "1: a!6"]);
});

test("consecutive announcements on one channel are one step", async () => {
  const { receive, done } = inboxOf();
  void receive("announce a 1\nannounce a 2\nannounce b 3\nannounce a 4\nping\nannounce a 5\n\nannounce a 6");
  expect(await done()).toEqual(["2: a!1, a!2", "1: b!3", "1: a!4", "ping", "1: a!5", "1: a!6"]);
});

test("lines are queued while a step is pending, and queued announcements are combined too", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { receive, done } = inboxOf((step) => (step.kind === "subscribe" ? promise : undefined));
  void receive("subscribe a");
  for (const frame of ["announce a 1\n", "announce a 2\nannounce a 3\n", "announce b 4", "ping"]) void receive(frame);
  expect(await done()).toEqual(["subscribe a"]);
  resolve();
  expect(await done()).toEqual(["3: a!1, a!2, a!3", "1: b!4", "ping"]);
});

test("nothing is executed before the connection is ready, or after it is closed", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { inbox, connection, receive, done } = inboxOf((step) => {
    connection.closed = step.kind === "info";
    return undefined;
  });
  void inbox.begin(connection, promise);
  void receive("ping\ninfo\nping");
  expect(await done()).toEqual([]);
  resolve();
  expect(await done()).toEqual(["ping", "info"]);
});

test("invalid and failed commands get an error reply, and the next line is executed", async () => {
  const { receive, done } = inboxOf((step) => {
    if (step.kind === "subscribe") throw new CommandError("limit", "not today");
    return step.kind === "unsubscribe" ? Promise.reject(new CommandError("uncertain", "nor later")) : undefined;
  });
  void receive(`nonsense\n${"x".repeat(301)}\nsubscribe a\nunsubscribe a\nping`);
  void receive(new Uint8Array([0x70, 0xff, 0x0a, 0x70]).buffer);
  expect(await done()).toEqual([
    expect.stringMatching(/^invalid nonsense: unknown command/),
    "limit line: a line has at most 300 bytes; split the message, or raise MAX_LINE_BYTES",
    "subscribe a",
    "limit subscribe a: not today",
    "unsubscribe a",
    "uncertain unsubscribe a: nor later",
    "ping",
    "invalid frame: a frame must be UTF-8; none of its lines were executed",
  ]);
});

test("each command of a failed step is refused", async () => {
  const { receive, done } = inboxOf((step) => {
    const fails = new CommandError("uncertain", "it may be lost");
    if (step.kind === "once") throw fails;
    return step.kind === "ping" ? undefined : Promise.reject(fails);
  });
  void receive("announce a 1\nannounce a 2\nannounce b 3\nonce k a 4\nonce l a 5\ninfo\nping");
  expect(await done()).toEqual([
    ...["2: a!1, a!2", "uncertain announce a: it may be lost", "uncertain announce a: it may be lost"],
    ...["1: b!3", "uncertain announce b: it may be lost"],
    ...["once k: 4,l: 5", "uncertain once k: it may be lost", "uncertain once l: it may be lost"],
    ...["info", "uncertain info: it may be lost", "ping"],
  ]);
});

test("an unexpected error isn't sent to the client, and the next frame is executed", async () => {
  const cause = new Error("a mistake");
  const { receive, done } = inboxOf((step) => (step.kind === "info" ? Promise.reject(cause) : undefined));
  await expect(receive("info\nping")).rejects.toBe(cause);
  expect(await done()).toEqual(["info"]);
  void receive("ping");
  expect(await done()).toEqual(["ping"]);
});

test("pending frames have a limit, and each counts 101 bytes of overhead", { tags: ["commands-buffer"] }, async () => {
  let step = Promise.withResolvers<void>();
  const { receive, done } = inboxOf(() => step.promise);
  const line = (bytes: number) => `announce a ${"x".repeat(bytes - "announce a ".length)}`;
  void receive("ping");
  for (let i = 0; i < 4; i++) void receive(line(149));
  expect(await done()).toEqual(["ping"]);
  // The current frame is not pending, so there is room again.
  step.resolve();
  step = Promise.withResolvers<void>();
  expect(await done()).toEqual([expect.stringMatching(/^4: a!x/)]);
  for (let i = 0; i < 4; i++) void receive(line(149));
  expect(await done()).toEqual([]);
  void receive("");
  expect(await done()).toEqual(["closed for waiting: too many commands are pending"]);
});

test("a frame above the limit closes the connection", async () => {
  const { receive, done } = inboxOf();
  void receive(`announce a ${"x".repeat(200)}\n${"x".repeat(1_000 - 212)}`);
  expect(await done()).toEqual([
    `1: a!${"x".repeat(200)}`,
    "limit line: a line has at most 300 bytes; split the message, or raise MAX_LINE_BYTES",
  ]);
  void receive("é".repeat(501));
  expect(await done()).toEqual(["closed for frame: a frame has at most 1000 bytes"]);
});

test("lines above the rate limit are refused, and lines far above it close the connection", async () => {
  const { receive, done, clock } = inboxOf();
  const lines = (count: number) => Array.from({ length: count }, () => "ping").join("\n");
  const tooMany = "rate ping: at most 100 lines per second are carried out; send this again later";
  const counted = async () => {
    const all = await done();
    return [all.filter((line) => line === "ping").length, all.filter((line) => line === tooMany).length];
  };
  void receive(lines(150));
  expect(await counted()).toEqual([100, 50]);
  clock.now += 500;
  void receive(lines(150));
  expect(await counted()).toEqual([50, 100]);
  void receive(lines(1));
  expect(await done()).toEqual(["closed for rate: far more than 100 lines per second"]);
});

/** Creates an inbox of connections whose commands never finish, and a list of connections that it has closed. */
function crowded() {
  const connections = connectionsOf();
  const closed: unknown[] = [];
  const handler = {
    execute: () => Promise.withResolvers<void>().promise,
    pause: () => undefined,
    portionSize: () => 100_000,
    refuse: () => {},
    close: (connection: unknown) => void closed.push(connection),
  };
  const inbox = new Inbox(handler, { ...LIMITS, maxBufferedBytes: 4_000_000 }, () => 1_000_000);
  const connect = () => connections.accept(new ClientSocket(), undefined);
  return { inbox, closed, connect };
}

test("when all frames exceed their limit, the connection with the most is closed", {
  tags: ["commands-of-object-buffer"],
}, () => {
  const { inbox, closed, connect } = crowded();
  const fill = (size: number) => {
    const connection = connect();
    for (const frame of ["ping", "x".repeat(size)]) void inbox.receive(connection, frame);
    return connection;
  };
  const largest = fill(3_900_000);
  const others = [3_000_000, 3_000_000, 3_000_000, 3_000_000].map(fill);
  expect(closed).toEqual([]);
  fill(1_000_000);
  expect(closed).toEqual([largest]);
  fill(2_900_000);
  expect(closed).toEqual([largest]);
  fill(2_000_000);
  expect(closed).toEqual([largest, others[0]]);
});

test("the current frames count until they have been executed", async () => {
  const { inbox, closed, connect } = crowded();
  const frame = `ping\n${"x".repeat(4_000_000)}`;
  const senders = [3_000_000, 3_900_000, 3_800_000, 3_700_000].map((size) => {
    const connection = connect();
    void inbox.receive(connection, frame.slice(0, size));
    return connection;
  });
  expect(closed).toEqual([]);
  void inbox.receive(connect(), frame.slice(0, 2_000_000));
  expect(closed).toEqual([senders[1]]);
  // The bytes of the closed connection are free again.
  void inbox.receive(connect(), frame.slice(0, 3_000_000));
  expect(closed).toEqual([senders[1]]);
});

test("a frame is split at line ends, and empty lines are skipped", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("", "ping", "keepalive", "x"), { maxLength: 12 }), async (lines) => {
      const { receive, done } = inboxOf();
      void receive(lines.join("\n"));
      void receive("info");
      const short = (await done()).map((entry) => (entry.startsWith("invalid x") ? "x" : entry));
      expect(short).toEqual([...lines.filter((line) => line !== ""), "info"]);
    }),
  );
});

test("the inbox pauses between steps, and pending frames have no limit meanwhile", {
  tags: ["publisher-slowed"],
}, async () => {
  const pauses: { work: number; needsRoom: boolean; end: () => void }[] = [];
  const pause: CommandHandler["pause"] = (_, work, needsRoom) => {
    const { promise, resolve: end } = Promise.withResolvers<void>();
    pauses.push({ work, needsRoom, end });
    return promise;
  };
  const { receive, done } = inboxOf(undefined, pause);
  void receive(`announce a ${"x".repeat(189)}\nping`);
  // The limit doesn't apply while the object itself delays the connection.
  for (let i = 0; i < 5; i++) void receive("x".repeat(290));
  expect(await done()).toEqual([expect.stringMatching(/^1: a!x/)]);
  expect(pauses).toMatchObject([{ work: 3, needsRoom: false }]);
  pauses[0]?.end();
  expect(await done()).toEqual(["ping"]);
  expect(pauses[1]).toMatchObject({ needsRoom: true });
});
