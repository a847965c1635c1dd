/** The sockets of one object: their state after hibernation, their frames, and slow consumers. */
import { expect, test } from "vitest";
import { Connections } from "../../../src/session/connections.ts";
import type { Socket } from "../../../src/session/socket.ts";
import { ClientSocket, connectionsOf } from "../sockets.ts";

/** Most pending output of one client, in bytes. */
const MOST = 20_000;

/** A socket that records all calls. */
class RecordingSocket extends ClientSocket {
  readonly done: string[] = [];
  isGone = false;

  override send(text: string): void {
    this.done.push(text);
  }

  override close(code: number, reason: string): void {
    if (this.isGone) throw new Error("closed already");
    this.done.push(`closed ${code} ${reason}`);
  }
}

const grants = { subscribe: ["*"], announce: [], until: 1_000, key: "key" };

/** Creates the connections of an object that wakes with `sockets`. */
function woken(...sockets: RecordingSocket[]) {
  const accepted: Socket[] = [];
  const state = { due: 0 };
  const all = new Connections(
    { acceptWebSocket: (socket) => void accepted.push(socket), getWebSockets: () => sockets },
    { maxBufferedBytes: MOST, maxPendingBytes: 8 * MOST },
    () => 0,
    {
      flush: () => {
        state.due += 1;
      },
    },
  );
  all.start();
  return { all, accepted, state };
}

/** Creates connections that are subscribed to `news`. */
function readers(count: number) {
  const sockets = Array.from({ length: count }, () => new RecordingSocket({ channels: ["news"] }));
  const { all, state } = woken(...sockets);
  return { all, state, sockets, connections: [...all] };
}

test("connections survive hibernation, except closed ones", () => {
  const socket = new RecordingSocket();
  const { all, accepted } = woken();
  const connection = all.accept(socket, undefined);
  all.subscribe(connection, "news");
  all.subscribe(connection, "more");
  all.unsubscribe(connection, "more");
  all.grant(connection, grants);
  all.flush();
  expect({ accepted, admitted: connection.admitted }).toEqual({ accepted: [socket], admitted: false });
  const closed = new RecordingSocket();
  all.close(all.accept(closed, grants), 1008, "because");
  expect(closed.attachment).toBeNull();
  const unreadable = new RecordingSocket({ channels: ["news"], grants: "none" });
  const next = woken(socket, closed, unreadable).all;
  expect([unreadable.attachment, unreadable.done]).toEqual([null, [expect.stringMatching(/^closed 1013 /)]]);
  expect([...next]).toMatchObject([{ socket, grants, admitted: true, channels: new Set(["news"]) }]);
  expect(next.of(socket)?.socket).toBe(socket);
  expect(next.of(closed)).toBeUndefined();
  expect([next.size, next.subscriptions.count, next.subscribers("news"), next.subscribers("more")]).toEqual([
    1, 1, 1, 0,
  ]);
});

test("channels with subscribers are listed, and subscriptions are counted", () => {
  const { all, connections } = readers(2);
  const [one, two] = connections;
  if (!one || !two) throw new Error("connections were expected");
  all.subscribe(one, "more");
  expect([all.subscriptions.count, [...all.subscriptions.channels]]).toEqual([3, ["news", "more"]]);
  expect([...all.subscriptions.of("news")]).toEqual([one, two]);
  expect([[...all.subscriptions.of("more")], [...all.subscriptions.of("none")]]).toEqual([[one], []]);
  all.remove(one);
  expect([all.size, all.subscriptions.count, [...all.subscriptions.channels], one.closed]).toEqual([
    1,
    1,
    ["news"],
    true,
  ]);
});

test("a connection can't subscribe twice, and can unsubscribe only from its channels", () => {
  const { all, connections } = readers(1);
  const [one] = connections;
  if (!one) throw new Error("connections were expected");
  expect(() => all.subscribe(one, "news")).toThrow(/only once/);
  expect(() => all.unsubscribe(one, "more")).toThrow(/only from its channels/);
});

