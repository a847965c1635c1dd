/** A server's connections, and the channels that they subscribe to. */
import { Flow } from "./flow.ts";
import type { Server } from "./peers/peer.ts";
import { Counter, Witness } from "./subscribers.ts";
import { Connection } from "./websocket.ts";

/** Maximum connections being opened at once. */
const OPENING = 200;
/** Number of subscribers that check every line they receive. */
const WITNESSES = 10;

/** The role of one connection. Channels are referred to by index. */
export interface Seat {
  /** The channel it connects to, if it is not one of the measured ones. */
  home?: string;
  subscribesTo: number[];
  /** The channel it can announce on. */
  announcesOn?: number;
}

/** Connections and their channels; `name` is part of the channels' names, to keep seatings apart. */
export interface Seating {
  name: string;
  channels: number;
  seats: Seat[];
}

export class Crowd {
  readonly flows: Flow[];
  readonly subscribers: Counter[] = [];
  readonly #server: Server;
  readonly #seating: Seating;
  readonly #connections: Connection[] = [];

  private constructor(server: Server, seating: Seating) {
    this.#server = server;
    this.#seating = seating;
    this.flows = Array.from({ length: seating.channels }, (_, index) => {
      return new Flow(server.protocol, index, `${seating.name}-${String(index).padStart(4, "0")}`);
    });
  }

  static async open(server: Server, seating: Seating): Promise<Crowd> {
    const crowd = new Crowd(server, seating);
    const ready: Promise<void>[] = [];
    for (let index = 0; index < seating.seats.length; index += OPENING) {
      const seats = seating.seats.slice(index, index + OPENING);
      const connections = seats.map((seat) => crowd.#connect(seat, ready));
      await Promise.all(connections.map(({ opened }) => opened));
    }
    await Promise.all(ready);
    crowd.#listen();
    return crowd;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** @param ready receives a promise that resolves when the connection has subscribed */
  #connect(seat: Seat, ready: Promise<void>[]): Connection {
    const { protocol, port } = this.#server;
    const channels = seat.subscribesTo.map((index) => this.#name(index));
    const home = seat.home
      ? `${this.#seating.name}-${seat.home}`
      : this.#name(seat.announcesOn ?? seat.subscribesTo[0] ?? 0);
    const first = protocol.introduction(home, channels);
    const connection = new Connection(port, protocol.path(home), first, protocol.subprotocol);
    this.#connections.push(connection);
    const { ready: awaited } = protocol;
    if (awaited === undefined) return connection;
    let read = "";
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.onReceive = (bytes, from, to) => {
      read += bytes.toString("latin1", from, to);
      if (awaited.test(read)) resolve();
    };
    ready.push(promise);
    return connection;
  }

  #name(channel: number): string {
    return this.flows[channel]?.channel ?? "";
  }

  /** Divides the connections into counters and, evenly spread, witnesses. */
  #listen(): void {
    const spacing = (this.#connections.length - 1) / (WITNESSES - 1);
    let witnesses = 0;
    for (const [index, connection] of this.#connections.entries()) {
      const { subscribesTo = [], announcesOn } = this.#seating.seats[index] ?? {};
      if (announcesOn !== undefined) this.flows[announcesOn]?.announcing.push(connection);
      const flows = subscribesTo.flatMap((channel) => this.flows[channel] ?? []);
      for (const flow of flows) flow.subscribers += 1;
      const isWitness = flows.length > 1 || index >= Math.floor(witnesses * spacing);
      if (isWitness) witnesses += 1;
      this.subscribers.push(isWitness ? new Witness(connection, flows, this.flows) : new Counter(connection, flows));
    }
  }
}
