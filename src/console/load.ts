/** Many clients of this browser at once, all on one channel, that announce so many messages a second together. */
import { Fanout } from "../client/fanout.ts";
import type { PageContext } from "./pane.ts";
import type { Traffic } from "./traffic.ts";

/** How often messages are announced, in milliseconds: those of that time together. */
const EACH = 50;

/** What is going on. */
export interface Progress {
  connected: number;
  announced: number;
  delivered: number;
  /** Why announcing has ended, if it has. */
  fault: string | undefined;
}

export class Load {
  readonly progress: Progress = { connected: 0, announced: 0, delivered: 0, fault: undefined };
  readonly #clients: Fanout[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #traffic: Traffic;
  readonly #channel: string;
  /** So that no two loads say the same. */
  readonly #name = Math.random().toString(36).slice(2, 6);

  /** @param rate messages a second */
  constructor({ base, token, traffic }: PageContext, channel: string, connections: number, rate: number) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#clients = Array.from({ length: connections }, () => this.#newClient(base, token()));
    let due = 0;
    this.#timer = setInterval(() => {
      for (due += (rate * EACH) / 1_000; due >= 1; due -= 1) this.#announce();
    }, EACH);
  }

  /** How many there are to be. */
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
        this.#traffic.heard(channel, text);
      },
    });
    return client;
  }

  /** By one after the other; not before all are there, as nobody would know what to expect. */
  #announce(): void {
    const { progress } = this;
    const client = this.#clients[progress.announced % this.#clients.length];
    if (!client || progress.connected < this.#clients.length) return;
    progress.announced += 1;
    const text = `load ${this.#name} ${progress.announced}`;
    this.#traffic.announced(this.#channel, text);
    client.announce(this.#channel, text).catch((error: Error) => {
      progress.fault ??= error.message;
      clearInterval(this.#timer);
    });
  }
}