test("a message reaches clients that unsubscribe or close after it, and none that subscribe after it", () => {
  const { all, connections, sockets } = readers(2);
  const [one, two] = connections;
  if (!one || !two) throw new Error("connections were expected");
  const late = new RecordingSocket();
  all.publish("news", "a\n");
  all.unsubscribe(one, "news");
  all.subscribe(all.accept(late, undefined), "news");
  all.publish("news", "b\n");
  all.close(two, 1013, "because");
  all.publish("news", "c\n");
  all.flush();
  expect([sockets[0]?.done, sockets[1]?.done, late.done]).toEqual([
    ["a\n"],
    ["a\nb\n", "closed 1013 because"],
    ["b\nc\n"],
  ]);
});

test("lines make a flush due, for the sockets that they are for", () => {
  const { all, connections, state, sockets } = readers(3);
  const [one] = connections;
  if (!one) throw new Error("connections were expected");
  all.publish("none", "no subscribers\n");
  expect([all.due, all.bufferedSize, state.due]).toEqual([0, 0, 0]);
  all.publish("news", "a\n");
  all.publish("news", "b\n");
  expect([all.due, all.bufferedSize, state.due]).toEqual([3, 104, 2]);
  all.flush();
  all.send(one, "c\n");
  expect([all.due, all.bufferedSize, state.due]).toEqual([1, 2, 3]);
  all.flush();
  expect([all.due, all.bufferedSize]).toEqual([0, 0]);
  expect(sockets.map(({ done }) => done)).toEqual([["a\nb\n", "c\n"], ["a\nb\n"], ["a\nb\n"]]);
});

test.each([
  { title: "published lines", addressees: [] },
  { title: "published lines and lines of its own", addressees: [0, 1] },
])(
  "a slow consumer gets its $title later, and all others get theirs at once",
  { tags: ["slow-closed", "close-slow"] },
  ({ addressees }) => {
    const { all, connections, sockets } = readers(6);
    const [slow, brim, quick] = sockets;
    if (!slow || !brim || !quick) throw new Error("connections were expected");
    slow.bufferedAmount = MOST + 1;
    brim.bufferedAmount = MOST;
    for (const i of addressees) {
      const connection = connections[i];
      if (connection) all.send(connection, "hello\n");
    }
    all.publish("news", "a\n");
    all.flush();
    expect(all.slow.map(({ socket }) => socket)).toEqual([slow]);
    const hello = addressees.length > 0 ? "hello\n" : "";
    expect([slow.done, brim.done, quick.done]).toEqual([[], [`${hello}a\n`], ["a\n"]]);
    // The lines stay buffered: a commit may have held back the earlier ones.
    slow.bufferedAmount = 0;
    expect({ slow: all.slow, due: all.due }).toEqual({ slow: [], due: 1 });
    all.flush();
    expect({ done: slow.done, due: all.due }).toEqual({ done: [`${hello}a\n`], due: 0 });
  },
);

test("lines for one connection cost the others nothing", () => {
  const { all, connections, sockets } = readers(8);
  const [one, ...others] = connections;
  if (!one) throw new Error("connections were expected");
  for (let i = 0; i < 100; i++) {
    all.publish("news", `${i}\n`);
    all.send(one, "pong\n");
    if (i % 2 === 0) all.unsubscribe(one, "news");
    else all.subscribe(one, "news");
  }
  // Published lines count once, and connections without lines of their own have no copies.
  expect(all.bufferedSize).toBeLessThan(20_000);
  expect(new Set(others.map(({ buffered }) => buffered))).toEqual(new Set([""]));
  all.flush();
  const lines = Array.from({ length: 100 }, (_, i) => `${i}\n`);
  expect(new Set(sockets.slice(1).map(({ done }) => done.join("|")))).toEqual(new Set([lines.join("")]));
  const own = lines.map((line, i) => (i % 2 === 0 ? line : ""));
  expect(sockets[0]?.done).toEqual([own.map((line) => `${line}pong\n`).join("")]);
});

