/** Forwards TCP connections, and breaks them on demand. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export class Forwarder {
  /** The port at which clients connect. */
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** The port to forward to; undefined while nothing listens there. */
  #target: number | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (client) => this.#accept(client));
    // A connection that the system can't accept is the client's failure.
    server.on("error", () => {});
  }

  /** Listens at a free port of this machine. Like its connections, it doesn't keep the program running. */
  static async listen(): Promise<Forwarder> {
    const server = createServer({ noDelay: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    server.unref();
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the system assigned no port");
    return new Forwarder(server, address.port);
  }

  /** Forwards connections from now on; without a port, resets them. */
  forwardTo(port: number | undefined): void {
    this.#target = port;
  }

  /** Resets all present connections, at both ends. */
  cut(): void {
    for (const pair of this.#pairs) pair.reset();
  }

  /** Ends all present connections without telling the clients, to which nothing arrives any more. */
  silence(): void {
    for (const pair of this.#pairs) pair.silence();
  }

  close(): void {
    this.#target = undefined;
    this.#server.close();
    this.cut();
  }

  #accept(client: Socket): void {
    client.on("error", () => {});
    if (this.#target === undefined) {
      reset(client);
      return;
    }
    const pair = new Pair(client, connect({ port: this.#target, host: "127.0.0.1", noDelay: true }));
    this.#pairs.add(pair);
    client.once("close", () => this.#pairs.delete(pair));
  }
}

/** A client's connection, and the one that continues it. */
class Pair {
  readonly #client: Socket;
  readonly #server: Socket;
  #isSilent = false;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    for (const socket of [client, server]) socket.unref();
    client.pipe(server);
    server.pipe(client);
    server.on("error", () => this.#ended());
    server.once("close", () => this.#ended());
    client.once("close", () => server.destroy());
  }

  reset(): void {
    this.#isSilent = false;
    reset(this.#server);
    reset(this.#client);
  }

  /** Ends the server's end, and leaves the client's open. */
  silence(): void {
    this.#isSilent = true;
    this.#client.unpipe();
    this.#server.unpipe();
    reset(this.#server);
    // What the client still sends is lost, but its system acknowledges it.
    this.#client.resume();
  }

  #ended(): void {
    if (!this.#isSilent) this.#client.destroy();
  }
}

/** Ends a connection without a farewell. Node never frees a socket that is reset while it says farewell. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
