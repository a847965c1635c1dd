/** Connections at one server, and the channels that they hear. */
import { Flow } from "./flow.ts";
import { Counter, Witness } from "./listeners.ts";
import type { Server } from "./servers.ts";
import { Connection } from "./websocket.ts";

/** Connections being opened at one time. */
const OPENING = 200;
/** So many of the listeners look closely at what they receive. */
const WITNESSES = 10;

/** What one connection does. Channels are known by their index. */
export interface Seat {
  /** The channel that it is connected at, if that is none of those that are heard. */
  home?: string;
  hears: number[];
  /** The channel that it can announce on. */
  announces?: number;
}

/** Who is connected where; `name` tells channels of one apart from those of another. */
export interface Seating {
  name: string;
  channels: number;
  seats: Seat[];
}

export class Crowd {
  readonly flows: Flow[];
  readonly listeners: Counter[] = [];
  readonly #server: Server;
  readonly #seating: Seating;
  readonly #connections: Connection[] = [];

  private constructor(server: Server, seating: Seating) {
    this.#server = server;
    this.#seating = seating;
    this.flows = Array.from({ length: seating.channels }, (_, index) => {
      return new Flow(server.dialect, index, `${seating.name}-${String(index).padStart(4, "0")}`);
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

  /** @param ready gets what is fulfilled when the connection hears what it should */
  #connect(seat: Seat, ready: Promise<void>[]): Connection {
    const { dialect, port } = this.#server;
    const channels = seat.hears.map((index) => this.#name(index));
    const home = seat.home
      ? `${this.#seating.name}-${seat.home}`
      : this.#name(seat.announces ?? seat.hears[0] ?? 0);
    const introduction = dialect.introduction(home, channels);
    const connection = new Connection(port, dialect.path(home), introduction);
    this.#connections.push(connection);
    let read = "";
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.onReceive = (bytes, from, to) => {
      read += bytes.toString("latin1", from, to);
      if (dialect.isReady(read)) resolve();
    };
    ready.push(promise);
    return connection;
  }

  #name(channel: number): string {
    return this.flows[channel]?.channel ?? "";
  }

  /** Divides the connections into those that count and, evenly spread, those that look closely. */
  #listen(): void {
    const spacing = (this.#connections.length - 1) / (WITNESSES - 1);
    let witnesses = 0;
    for (const [index, connection] of this.#connections.entries()) {
      const { hears = [], announces } = this.#seating.seats[index] ?? {};
      if (announces !== undefined) this.flows[announces]?.voices.push(connection);
      const flows = hears.flatMap((channel) => this.flows[channel] ?? []);
      for (const flow of flows) flow.listeners += 1;
      const isWitness = flows.length > 1 || index >= Math.floor(witnesses * spacing);
      if (isWitness) witnesses += 1;
      this.listeners.push(
        isWitness ? new Witness(connection, flows, this.flows) : new Counter(connection, flows),
      );
    }
  }
}
