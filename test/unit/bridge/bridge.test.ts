/** The bridge's port. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { addressOf, bridge } from "../../../src/bridge/bridge.ts";

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
