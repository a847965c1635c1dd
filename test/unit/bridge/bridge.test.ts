/** The bridge's port. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import { addressOf, bridge } from "../../../src/bridge/bridge.ts";
import { FakeSocket } from "../client/fakes.ts";

/** Starts a bridge to a server that doesn't exist. */
async function startBridge(maxClients: number) {
  const server = await bridge({ to: "ws://127.0.0.1:1", token: undefined, host: "127.0.0.1", port: 0, maxClients });
  onTestFinished(() => void server.close());
  const port = Number(addressOf(server).split(":")[1]);
  const client = async () => {
    const socket = connect(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { server, client };
}

test("clients beyond the limit are refused, until another one leaves", async () => {
  const { client, server } = await startBridge(2);
  const accepted = once(server, "connection");
  const [one] = [await client(), await client()];
  await accepted;
  expect(await text(await client())).toBe("debug!busy\n");
  one.end();
  await once(one.resume(), "close");
  const another = await client();
  another.write("GET / HTTP/1.1\r\n");
  // It is closed as a browser, not refused.
  expect(await text(another)).toBe("");
});

test("a server without a port has no address", async () => {
  expect(() => addressOf(createServer())).toThrow("the server has no port");
  const { server } = await startBridge(1);
  expect(addressOf(server)).toMatch(/^127\.0\.0\.1:\d+$/);
});

test.each([0, 1])("with room for %i clients, a connection that breaks off is no fault of the bridge", async (most) => {
  const { client, server } = await startBridge(most);
  const connected = once(server, "connection");
  await client();
  const [socket]: Socket[] = await connected;
  expect(() => socket?.emit("error", new Error("ECONNRESET"))).not.toThrow();
});

test("a client that has ended its side is connected until its announcements are acknowledged", async () => {
  FakeSocket.made = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  onTestFinished(() => void vi.unstubAllGlobals());
  const { client } = await startBridge(1);
  const socket = await client();
  socket.end("announce news hello\n");
  await vi.waitUntil(() => FakeSocket.made.length > 0);
  const server = FakeSocket.newest;
  server.receive("debug!connected...");
  await vi.waitUntil(() => server.lines.some((line) => line.startsWith("once ")));
  const received = text(socket);
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(socket.readableEnded).toBe(false);
  const [, key] = server.lines.find((line) => line.startsWith("once "))?.split(" ") ?? [];
  server.receive(`debug!once ${key} 1`);
  await received;
  expect(socket.readableEnded).toBe(true);
});
