/** A soak client that uses the client library, which retries by itself. */
import { Fanout } from "../../../src/client/fanout.ts";
import { ProgressOf, type SoakLog } from "./soak-client.ts";

export class LibrarySoakClient {
  readonly #name: string;
  readonly #progress: ProgressOf;
  readonly #log: SoakLog;
  readonly #fanout: Fanout;
  #announced = 0;

  /** @param channels the channels it counts */
  constructor(name: string, channels: string[], log: SoakLog, url: string) {
    this.#name = name;
    this.#log = log;
    this.#progress = new ProgressOf(name, channels, log);
    this.#fanout = new Fanout(url);
    for (const channel of channels) {
      this.#fanout.subscribe(channel, {
        onMessage: ({ text, position = -1 }) => this.#progress.receive(channel, text, position),
        onGap: ({ from, to }) => {
          this.#progress.gap(`gap ${channel} ${from} ${to}`, channel);
          if (to !== undefined) this.#progress.resumeAt(channel, to);
        },
        onState: (state, _, error) => {
          if (state === "unsubscribed" && error) log.faults.push(`${name} was refused: ${error.message}`);
        },
      });
    }
    this.#fanout.on("state", ({ state, reason }) => {
      if (state === "connected") log.resumed += 1;
      if (state === "disconnected") log.ended(reason);
      if (state === "failed") log.faults.push(`${name} failed: ${reason}`);
    });
  }

  async announce(channel: string): Promise<string> {
    this.#announced += 1;
    const message = `${this.#name} ${this.#announced}`;
    const position = await this.#fanout.announce(channel, message);
    this.#log.found(channel, position ?? -1, message);
    this.#log.announced += 1;
    return message;
  }

  /** Resolves when it has received the newest message of each of its channels. */
  reach(newest: Map<string, string>): Promise<void> {
    return this.#progress.reach(newest);
  }

  stop(): Promise<void> {
    return this.#fanout.close();
  }
}