test("closing a connection that its client has closed does no harm, and later lines are discarded", () => {
  const { all, connections, sockets } = readers(1);
  const [one] = connections;
  const [socket] = sockets;
  if (!one || !socket) throw new Error("connections were expected");
  socket.isGone = true;
  all.close(one, 1013, "because");
  all.send(one, "hello\n");
  all.flush();
  expect({ done: socket.done, size: all.size, bufferedSize: all.bufferedSize }).toEqual({
    done: [],
    size: 0,
    bufferedSize: 0,
  });
});

test("subscriptions have a memory budget, which includes names and a surcharge for new channels", {
  tags: ["subscriptions-budget"],
}, () => {
  const connections = connectionsOf([], { maxBufferedBytes: MOST, maxPendingBytes: 8 * MOST });
  const crowd = Array.from({ length: 200 }, () => connections.accept(new RecordingSocket(), undefined));
  const subscribe = (from: number, to: number) => {
    for (const connection of crowd.slice(from, to)) {
      for (let i = 0; i < 256; i++) connections.subscribe(connection, `${from}-${i}-${crowd.indexOf(connection)}`);
    }
  };
  subscribe(0, 170);
  expect([connections.isCrowded, connections.subscriptions.isFull]).toEqual([false, false]);
  subscribe(170, 200);
  expect([connections.isCrowded, connections.subscriptions.isFull]).toEqual([true, false]);
  for (const connection of crowd) connections.remove(connection);
  connections.flush();
  expect([connections.isCrowded, connections.subscriptions.count]).toEqual([false, 0]);
});

/** Limits whose send budget is used up by three lines of 40 kB. */
const SMALL_BUDGET = { maxBufferedBytes: 1_000_000, maxPendingBytes: 100_000 };

/** A socket whose client reads nothing. */
class Stalled extends RecordingSocket {
  override send(text: string): void {
    super.send(text);
    this.bufferedAmount += text.length;
  }
}

test("when the send budget is used up, the rest is blocked, clients that have read go first, and the slowest are closed", {
  tags: ["object-buffer", "close-slow"],
}, () => {
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const all = connectionsOf(sockets, SMALL_BUDGET);
  const connections = [...all];
  const line = `news!${"x".repeat(40_000)}\n`;
  const sent = () => sockets.map(({ done }) => done.length);
  all.publish("news", line);
  all.flush();
  expect([sent(), all.due, all.hasDrained()]).toEqual([[1, 1, 1, 0, 0, 0], 3, false]);
  expect(all.slowest).toEqual(connections.slice(0, 2));
  // The first client reads its output, and goes before the blocked ones.
  all.budget.confirm(all.budget.sent);
  Object.assign(sockets[0] ?? {}, { bufferedAmount: 0 });
  expect(all.hasDrained()).toBe(false);
  all.publish("news", line);
  all.flush();
  expect(sent()).toEqual([2, 1, 1, 0, 0, 0]);
  // Output of closed sockets is pending until their network connections end; meanwhile, new connections go elsewhere.
  for (const connection of all.slowest) {
    all.discardBuffered(connection);
    all.close(connection, 1013, "too slow");
  }
  expect(all.isCrowded).toBe(true);
  for (const socket of sockets) all.budget.socketClosed(socket);
  expect(all.isCrowded).toBe(false);
});

test("of many connections that close at once, only as many get their last lines as the budget allows", () => {
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const all = connectionsOf(sockets, SMALL_BUDGET);
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  for (const connection of [...all]) all.close(connection, 1013, "lost");
  expect(sockets.map(({ done }) => done.length)).toEqual([2, 2, 2, 1, 1, 1]);
  expect(sockets.every(({ done }) => done.at(-1) === "closed 1013 lost")).toBe(true);
});

test("without `bufferedAmount` for held back output, no more is sent than the budget allows", () => {
  const sockets = Array.from({ length: 6 }, () => new RecordingSocket({ channels: ["news"] }));
  const all = connectionsOf(sockets, SMALL_BUDGET);
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  all.flush();
  const sent = () => sockets.map(({ done }) => done.length);
  expect([sent(), all.isBlocked, all.hasDrained()]).toEqual([[1, 1, 1, 0, 0, 0], true, false]);
  all.budget.confirm(all.budget.sent);
  expect(all.hasDrained()).toBe(true);
  all.flush();
  expect([sent(), all.isBlocked]).toEqual([[1, 1, 1, 1, 1, 1], false]);
});

