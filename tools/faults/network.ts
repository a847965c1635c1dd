/** A network between clients and a server in which everything happens that does: it breaks, stalls, dies in silence. */
import { once } from "node:events";
import { createServer, connect as open, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listening } from "../../test/e2e/support/listening.ts";

/** One client's connection, and what has become of it. */
interface Pair {
  client: Socket;
  server: Socket;
  /** Nothing passes any more, and neither end is told. */
  isDead: boolean;
}

/** Bytes of a piece, where everything comes in pieces. */
const PIECE = 7;

export class Network {
  readonly #pairs = new Set<Pair>();
  readonly #target: () => string;
  #isSplitting = false;
  #delay = 0;
  /** While clients get nothing: ends when they do again. */
  #held: Promise<void> | undefined;
  #release = () => {};
  #url = "";
  #close = () => {};

  private constructor(target: () => string) {
    this.#target = target;
  }

  /** @param target the server's URL at that time */
  static async start(target: () => string): Promise<Network> {
    const network = new Network(target);
    const server = createServer((client) => network.#connect(client));
    network.#url = await listening(server);
    network.#close = () => server.close();
    return network;
  }

  /** Where clients find it: `http://127.0.0.1:` and a port of its own. */
  get url(): string {
    return this.#url;
  }

  /** How many connections it has. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Breaks all connections off. */
  cut(): void {
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** Has all connections that there are pass nothing on, for ever, and stay open. */
  die(): void {
    for (const pair of this.#pairs) pair.isDead = true;
  }

  /** Passes nothing on to clients from now on, or all again. */
  hold(isHolding: boolean): void {
    this.#release();
    this.#held = isHolding ? new Promise((resolve) => (this.#release = resolve)) : undefined;
  }

  /** Has all take so many milliseconds longer from now on. */
  delay(milliseconds: number): void {
    this.#delay = milliseconds;
  }

  /** Passes all on in pieces of a few bytes from now on, or not. */
  split(isSplitting: boolean): void {
    this.#isSplitting = isSplitting;
  }

  stop(): void {
    this.#close();
    this.hold(false);
    for (const { client } of this.#pairs) client.destroy();
  }

  #connect(client: Socket): void {
    const { hostname, port } = new URL(this.#target());
    const server = open(Number(port), hostname);
    const pair: Pair = { client, server, isDead: false };
    this.#pairs.add(pair);
    client.once("close", () => {
      server.destroy();
      this.#pairs.delete(pair);
    });
    for (const socket of [client, server]) socket.setNoDelay(true).on("error", () => {});
    void this.#pass(pair, client, server);
    void this.#pass(pair, server, client);
  }

  /** Passes on what comes from one end, in order, and that it has ended. */
  async #pass(pair: Pair, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const bytes of from) {
        if (this.#delay > 0) await sleep(this.#delay);
        if (from === pair.server) await this.#held;
        if (pair.isDead) return await never();
        await this.#write(bytes, to);
      }
      if (!pair.isDead) to.end();
    } catch {
      if (!pair.isDead) to.destroy();
    }
  }

  async #write(bytes: Buffer, to: Socket): Promise<void> {
    for (const piece of this.#isSplitting ? piecesOf(bytes) : [bytes]) {
      if (!to.write(piece)) await once(to, "drain");
    }
  }
}

/** Ends a loop over a socket without ending the socket. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function piecesOf(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE));
  return pieces;
}
