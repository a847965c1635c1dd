/** The bridge: serves the original TCP protocol, and forwards to a Fanout server. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Change, Fanout } from "../client/fanout.ts";
import { faultIn } from "../protocol/errors.ts";
import { BUSY } from "../protocol/replies.ts";
import { type Memory, TcpClient } from "./tcp-client.ts";

export interface BridgeOptions {
  /** The server's address. */
  to: string;
  token?: string | undefined;
  host: string;
  /** 0 for any free port. */
  port: number;
  /** Most clients, by default 10,000. */
  maxClients?: number;
}

/** Most clients. Disconnected clients count while their announcements are in flight. */
const MAX_CLIENTS = 10_000;

/** Characters buffered for all clients together. Each client may use 32 kB more, for one write and one short line. */
const MAX_MEMORY = 256_000_000;

/** Characters written to one client before it counts as slow, if memory is full. */
const WRITE_SIZE = 16_384;

/** Silence after which TCP checks that a client is still connected, in milliseconds. */
const KEEPALIVE_AFTER = 60_000;

/**
 * Starts the bridge.
 * @throws Error if the port isn't free
 */
export async function bridge({ to, token, host, port, maxClients = MAX_CLIENTS }: BridgeOptions): Promise<Server> {
  let clients = 0;
  const memory: Memory = { used: 0, most: MAX_MEMORY };
  const options = { allowHalfOpen: true, noDelay: true, highWaterMark: WRITE_SIZE };
  const server = createServer(options, (socket) => {
    socket.on("error", () => {});
    if (clients >= maxClients) {
      socket.end(BUSY);
      return;
    }
    clients += 1;
    void serve(socket, to, token, memory).finally(() => {
      clients -= 1;
    });
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

/** Serves a client; resolves when it has left and its announcements are acknowledged. */
async function serve(socket: Socket, to: string, token: string | undefined, memory: Memory): Promise<void> {
  socket.setEncoding("utf8").setKeepAlive(true, KEEPALIVE_AFTER);
  const onState = ({ state, reason }: Change) => {
    if (state === "failed" && socket.writable) client.end(faultIn(reason));
  };
  const fanout = new Fanout(to, { onState, token });
  const client = new TcpClient(socket, fanout, memory);
  try {
    await client.serve();
    await fanout.close({ within: Number.POSITIVE_INFINITY });
  } catch {
    // The connection broke, or spoke another protocol: reading it has destroyed the socket, so no reason can be sent.
  }
  client.end();
  await fanout.close();
}

/** Returns the address of a listening server, as "host:port". */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
