import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { Refused } from "../../../src/client/fanout.ts";
import { breakOff, connectTo, FakeSocket, greet, settle, tokenOf, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

const TIME = "1700000000";
const FORBIDDEN = "debug!error forbidden enter a: your token doesn't grant this";

/** Notes how a call ends. */
function noted(call: Promise<void>): { outcome: string } {
  const note = { outcome: "pending" };
  call.then(
    () => {
      note.outcome = "carried out";
    },
    ({ code, message }: Refused) => {
      note.outcome = `${code}: ${message}`;
    },
  );
  return note;
}

/** Lets time pass, and replies to keepalives. */
async function pass(socket: FakeSocket, seconds: number): Promise<void> {
  for (let i = 0; i < seconds / 5; i++) {
    await vi.advanceTimersByTimeAsync(5_000);
    socket.receive("debug!alive");
  }
}

/** Creates a client that has entered the channel `a` as `ann`. */
async function entered(onEnd?: (error: Refused) => void) {
  const connected = connectTo();
  const call = noted(connected.client.enter("a", "ann", "1", { onEnd }));
  const socket = await greet();
  socket.receive(TIME);
  await settle();
  expect(call.outcome).toBe("carried out");
  return { ...connected, socket };
}

test("`enter` resolves when the reply to a ping shows that the server has carried it out", {
  tags: ["client-enter"],
}, async () => {
  const { client } = connectTo();
  const call = noted(client.enter("a", "ann", 'x  {"y": 1}'));
  const other = noted(client.enter("b", "ann"));
  const socket = await greet();
  expect(socket.sent).toEqual(['unsubscribe all\nenter a ann x  {"y": 1}\nenter b ann\nping\n']);
  await settle();
  expect([call.outcome, other.outcome]).toEqual(["pending", "pending"]);
  socket.receive("debug!error forbidden enter b: no", TIME);
  await settle();
  expect([call.outcome, other.outcome]).toEqual(["carried out", "forbidden: no"]);
});

test("a client enters again on each connection, in one frame with its subscriptions", {
  tags: ["client-enters-again"],
}, async () => {
  const { client } = await entered();
  client.subscribe("b");
  await breakOff();
  const socket = await greet();
  expect(FakeSocket.made).toHaveLength(2);
  expect(socket.sent).toEqual(["unsubscribe all\nenter a ann 1\nping\n"]);
  client.subscribe("c");
  await breakOff(2_000);
  expect((await greet()).sent).toEqual(["unsubscribe all\nsubscribe c since now\nenter a ann 1\nping\n"]);
});

test("a present client stays connected", async () => {
  const { socket } = await entered();
  await pass(socket, 300);
  expect([FakeSocket.made.length, socket.isClosed]).toEqual([1, false]);
});

test("`leave` resolves when carried out, and the client doesn't enter again", { tags: ["client-leave"] }, async () => {
  const { client, socket } = await entered();
  const call = noted(client.leave("a"));
  await settle();
  expect([socket.lines.slice(-2), call.outcome]).toEqual([["leave a", "ping"], "pending"]);
  socket.receive(TIME);
  await settle();
  expect(call.outcome).toBe("carried out");
  client.subscribe("b");
  await breakOff();
  expect((await greet()).sent.join("")).not.toContain("enter");
});

test.each([
  ["without presence", connectTo],
  [
    "while disconnected",
    async () => {
      const connected = await entered();
      connected.client.disconnect();
      return connected;
    },
  ],
  [
    "while connecting",
    async () => {
      const connected = await entered();
      await breakOff();
      return connected;
    },
  ],
  [
    "after close()",
    async () => {
      const connected = await entered();
      await connected.client.close();
      return connected;
    },
  ],
])("`leave` resolves at once %s", async (_, start) => {
  const { client } = await start();
  const call = noted(client.leave("a"));
  await settle();
  expect(call.outcome).toBe("carried out");
});

test("if the connection ends, `leave` is carried out, as presence ends with it", async () => {
  const { client } = await entered();
  const call = noted(client.leave("a"));
  await breakOff(0);
  expect(call.outcome).toBe("carried out");
});

test("`leave` rejects a pending `enter`, and nothing is sent before the connection is open", async () => {
  const { client } = connectTo();
  const call = noted(client.enter("a", "ann"));
  const leaving = noted(client.leave("a"));
  client.connect();
  await settle();
  expect([call.outcome, leaving.outcome]).toEqual(["unavailable: `leave` was called", "carried out"]);
  expect((await greet()).lines).toEqual(["unsubscribe all"]);
});

test("calls of one turn are one command, so that a component which remounts doesn't leave", async () => {
  const { client, socket } = await entered();
  const calls = [client.leave("a"), client.enter("a", "ann", "2"), client.enter("a", "ann", "3")].map(noted);
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["enter a ann 3", "ping"]);
  socket.receive(TIME);
  await settle();
  expect(calls.map(({ outcome }) => outcome)).toEqual(["carried out", "carried out", "carried out"]);
});

