/** Objects that call each other at once, without time, network or randomness, and their clients. */
import type { Grants } from "../../../src/auth/grants.ts";
import type { Guard } from "../../../src/auth/verify.ts";
import { Broker } from "../../../src/object/broker.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { readLimits, type Variables } from "../../../src/runtime/limits.ts";
import { storeOf } from "../../simulation/store.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { type AlarmState, fakeRuntime } from "../tree/fake-runtime.ts";

/** The server's end of a connection, and the lines that its client has received. */
class Connection extends ClientSocket {
  readonly #broker: () => Broker;

  constructor(broker: () => Broker) {
    super();
    this.#broker = broker;
  }

  /** Sends lines; resolves with the lines that the client receives. */
  async ask(...lines: string[]): Promise<string[]> {
    this.read();
    this.#broker().received(this, lines.join("\n"));
    await settled();
    return this.read();
  }

  /** Returns the lines received since the last call. */
  read(): string[] {
    const { lines } = this;
    this.text = "";
    return lines;
  }
}

export class Service {
  readonly #objects = new Map<
    string,
    { broker: Broker | undefined; sockets: Connection[]; rows: Map<string, unknown>; alarm: AlarmState }
  >();
  readonly #variables: Variables;
  /** Milliseconds since 1970. */
  now = 1_000_000;
  /** Whether storage accepts rows. */
  accepts = true;
  /** The number of rows so far that objects tried to write or delete. */
  attempts = 0;

  /** The number of calls so far, by kind. */
  readonly calls = new Map<string, number>();
  readonly #guard: Guard | undefined;

  /** @param guard undefined for a service without tokens */
  constructor(variables: Variables = {}, guard?: Guard) {
    this.#variables = variables;
    this.#guard = guard;
  }

  #of(name: string) {
    const known = this.#objects.get(name);
    if (known) return known;
    const object = {
      broker: undefined,
      sockets: [],
      rows: new Map<string, unknown>(),
      alarm: { time: undefined },
    };
    this.#objects.set(name, object);
    return object;
  }

  /** Returns an object, which wakes if it isn't in memory. */
  broker(name: string): Broker {
    const object = this.#of(name);
    if (object.broker) return object.broker;
    const runtime = fakeRuntime(name, object.rows, {}, object.alarm);
    const hibernated = [...object.sockets];
    object.broker = new Broker(
      {
        ...runtime,
        now: () => this.now,
        store: storeOf(object.rows, () => {
          this.attempts += 1;
          return this.accepts;
        }),
        open: (other) => ({
          call: async (kind, ask, hop) => {
            this.calls.set(kind, (this.calls.get(kind) ?? 0) + 1);
            return this.broker(other).called(kind, structuredClone(ask), hop);
          },
        }),
      },
      socketsOf(...hibernated),
      readLimits(this.#variables),
      this.#guard,
    ).start();
    return object.broker;
  }

  rows(name: string): Map<string, unknown> {
    return this.#of(name).rows;
  }

  async connect(channel: string, from?: From, grants?: Grants): Promise<Connection> {
    const connection = new Connection(() => this.broker(channel));
    this.#of(channel).sockets.push(connection);
    this.broker(channel).opened(connection, "", grants, from);
    await settled();
    return connection;
  }

  /** Makes an object hibernate, with its connections. */
  hibernate(name: string): void {
    this.#of(name).broker = undefined;
  }

  /** Makes an object crash, which closes its connections. */
  crash(name: string): void {
    this.hibernate(name);
    this.#of(name).sockets.length = 0;
  }
}
