/** A load test: many clients in this browser that announce on one channel at a given total rate. */
import { Fanout } from "../client/fanout.ts";
import type { PageContext } from "./pane.ts";
import type { Traffic } from "./traffic.ts";

/** The interval between batches of announcements, in milliseconds. */
const INTERVAL = 50;

/** The progress of a load test. */
export interface Progress {
  connected: number;
  announced: number;
  delivered: number;
  /** Why announcing has stopped, if it has. */
  fault: string | undefined;
}

export class Load {
  readonly progress: Progress = { connected: 0, announced: 0, delivered: 0, fault: undefined };
  readonly #clients: Fanout[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #traffic: Traffic;
  readonly #channel: string;
  /** Distinguishes the messages of load tests. */
  readonly #name = Math.random().toString(36).slice(2, 6);

  /** @param rate messages per second, of all clients together */
  constructor({ base, token, traffic }: PageContext, channel: string, connections: number, rate: number) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#clients = Array.from({ length: connections }, () => this.#newClient(base, token()));
    let due = 0;
    this.#timer = setInterval(() => {
      for (due += (rate * INTERVAL) / 1_000; due >= 1; due -= 1) this.#announce();
    }, INTERVAL);
  }

  /** The number of clients. */
  get size(): number {
    return this.#clients.length;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.close({ within: 0 });
  }

  #newClient(base: string, token: string | undefined): Fanout {
    let isConnected = false;
    const onState = ({ state }: { state: string }) => {
      if ((state === "connected") === isConnected) return;
      isConnected = !isConnected;
      this.progress.connected += isConnected ? 1 : -1;
    };
    const client = new Fanout(base, { onState, token });
    client.subscribe(this.#channel, {
      onMessage: ({ channel, text }) => {
        this.progress.delivered += 1;
        this.#traffic.received(channel, text);
      },
    });
    return client;
  }

  /** Announces from the clients in turn, once all are connected; before, deliveries couldn't be predicted. */
  #announce(): void {
    const { progress } = this;
    const client = this.#clients[progress.announced % this.#clients.length];
    if (!client || progress.connected < this.#clients.length) return;
    progress.announced += 1;
    const text = `load ${this.#name} ${progress.announced}`;
    this.#traffic.sent(this.#channel, text);
    client.announce(this.#channel, text).catch((error: Error) => {
      progress.fault ??= error.message;
      clearInterval(this.#timer);
    });
  }
}
