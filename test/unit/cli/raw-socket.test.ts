/** The doctor's WebSocket, whose lines it reads itself. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openSocket } from "../../../src/cli/raw-socket.ts";

/** The server's end of the newest WebSocket. */
class FakeWebSocket {
  static newest: FakeWebSocket;
  readonly sent: string[] = [];
  isClosed = false;
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};
  onerror: () => void = () => {};
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeWebSocket.newest = this;
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.isClosed = true;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeWebSocket);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Opens a socket, to which the server sends these frames. */
async function open(frames: string[], query?: Record<string, string>, token?: string) {
  const opening = openSocket({ url: "https://host", token }, 1_000, "news", query);
  const { newest } = FakeWebSocket;
  for (const data of frames) newest.onmessage({ data });
  return { server: newest, socket: await opening };
}

test("the address has the channel and a query, and the token is a protocol", async () => {
  const { server } = await open(["debug!connected...\n"]);
  expect([server.url, server.protocols]).toEqual(["wss://host/news", []]);
  const other = await open(["debug!connected...\n"], { since: "now" }, "t");
  expect([other.server.url, other.server.protocols]).toEqual(["wss://host/news?since=now", ["fanout", "t"]]);
});

test("lines are whole, and messages on `all` are left out", async () => {
  const { server, socket } = await open(["debug!conn", "ected...\nall!x\nnews!", "a\nnews!b\n"]);
  expect([await socket.line(), await socket.line()]).toEqual(["news!a", "news!b"]);
  const replies = socket.repliesTo("subscribe a", "subscribe b");
  expect(server.sent).toEqual(["subscribe a\nsubscribe b\nping\n"]);
  server.onmessage({ data: "debug!position a 1\n" });
  server.onmessage({ data: "debug!position b 2\n1700000000\nlater\n" });
  expect(await replies).toEqual(["debug!position a 1", "debug!position b 2"]);
  expect(await socket.line()).toBe("later");
});

test("lines received before the end can still be read; then it is an error", async () => {
  const { server, socket } = await open(["debug!connected...\nlast\n"]);
  server.onclose({ code: 1013, reason: "busy: x" });
  server.onerror();
  expect(await socket.line()).toBe("last");
  await expect(socket.line()).rejects.toThrow("the connection was closed (1013 busy: x)");
});

test("a pending line fails with the connection, or after the timeout", async () => {
  const broken = await open(["debug!connected...\n"]);
  const line = broken.socket.line();
  broken.server.onerror();
  await expect(line).rejects.toThrow("the connection broke off");
  const silent = await open(["debug!connected...\n"]);
  const late = expect(silent.socket.line()).rejects.toThrow("no line in 1 s");
  await vi.advanceTimersByTimeAsync(1_000);
  await late;
  expect(vi.getTimerCount()).toBe(0);
});

test("a socket without the greeting is closed", async () => {
  await expect(open(["hello\n"])).rejects.toThrow("'hello' isn't the greeting");
  expect(FakeWebSocket.newest.isClosed).toBe(true);
});
