/** A network between clients and a server, which the tests can make fail. */
import { createServer, connect as open, type Socket } from "node:net";
import { listening } from "./listening.ts";

export interface Network {
  /** Where it listens: `http://127.0.0.1:` and a port of its own. */
  readonly url: string;
  /** How many connections it has. */
  readonly connections: number;
  /** Breaks every connection off. */
  cut(): void;
  /** Passes nothing on to clients from now on, or all again. */
  hold(isHolding: boolean): void;
  stop(): Promise<void>;
}

/**
 * Starts a proxy.
 * @param target the server's URL at that time
 */
export async function startNetwork(target: () => string): Promise<Network> {
  const pairs = new Set<[client: Socket, server: Socket]>();
  let isHolding = false;
  const server = createServer((client) => {
    const { hostname, port } = new URL(target());
    const far = open(Number(port), hostname);
    const pair: [Socket, Socket] = [client, far];
    pairs.add(pair);
    const end = () => {
      for (const socket of pair) socket.destroy();
      pairs.delete(pair);
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    client.pipe(far);
    far.pipe(client);
    if (isHolding) far.pause();
  });
  const url = await listening(server);
  return {
    url,
    get connections() {
      return pairs.size;
    },
    cut: () => {
      for (const [client] of pairs) client.destroy();
    },
    hold: (hold) => {
      isHolding = hold;
      for (const [, far] of pairs) {
        if (hold) far.pause();
        else far.resume();
      }
    },
    stop: async () => {
      for (const [client] of pairs) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
