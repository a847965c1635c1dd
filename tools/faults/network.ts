/** A faulty network between clients and a server: connections break, stall, slow down, or die silently. */
import { once } from "node:events";
import { createServer, connect as open, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listening } from "../../test/e2e/support/listening.ts";

/** The two halves of a client's connection. */
interface Pair {
  client: Socket;
  server: Socket;
  /** Whether it passes no more data, without telling either end. */
  isDead: boolean;
}

/** Size of the pieces that data is split into, in bytes. */
const PIECE = 7;

export class Network {
  readonly #pairs = new Set<Pair>();
  readonly #target: () => string;
  #isSplitting = false;
  #delay = 0;
  /** While data to clients is held: resolves when it is released. */
  #held: Promise<void> | undefined;
  #release = () => {};
  #url = "";
  #close = () => {};

  private constructor(target: () => string) {
    this.#target = target;
  }

  /** @param target returns the server's current URL */
  static async start(target: () => string): Promise<Network> {
    const network = new Network(target);
    const server = createServer((client) => network.#connect(client));
    network.#url = await listening(server);
    network.#close = () => server.close();
    return network;
  }

  /** The URL that clients connect to: `http://127.0.0.1:` and a free port. */
  get url(): string {
    return this.#url;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets all connections. */
  cut(): void {
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** Makes all current connections pass no more data, while they stay open. */
  die(): void {
    for (const pair of this.#pairs) pair.isDead = true;
  }

  /** Holds all data to clients, or releases it. */
  hold(isHolding: boolean): void {
    this.#release();
    this.#held = isHolding ? new Promise((resolve) => (this.#release = resolve)) : undefined;
  }

  /** Delays all data by this many milliseconds. */
  delay(milliseconds: number): void {
    this.#delay = milliseconds;
  }

  /** Starts or stops splitting data into pieces of a few bytes. */
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

  /** Passes on the data of one end, in order, and then its end. */
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

/** Never resolves, which leaves a loop over a socket without ending the socket. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function piecesOf(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE));
  return pieces;
}