test("few connections are blocked before any of them is slow", () => {
  const sockets = Array.from({ length: 2 }, () => new Stalled({ channels: ["news"] }));
  const all = connectionsOf(sockets, { maxBufferedBytes: 100_000, maxPendingBytes: 10_000_000 });
  for (let i = 0; i < 3; i++) {
    all.publish("news", `news!${"x".repeat(40_000)}\n`);
    all.flush();
  }
  expect({ isBlocked: all.isBlocked, slow: all.slow }).toEqual({ isBlocked: true, slow: [] });
});

test("blocked connections that share lines receive only their own, whatever happens between", () => {
  const attachments = [["news"], ["news"], ["sport"], []].map((channels) => ({ channels, counted: channels }));
  const sockets = attachments.map((attachment) => new ClientSocket(attachment));
  const all = connectionsOf(sockets);
  const connections = [...all];
  const received = sockets.map(() => "");
  /** Blocks some connections, and flushes. */
  const flush = (...blocked: number[]) => {
    for (const [i, socket] of sockets.entries()) socket.bufferedAmount = blocked.includes(i) ? 1_100_000 : 0;
    // Weighs their output again.
    all.hasDrained();
    all.flush();
  };
  /** Buffers a line for each connection. */
  const send = (line: string) => {
    for (const [i, connection] of connections.entries()) {
      all.send(connection, line);
      received[i] += line;
    }
  };
  const publish = (channel: string, line: string) => {
    all.publish(channel, line);
    for (const [i, { channels }] of attachments.entries()) if (channels.includes(channel)) received[i] += line;
  };
  publish("news", "news!1\n");
  publish("sport", "sport!1\n");
  flush(0, 1, 2, 3);
  send("1795438800\n");
  flush(1);
  send("1795438801\n");
  publish("news", "news!2\n");
  flush(0);
  send("1795438802\n");
  flush();
  expect(sockets.map(({ text }) => text)).toEqual(received);
});

test("a line that is inserted for some connections stays where it is", () => {
  const sockets = [["news"], []].map((counted) => new ClientSocket({ channels: ["news"], counted }));
  const all = connectionsOf(sockets);
  const [counting, other] = [...all];
  if (!counting || !other) throw new Error("the connections don't exist");
  for (const connection of [counting, other]) all.send(connection, "news!1\n");
  all.send(other, "debug!position news 9\n");
  all.insert("news", "debug!position news 9\n", 1);
  for (const connection of [counting, other]) all.send(connection, "1795438800\n");
  all.flush();
  expect(sockets.map(({ text }) => text)).toEqual([
    "debug!position news 9\nnews!1\n1795438800\n",
    "news!1\ndebug!position news 9\n1795438800\n",
  ]);
});

test.each([3, 4, 5])("of blocked connections, the one with the fewest lines goes first: number %i", (first) => {
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const all = connectionsOf(sockets, SMALL_BUDGET);
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  all.flush();
  for (const [i, connection] of [...all].entries()) if (i > 2 && i !== first) all.send(connection, "more\n");
  // There is room for one.
  all.budget.confirm(all.budget.sent);
  Object.assign(sockets[0] ?? {}, { bufferedAmount: 0 });
  expect(all.hasDrained()).toBe(false);
  all.flush();
  expect(sockets.flatMap(({ done }, i) => (i > 2 && done.length > 0 ? [i] : []))).toEqual([first]);
});

test("if closed connections use the whole send budget, blocked ones are closed, too", () => {
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const all = connectionsOf(sockets, SMALL_BUDGET);
  const connections = [...all];
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  all.flush();
  for (const connection of connections.slice(0, 3)) all.close(connection, 1013, "too slow");
  expect(all.slowest).toEqual(connections.slice(3));
});
