/** A session over a WebSocket, whose server the test is. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Ending, Hearer } from "../../../src/client/session.ts";
import { SocketSession } from "../../../src/client/socket.ts";

/** A WebSocket that the test answers for. */
class FakeSocket {
  static newest: FakeSocket;
  readonly sent: string[] = [];
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.newest = this;
  }

  send(frame: string): void {
    this.sent.push(frame);
  }

  close(): void {}
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function begin() {
  const told: unknown[] = [];
  const endings: Ending[] = [];
  const tell =
    (what: string) =>
    (...more: unknown[]) =>
      void told.push([what, ...more]);
  const hearer: Hearer = {
    opened: tell("opened"),
    located: tell("located"),
    message: tell("message"),
    gap: tell("gap"),
    refused: tell("refused"),
    ended: (ending) => void endings.push(ending),
  };
  const address = { url: "https://example.com/live/", token: "t" };
  const session = new SocketSession(address, { channel: "a/b", from: { since: 7 } }, hearer);
  const socket = FakeSocket.newest;
  const say = (text: string) => socket.onmessage?.({ data: text });
  return { told, endings, session, socket, say };
}

test("it connects at a channel, from a position on, and reads lines however they are cut", () => {
  const { told, socket, say } = begin();
  expect([socket.url, socket.protocols]).toEqual(["wss://example.com/live/a%2Fb?since=7", ["fanout", "t"]]);
  say("debug!connec");
  say("ted...\ndebug!gap a/b 7 9\ndebug!position a/b 9\na/b!x!y\na");
  say("ll!z\n");
  expect(told).toEqual([
    ["opened"],
    ["gap", "a/b", 7, 9],
    ["located", "a/b", 9],
    ["message", "a/b", "x!y"],
    ["message", "all", "z"],
  ]);
});

test("of a channel that was left and entered again, only the last place counts", () => {
  const { session, told, say } = begin();
  say("debug!connected...\ndebug!position a/b 9\n");
  session.subscribe("c", { last: 2 });
  session.unsubscribe("c");
  session.subscribe("c", { last: 2 });
  say("debug!position c 5\ndebug!position c 5\n");
  expect(told).toEqual([["opened"], ["located", "a/b", 9], ["located", "c", 5]]);
});

const GREETED = "debug!connected...\ndebug!position a/b 7\n";

test("replies and errors are matched by what they answer", async () => {
  const { session, socket, say } = begin();
  say(GREETED);
  const asked = [session.announce("a", "x", "k1"), session.announce("a", "y", "k2"), session.ping()];
  const refused = expect(asked[1]).rejects.toMatchObject({
    code: "forbidden",
    message: "your token doesn't grant this channel",
  });
  say("debug!error forbidden once k2: your token doesn't grant this channel\n1795438800\ndebug!once k1 4\n");
  expect(await asked[0]).toBe(4);
  await refused;
  await asked[2];
  expect(socket.sent).toEqual(["once k1 a x\nonce k2 a y\nping\n"]);
});

test("an error for another command refuses no pending announcement", async () => {
  const { session, told, say } = begin();
  say(GREETED);
  session.subscribe("c", { since: "now" });
  session.unsubscribe("d");
  const one = session.announce("a", "x", "k1");
  const other = session.announce("a", "y", "k2");
  say("debug!error rate unsubscribe d: too fast\ndebug!error invalid line: unknown command\n");
  say("debug!error forbidden once k3: never asked\ndebug!error forbidden subscribe x: never asked\n");
  say("debug!error forbidden announce a: never asked\ndebug!position c 3\n");
  say("debug!once k2 6\ndebug!once k1 5\n");
  expect(await Promise.all([one, other])).toEqual([5, 6]);
  expect(told).toEqual([["opened"], ["located", "a/b", 7], ["located", "c", 3]]);
});

test("a refused subscription is told with its code, or ends the session where it may succeed later", async () => {
  const { session, told, endings, say } = begin();
  say(GREETED);
  for (const channel of ["c", "d", "e"]) session.subscribe(channel, { since: "now" });
  say("debug!error no-history subscribe d: this channel retains no messages\n");
  say("debug!error forbidden subscribe c: no grant\ndebug!error unavailable subscribe e: try again\n");
  await vi.advanceTimersByTimeAsync(0);
  expect(told.slice(2)).toEqual([
    ["located", "d", undefined],
    ["refused", "c", expect.objectContaining({ code: "forbidden", message: "no grant" })],
  ]);
  expect(endings).toEqual([{ code: 1013, reason: "unavailable: try again", isFinal: false }]);
});

test("where no history is kept it announces plainly", async () => {
  const { session, socket, say } = begin();
  say(GREETED);
  const announced = session.announce("a", "x", "k");
  say("debug!error no-history once k: this channel retains no messages\n");
  await vi.advanceTimersByTimeAsync(0);
  expect(socket.sent).toEqual(["once k a x\n", "announce a x\nping\n"]);
  say("1795438800\n");
  expect(await announced).toBeUndefined();
});

test("commands without a reply of their own are refused by name, and else carried out when a ping is", async () => {
  const { session, say } = begin();
  say(GREETED);
  const plain = [session.announce("a", "x", "k1"), session.announce("a", "y", "k2")];
  const outcomes = Promise.allSettled(plain);
  for (const key of ["k1", "k2"]) say(`debug!error no-history once ${key}: nothing is retained\n`);
  await vi.advanceTimersByTimeAsync(0);
  // The first is carried out, though its ping is refused, and the second isn't.
  say("debug!error rate ping: too fast\n");
  await vi.advanceTimersByTimeAsync(0);
  say("debug!error rate announce a: too fast\n1795438800\n");
  expect(await outcomes).toEqual([
    { status: "fulfilled", value: undefined },
    { status: "rejected", reason: expect.objectContaining({ code: "rate" }) },
  ]);
  const figures = [session.info(), session.info()];
  const second = expect(figures[1]).rejects.toMatchObject({ code: "forbidden" });
  say("uptime: 1d\n1795438800\n");
  await figures[0];
  say("debug!error forbidden info: your token lacks the claim 'operate'\n1795438800\n");
  await second;
});

test("a server that is not there any more is found out, and one that is costs it nothing", async () => {
  const { endings, socket, say } = begin();
  say("debug!connected...\n");
  await vi.advanceTimersByTimeAsync(25_000);
  expect(socket.sent).toEqual(["keepalive\n"]);
  say("debug!alive\n");
  await vi.advanceTimersByTimeAsync(24_999);
  expect(endings).toEqual([]);
  await vi.advanceTimersByTimeAsync(1 + 8_000);
  expect(endings).toEqual([{ code: 1006, reason: "the server does not answer", isFinal: false }]);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(socket.sent).toHaveLength(2);
});

test("a connection that dies before it is greeted is given up", async () => {
  const { endings } = begin();
  await vi.advanceTimersByTimeAsync(9_999);
  expect(endings).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(endings).toEqual([{ code: 0, reason: "the server does not answer", isFinal: false }]);
});

test("a limit that was broken is final, a crash is not", () => {
  for (const [code, isFinal] of [
    [1008, true],
    [1013, false],
    [1006, false],
  ] as const) {
    const { endings, socket, say } = begin();
    say("debug!connected...\n");
    socket.onclose?.({ code, reason: "why" });
    expect(endings).toEqual([{ code, reason: "why", isFinal }]);
  }
});