test("calls during a command in flight become one command, which follows it", { tags: ["client-merges"] }, async () => {
  const { client, socket } = await entered();
  const count = socket.lines.length;
  const calls = [noted(client.enter("a", "ann", "2"))];
  await settle();
  for (const data of ["3", "4"]) calls.push(noted(client.enter("a", "ann", data)));
  await settle();
  expect(socket.lines.slice(count)).toEqual(["enter a ann 2", "ping"]);
  socket.receive(TIME);
  await settle();
  expect(calls.map(({ outcome }) => outcome)).toEqual(["carried out", "pending", "pending"]);
  expect(socket.lines.slice(count + 2)).toEqual(["enter a ann 4", "ping"]);
  socket.receive(TIME);
  await settle();
  expect(calls.map(({ outcome }) => outcome)).toEqual(["carried out", "carried out", "carried out"]);
});

test("a temporary refusal is retried with backoff, and doesn't slow other commands down", async () => {
  const { client, socket } = await entered();
  const call = noted(client.enter("a", "ann", "2"));
  await settle();
  for (let i = 0; i < 12; i++) {
    socket.receive("debug!error rate enter a: too fast", TIME);
    await settle();
    expect(socket.lines.at(-1)).not.toBe("enter a ann 2");
    await pass(socket, 20);
    expect(socket.lines.filter((line) => line === "enter a ann 2")).toHaveLength(i + 2);
  }
  socket.receive(TIME);
  await settle();
  expect(call.outcome).toBe("carried out");
  void client.announce("b", "x").catch(() => {});
  for (let i = 0; i < 99; i++) void client.announce("b", "x").catch(() => {});
  await settle();
  expect(socket.lines.filter((line) => line.startsWith("once"))).toHaveLength(100);
});

test("each temporary refusal of an `enter` doubles the longest delay until it is repeated", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1 - 1e-9);
  onTestFinished(() => void vi.restoreAllMocks());
  const { client, socket } = await entered();
  void client.enter("a", "ann", "2").catch(() => {});
  await settle();
  const sent = () => socket.lines.filter((line) => line === "enter a ann 2").length;
  for (const [i, seconds] of [1, 2, 4].entries()) {
    socket.receive("debug!error rate enter a: too fast", TIME);
    await vi.advanceTimersByTimeAsync(seconds * 1_000 - 10);
    expect(sent()).toBe(i + 1);
    await vi.advanceTimersByTimeAsync(20);
    expect(sent()).toBe(i + 2);
  }
});

test("a refused update changes nothing: the client is present as before", {
  tags: ["client-enter-refused"],
}, async () => {
  const onEnd = vi.fn();
  const { client, socket } = await entered(onEnd);
  const call = noted(client.enter("a", "bob"));
  await settle();
  socket.receive(FORBIDDEN, TIME);
  await settle();
  expect(call.outcome).toBe("forbidden: your token doesn't grant this");
  expect(socket.lines.slice(-2)).toEqual(["enter a ann 1", "ping"]);
  socket.receive(TIME);
  await breakOff();
  expect((await greet()).lines).toContain("enter a ann 1");
  expect(onEnd).not.toHaveBeenCalled();
});

