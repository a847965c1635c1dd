/** The original protocol on a TCP port, for a server that is elsewhere. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Change, Fanout } from "../client/fanout.ts";
import { faultIn } from "../protocol/errors.ts";
import { BUSY } from "../protocol/replies.ts";
import type { Memory } from "./memory.ts";
import { Guest } from "./tcp-client.ts";

export interface BridgeOptions {
  /** The server. */
  to: string;
  token?: string | undefined;
  host: string;
  /** 0 takes any that is free. */
  port: number;
}

/** Guests at one time, those included who have gone while something that they announced is on its way. */
const MOST_GUESTS = 10_000;

/** Characters held for all guests together. The base of each guest, one write and one short line, adds 32 kB. */
const MOST_MEMORY = 256_000_000;

/** Characters written for one guest before it counts as behind, if memory is full. */
const WRITE_SIZE = 16_384;

/** After so long without a word the other end of a connection is asked whether it is still there, in milliseconds. */
const SILENCE = 60_000;

/**
 * Lets guests in from now on.
 * @throws Error if the port is not free
 */
export async function bridge({ to, token, host, port }: BridgeOptions): Promise<Server> {
  let guests = 0;
  const memory: Memory = { used: 0, most: MOST_MEMORY };
  const options = { allowHalfOpen: true, noDelay: true, highWaterMark: WRITE_SIZE };
  const server = createServer(options, (socket) => {
    socket.on("error", () => {});
    if (guests >= MOST_GUESTS) {
      socket.end(BUSY);
      return;
    }
    guests += 1;
    void receive(socket, to, token, memory).finally(() => {
      guests -= 1;
    });
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

/** Lets a guest in; ends when it has gone, and all that it had announced has its place. */
async function receive(socket: Socket, to: string, token: string | undefined, memory: Memory): Promise<void> {
  socket.setEncoding("utf8").setKeepAlive(true, SILENCE);
  const onState = ({ state, reason }: Change) => {
    if (state === "failed" && socket.writable) guest.end(faultIn(reason));
  };
  const fanout = new Fanout(to, { onState, token });
  const guest = new Guest(socket, fanout, memory);
  try {
    await guest.serve();
    await fanout.close({ within: Number.POSITIVE_INFINITY });
    guest.end();
  } catch (error) {
    guest.end({ code: "unavailable", why: error instanceof Error ? error.message : String(error) });
  }
  await fanout.close();
}

/** Where a server listens, as "host:port". */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens at no port");
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
