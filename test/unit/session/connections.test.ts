/** The sockets of one object: who they are after sleep, who reads what, and who reads too slowly. */
import { expect, test } from "vitest";
import { Connections } from "../../../src/session/connections.ts";
import type { Socket } from "../../../src/session/socket.ts";

/** Bytes that may wait for one client. */
const MOST = 20_000;

/** A socket that keeps what is done to it. */
class Kept implements Socket {
  bufferedAmount = 0;
  readonly done: string[] = [];
  attachment: unknown;
  isGone = false;

  constructor(attachment?: unknown) {
    this.attachment = attachment;
  }

  send(text: string): void {
    this.done.push(text);
  }

  close(code: number, reason: string): void {
    if (this.isGone) throw new Error("closed already");
    this.done.push(`closed ${code} ${reason}`);
  }

  serializeAttachment(attachment: unknown): void {
    this.attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return this.attachment;
  }
}

const grants = { subscribe: ["*"], announce: [], until: 1_000, key: "key" };

/** The connections of an object that wakes with `sockets`. */
function woken(...sockets: Kept[]) {
  const accepted: Socket[] = [];
  const state = { due: 0 };
  const all = new Connections(
    { acceptWebSocket: (socket) => void accepted.push(socket), getWebSockets: () => sockets },
    { maxBufferedBytes: MOST, mostWaiting: 8 * MOST },
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

/** Some connections that are subscribed to `news`. */
function readers(count: number) {
  const sockets = Array.from({ length: count }, () => new Kept({ channels: ["news"] }));
  const { all, state } = woken(...sockets);
  return { all, state, sockets, connections: [...all] };
}

test("what a connection has outlives sleep, and what has been closed does not come back", () => {
  const socket = new Kept();
  const { all, accepted } = woken();
  const connection = all.accept(socket, undefined);
  all.subscribe(connection, "news");
  all.subscribe(connection, "more");
  all.unsubscribe(connection, "more");
  all.grant(connection, grants);
  all.flush();
  expect({ accepted, admitted: connection.admitted }).toEqual({ accepted: [socket], admitted: false });
  const closed = new Kept();
  all.close(all.accept(closed, grants), 1008, "because");
  expect(closed.attachment).toBeNull();
  const next = woken(socket, closed, new Kept({ channels: ["news"], grants: "none" })).all;
  expect([...next]).toMatchObject([{ socket, grants, admitted: true, channels: new Set(["news"]) }]);
  expect(next.of(socket)?.socket).toBe(socket);
  expect(next.of(closed)).toBeUndefined();
  expect([next.size, next.subscriptions, next.subscribers("news"), next.subscribers("more")]).toEqual([
    1, 1, 1, 0,
  ]);
});

test("channels are those with subscribers, and subscriptions are counted one by one", () => {
  const { all, connections } = readers(2);
  const [one, two] = connections;
  if (!one || !two) throw new Error("nobody is there");
  all.subscribe(one, "more");
  expect([all.subscriptions, [...all.channels]]).toEqual([3, ["news", "more"]]);
  expect(all.subscribersOf("news")).toEqual([one, two]);
  expect([all.subscribersOf("more"), all.subscribersOf("none")]).toEqual([[one], []]);
  all.remove(one);
  expect([all.size, all.subscriptions, [...all.channels], one.closed]).toEqual([1, 1, ["news"], true]);
});

test("nobody is subscribed twice, and only who is subscribed can end that", () => {
  const { all, connections } = readers(1);
  const [one] = connections;
  if (!one) throw new Error("nobody is there");
  expect(() => all.subscribe(one, "news")).toThrow(/nobody is subscribed twice/);
  expect(() => all.unsubscribe(one, "more")).toThrow(/was subscribed/);
});

test("who comes after a message does not read it, and who goes after it does", () => {
  const { all, connections, sockets } = readers(2);
  const [one, two] = connections;
  if (!one || !two) throw new Error("nobody is there");
  const late = new Kept();
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

test("a flush is due for the first line, and is for as many sockets as there is something for", () => {
  const { all, connections, state, sockets } = readers(3);
  const [one] = connections;
  if (!one) throw new Error("nobody is there");
  all.publish("none", "nobody reads this\n");
  expect({ due: all.due, gathered: all.gathered, said: state.due }).toEqual({ due: 0, gathered: 0, said: 0 });
  all.publish("news", "a\n");
  all.publish("news", "b\n");
  expect({ due: all.due, gathered: all.gathered, said: state.due }).toEqual({
    due: 3,
    gathered: 104,
    said: 2,
  });
  all.flush();
  all.tell(one, "c\n");
  expect({ due: all.due, gathered: all.gathered, said: state.due }).toEqual({ due: 1, gathered: 2, said: 3 });
  all.flush();
  expect({ due: all.due, gathered: all.gathered }).toEqual({ due: 0, gathered: 0 });
  expect(sockets.map(({ done }) => done)).toEqual([["a\nb\n", "c\n"], ["a\nb\n"], ["a\nb\n"]]);
});

test.each([
  { title: "what all read", told: [] },
  { title: "what is said to some besides", told: [0, 1] },
])("nothing of $title is sent to who has too much waiting, and all else goes to all others", ({ told }) => {
  const { all, connections, sockets } = readers(6);
  const [slow, brim, quick] = sockets;
  if (!slow || !brim || !quick) throw new Error("nobody is there");
  slow.bufferedAmount = MOST + 1;
  brim.bufferedAmount = MOST;
  for (const i of told) {
    const connection = connections[i];
    if (connection) all.tell(connection, "hello\n");
  }
  all.publish("news", "a\n");
  all.flush();
  expect(all.slow.map(({ socket }) => socket)).toEqual([slow]);
  const hello = told.length > 0 ? "hello\n" : "";
  expect([slow.done, brim.done, quick.done]).toEqual([[], [`${hello}a\n`], ["a\n"]]);
  // It is still due to that one, which may only have had to wait for a commit.
  slow.bufferedAmount = 0;
  expect({ slow: all.slow, due: all.due }).toEqual({ slow: [], due: 1 });
  all.flush();
  expect({ done: slow.done, due: all.due }).toEqual({ done: [`${hello}a\n`], due: 0 });
});

test("a line that one connection is told costs the others nothing", () => {
  const { all, connections, sockets } = readers(8);
  const [one, ...others] = connections;
  if (!one) throw new Error("nobody is there");
  for (let i = 0; i < 100; i++) {
    all.publish("news", `${i}\n`);
    all.tell(one, "pong\n");
    if (i % 2 === 0) all.unsubscribe(one, "news");
    else all.subscribe(one, "news");
  }
  // Lines of channels count once, and nothing has been copied for those that only read them.
  expect(all.gathered).toBeLessThan(20_000);
  expect(new Set(others.map(({ gathered }) => gathered))).toEqual(new Set([""]));
  all.flush();
  const lines = Array.from({ length: 100 }, (_, i) => `${i}\n`);
  expect(new Set(sockets.slice(1).map(({ done }) => done.join("|")))).toEqual(new Set([lines.join("")]));
  const own = lines.map((line, i) => (i % 2 === 0 ? line : ""));
  expect(sockets[0]?.done).toEqual([own.map((line) => `${line}pong\n`).join("")]);
});

test("who has closed already can be closed, and is told nothing more", () => {
  const { all, connections, sockets } = readers(1);
  const [one] = connections;
  const [socket] = sockets;
  if (!one || !socket) throw new Error("nobody is there");
  socket.isGone = true;
  all.close(one, 1013, "because");
  all.tell(one, "hello\n");
  all.flush();
  expect({ done: socket.done, size: all.size, gathered: all.gathered }).toEqual({
    done: [],
    size: 0,
    gathered: 0,
  });
});

test("subscriptions have a budget, which names and the first one to a channel count for", () => {
  const sockets = { acceptWebSocket: () => {}, getWebSockets: () => [] };
  const connections = new Connections(sockets, { maxBufferedBytes: MOST, mostWaiting: 8 * MOST }, () => 0, {
    flush: () => {},
  });
  const crowd = Array.from({ length: 200 }, () => connections.accept(new Kept(), undefined));
  const subscribe = (from: number, to: number) => {
    for (const connection of crowd.slice(from, to)) {
      for (let i = 0; i < 256; i++)
        connections.subscribe(connection, `${from}-${i}-${crowd.indexOf(connection)}`);
    }
  };
  subscribe(0, 170);
  expect([connections.isCrowded, connections.isFull]).toEqual([false, false]);
  subscribe(170, 200);
  expect([connections.isCrowded, connections.isFull]).toEqual([true, false]);
  for (const connection of crowd) connections.remove(connection);
  connections.flush();
  expect([connections.isCrowded, connections.subscriptions]).toEqual([false, 0]);
});

/** The client takes nothing of what is sent. */
class Stalled extends Kept {
  override send(text: string): void {
    super.send(text);
    this.bufferedAmount += text.length;
  }
}

test("when too much waits for all, the others wait, those first who have taken most, and the heaviest are too slow", () => {
  const most = { maxBufferedBytes: 1_000_000, mostWaiting: 100_000 };
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const accepting = { acceptWebSocket: () => {}, getWebSockets: () => sockets };
  const all = new Connections(accepting, most, () => 0, { flush: () => {} });
  all.start();
  const connections = [...all];
  const line = `news!${"x".repeat(40_000)}\n`;
  const sent = () => sockets.map(({ done }) => done.length);
  all.publish("news", line);
  all.flush();
  expect([sent(), all.due, all.hasDrained()]).toEqual([[1, 1, 1, 0, 0, 0], 3, false]);
  expect(all.tooSlow).toEqual(connections.slice(0, 2));
  // The first one takes what it has, and goes before those that were held up.
  all.waiting.confirm(all.waiting.sent);
  Object.assign(sockets[0] ?? {}, { bufferedAmount: 0 });
  expect(all.hasDrained()).toBe(false);
  all.publish("news", line);
  all.flush();
  expect(sent()).toEqual([2, 1, 1, 0, 0, 0]);
  // What waits for who was closed goes with the network connection, not before: others had better go elsewhere.
  for (const connection of all.tooSlow) {
    all.drop(connection);
    all.close(connection, 1013, "too slow");
  }
  expect(all.isCrowded).toBe(true);
  for (const socket of sockets) all.forget(socket);
  expect(all.isCrowded).toBe(false);
});

test("of many that are closed at once, only those get their last lines for which there is room", () => {
  const sockets = Array.from({ length: 6 }, () => new Stalled({ channels: ["news"] }));
  const accepting = { acceptWebSocket: () => {}, getWebSockets: () => sockets };
  const most = { maxBufferedBytes: 1_000_000, mostWaiting: 100_000 };
  const all = new Connections(accepting, most, () => 0, { flush: () => {} });
  all.start();
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  for (const connection of [...all]) all.close(connection, 1013, "lost");
  expect(sockets.map(({ done }) => done.length)).toEqual([2, 2, 2, 1, 1, 1]);
  expect(sockets.every(({ done }) => done.at(-1) === "closed 1013 lost")).toBe(true);
});

test("where the runtime doesn't count what a commit holds back, no more is sent than may wait", () => {
  const sockets = Array.from({ length: 6 }, () => new Kept({ channels: ["news"] }));
  const all = new Connections(
    { acceptWebSocket: () => {}, getWebSockets: () => sockets },
    { maxBufferedBytes: 1_000_000, mostWaiting: 100_000 },
    () => 0,
    { flush: () => {} },
  );
  all.start();
  all.publish("news", `news!${"x".repeat(40_000)}\n`);
  all.flush();
  const sent = () => sockets.map(({ done }) => done.length);
  expect([sent(), all.areHeld, all.hasDrained()]).toEqual([[1, 1, 1, 0, 0, 0], true, false]);
  all.waiting.confirm(all.waiting.sent);
  expect(all.hasDrained()).toBe(true);
  all.flush();
  expect([sent(), all.areHeld]).toEqual([[1, 1, 1, 1, 1, 1], false]);
});

test("of few connections, each may have half of what makes it slow before others wait", () => {
  const sockets = Array.from({ length: 2 }, () => new Stalled({ channels: ["news"] }));
  const all = new Connections(
    { acceptWebSocket: () => {}, getWebSockets: () => sockets },
    { maxBufferedBytes: 100_000, mostWaiting: 10_000_000 },
    () => 0,
    { flush: () => {} },
  );
  all.start();
  for (let i = 0; i < 3; i++) {
    all.publish("news", `news!${"x".repeat(40_000)}\n`);
    all.flush();
  }
  expect({ held: all.areHeld, slow: all.slow }).toEqual({ held: true, slow: [] });
});