test("a final refusal after a reconnect ends the presence, and is reported once", async () => {
  const onEnd = vi.fn();
  await entered(onEnd);
  await breakOff();
  const socket = await greet();
  socket.receive(FORBIDDEN, TIME);
  await settle();
  const refused = { name: "Refused", code: "forbidden", message: "your token doesn't grant this" };
  expect(onEnd.mock.calls).toEqual([[expect.objectContaining(refused)]]);
  await pass(socket, 60);
  expect(socket.lines).toEqual(["unsubscribe all", "enter a ann 1", "ping", "keepalive", "keepalive"]);
  expect(onEnd).toHaveBeenCalledTimes(1);
});

test("a failure of the client ends the presence, and is reported", async () => {
  const onEnd = vi.fn();
  const { client } = await entered(onEnd);
  const call = noted(client.enter("a", "ann", "2"));
  FakeSocket.newest.end(1008, "expired: your token has expired");
  await settle();
  expect([client.state, call.outcome]).toEqual(["failed", "expired: your token has expired"]);
  expect(onEnd).toHaveBeenCalledTimes(1);
  client.connect();
  expect((await greet()).lines).toEqual(["unsubscribe all"]);
});

test("a first refusal only rejects the call; the client leaves in case that an earlier command has entered", async () => {
  const onEnd = vi.fn();
  const { client } = connectTo();
  const call = noted(client.enter("a", "ann", "", { onEnd }));
  const socket = await greet();
  socket.receive(FORBIDDEN, TIME);
  await settle();
  expect(call.outcome).toBe("forbidden: your token doesn't grant this");
  expect(socket.lines.slice(-2)).toEqual(["leave a", "ping"]);
  socket.receive(TIME);
  await pass(socket, 60);
  expect(onEnd).not.toHaveBeenCalled();
  expect(client.state).toBe("disconnected");
});

test.each([
  ["that was carried out before", "ann 1", false],
  ["that is in flight", "ann 2", true],
])("if what follows a `leave` is refused, the client doesn't return to an `enter` %s", async (_, entry, isInFlight) => {
  const { client, socket } = await entered();
  if (isInFlight) noted(client.enter("a", "ann", "2"));
  await settle();
  const calls = [noted(client.leave("a")), noted(client.enter("a", "bob"))];
  await settle();
  if (isInFlight) socket.receive(TIME);
  await settle();
  expect(socket.lines.slice(-4)).toEqual([`enter a ${entry}`, "ping", "enter a bob", "ping"]);
  socket.receive(FORBIDDEN, TIME);
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["leave a", "ping"]);
  socket.receive(TIME);
  await settle();
  expect(calls.map(({ outcome }) => outcome)).toEqual(["carried out", "forbidden: your token doesn't grant this"]);
});

test("a refusal of a call that was replaced changes nothing for the newer one", async () => {
  const { client, socket } = await entered();
  const first = noted(client.enter("a", "bob"));
  await settle();
  const second = noted(client.enter("a", "ann", "2"));
  socket.receive(FORBIDDEN, TIME);
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["enter a ann 2", "ping"]);
  socket.receive(TIME);
  await settle();
  expect([first.outcome, second.outcome]).toEqual(["forbidden: your token doesn't grant this", "carried out"]);
});

test("a refused call isn't repeated because of a new token", async () => {
  const { client } = connectTo({ token: () => tokenOf({ exp: 1_700_000_000 + 60 }) });
  client.connect();
  const socket = await greet();
  await vi.advanceTimersByTimeAsync(30_000);
  const call = noted(client.enter("a", "ann"));
  await settle();
  socket.receive("debug!token accepted until 1700000090", FORBIDDEN, TIME);
  await settle();
  expect(call.outcome).toBe("forbidden: your token doesn't grant this");
  expect(socket.lines.slice(-4)).toEqual(["enter a ann", "ping", "leave a", "ping"]);
});

