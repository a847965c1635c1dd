/** A network between a client and a server in which everything happens that does: it breaks, stalls, dies in silence. */
import { createServer, connect as open, type Socket } from "node:net";
import { listening } from "../e2e/listening.ts";

/** One client's connection, and what has become of it. */
interface Pair {
  client: Socket;
  server: Socket;
  /** Nothing passes any more, and neither end is told. */
  isDead: boolean;
}

export class FaultyNetwork {
  readonly #pairs = new Set<Pair>();
  readonly #target: () => string;
  #isSplitting = false;
  #delay = 0;
  #url = "";
  #stop = () => {};

  private constructor(target: () => string) {
    this.#target = target;
  }

  /** @param target the server's URL at that time */
  static async start(target: () => string): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(target);
    const server = createServer((client) => network.#connect(client));
    network.#url = await listening(server);
    network.#stop = () => server.close();
    return network;
  }

  /** Where clients find it. */
  get url(): string {
    return this.#url;
  }

  /** Breaks all connections off. */
  cut(): void {
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** Has all connections that there are pass nothing on, for ever, and stay open. */
  die(): void {
    for (const pair of this.#pairs) pair.isDead = true;
  }

  /** Passes nothing on to clients for a time, in milliseconds. */
  stall(milliseconds: number): void {
    for (const { server } of this.#pairs) server.pause();
    setTimeout(() => {
      for (const { server } of this.#pairs) server.resume();
    }, milliseconds);
  }

  /** Passes all on a while later, in milliseconds, from now on. */
  delay(milliseconds: number): void {
    this.#delay = milliseconds;
  }

  /** Passes all on in pieces of a few bytes from now on, or not. */
  split(isSplitting: boolean): void {
    this.#isSplitting = isSplitting;
  }

  stop(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#stop();
  }

  #connect(client: Socket): void {
    const { port } = new URL(this.#target());
    const server = open(Number(port), "127.0.0.1");
    const pair: Pair = { client, server, isDead: false };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (bytes) => this.#pass(pair, bytes, to));
      from.on("error", () => {});
      from.on("close", () => {
        if (!pair.isDead) to.destroy();
        if (from === client) {
          to.destroy();
          this.#pairs.delete(pair);
        }
      });
    }
  }

  #pass(pair: Pair, bytes: Buffer, to: Socket): void {
    const pieces = this.#isSplitting ? piecesOf(bytes) : [bytes];
    setTimeout(() => {
      if (!pair.isDead && !to.destroyed) for (const piece of pieces) to.write(piece);
    }, this.#delay);
  }
}

/** Bytes in pieces of seven. */
function piecesOf(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 7) pieces.push(bytes.subarray(at, at + 7));
  return pieces;
}