test("a client enters again with each new token, as that may not grant it", async () => {
  const onEnd = vi.fn();
  const { client } = connectTo({ token: () => tokenOf({ exp: 1_700_000_000 + 60 }) });
  void client.enter("a", "ann", "1", { onEnd });
  const socket = await greet();
  socket.receive(TIME);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(socket.lines.at(-1)).toMatch(/^token /);
  socket.receive("debug!token accepted until 1700000090");
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["enter a ann 1", "ping"]);
  socket.receive(FORBIDDEN, TIME);
  expect(onEnd).toHaveBeenCalledTimes(1);
});

test("close() waits until the server has carried out `leave`, and rejects a pending `enter`", {
  tags: ["client-leave"],
}, async () => {
  const { client, socket } = await entered();
  const leaving = noted(client.leave("a"));
  const call = noted(client.enter("b", "ann"));
  let isClosed = false;
  void client.close().then(() => {
    isClosed = true;
  });
  await settle();
  expect(socket.lines.slice(-3)).toEqual(["leave a", "enter b ann", "ping"]);
  expect([isClosed, leaving.outcome]).toEqual([false, "pending"]);
  socket.receive("debug!error unavailable enter b: not now", TIME);
  await settle();
  expect([isClosed, leaving.outcome]).toEqual([true, "carried out"]);
  expect(call.outcome).toBe("unavailable: the client is closed; make a new one");
  await expect(client.enter("a", "ann")).rejects.toMatchObject({ code: "unavailable" });
});

test("a missing reply to a ping ends the connection, as for any command", async () => {
  const { client, socket } = await entered();
  const call = noted(client.enter("a", "ann", "2"));
  await pass(socket, 80);
  expect(socket.isClosed).toBe(true);
  const next = await greet();
  expect(next.lines).toContain("enter a ann 2");
  next.receive(TIME);
  await settle();
  expect(call.outcome).toBe("carried out");
});

test("a carried out command leaves nothing behind that times out", async () => {
  const { socket } = await entered();
  await pass(socket, 200);
  expect(socket.isClosed).toBe(false);
});

test.each([
  [["presence/a", "ann"], "text that doesn't begin with `presence/`"],
  [["debug", "ann"], "not `debug`"],
  [["a b", "ann"], "the channel is"],
  [["x".repeat(247), "ann"], "1 to 246 bytes"],
  [[null, "ann"], "the channel is null"],
  [["a", ""], 'the member is ""; it takes 1 to 64 bytes of text without spaces or control characters'],
  [["a", "x".repeat(65)], "1 to 64 bytes"],
  [["a", "ü".repeat(33)], "1 to 64 bytes"],
  [["a", "a b"], "without spaces or control characters"],
  [["a", "a\n"], "without spaces or control characters"],
  [["a", "\u0080"], "without spaces or control characters"],
  [["a", "\ud800"], "the member is"],
  [["a", undefined], "the member is undefined"],
  [["a", 17], "the member is 17"],
  [["a", "ann", null], "the data is null"],
  [["a", "ann", { x: 1 }], "the data is of type object; it takes 1 to 1024 bytes of text on one line; for objects use"],
  [["a", "ann", "x\ny"], "text on one line; for objects use `JSON.stringify`"],
  [["a", "ann", "x\r"], "text on one line"],
  [["a", "ann", "\udc00"], "the data is"],
  [["a", "ann", "x".repeat(1_025)], "1 to 1024 bytes"],
  [["a", "ann", "", null], "`options` is null"],
  [["a", "ann", "", { onEnd: "no" }], 'the option `onEnd` is "no"; it takes a function'],
])("enter refuses %j at once", async (words, why) => {
  const { client } = connectTo();
  await expect(Reflect.apply(client.enter, undefined, words)).rejects.toThrow(why);
  expect(FakeSocket.made).toEqual([]);
});

test.each([null, "", "a b", "presence/a", {}])("leave and members refuse the channel %j at once", async (channel) => {
  const { client } = connectTo();
  await expect(Reflect.apply(client.leave, undefined, [channel])).rejects.toThrow("the channel is");
  expect(() => Reflect.apply(client.members, undefined, [channel])).toThrow("the channel is");
});
