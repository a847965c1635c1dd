/**
 * A soak client without WebSockets: it subscribes with the standard `EventSource`, which reconnects by itself,
 * and announces with POST, retrying each message under the same key until it gets a reply.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EventSource } from "eventsource";
import { Network } from "../../../tools/faults/network.ts";
import type { Dice } from "./dice.ts";
import { PAUSE, ProgressOf, type SoakLog } from "./soak-client.ts";

export class HttpSoakClient {
  readonly #name: string;
  readonly #progress: ProgressOf;
  readonly #log: SoakLog;
  readonly #network: Network;
  readonly #source: EventSource;
  readonly #dice: Dice;
  #announced = 0;

  private constructor(name: string, channels: string[], log: SoakLog, network: Network, dice: Dice) {
    this.#name = name;
    this.#log = log;
    this.#network = network;
    this.#dice = dice;
    const [home = "all", ...others] = channels;
    // The order of positions in the ids of the stream's events.
    const all = [...new Set([...channels, "all"])];
    this.#progress = new ProgressOf(name, all, log);
    const more = others.map((channel) => `channel=${channel}`).join("&");
    this.#source = new EventSource(`${network.url}/${home}?${more}`);
    for (const [i, channel] of all.entries()) {
      this.#source.addEventListener(channel, ({ data, lastEventId }) => {
        this.#progress.receive(channel, data, Number(lastEventId.split(".")[i]));
      });
    }
    this.#source.addEventListener("debug", ({ data }) => this.#debug(data));
    this.#source.addEventListener("error", ({ code }) => {
      if (this.#source.readyState === EventSource.CLOSED) log.faults.push(`${name} was told not to reconnect: ${code}`);
    });
  }

  /**
   * @param url returns the server's current URL
   * @param dice draws its pauses
   */
  static async start(name: string, channels: string[], log: SoakLog, url: () => string, dice: Dice) {
    return new HttpSoakClient(name, channels, log, await Network.start(url), dice);
  }

  /** Breaks its connections. */
  cut(): void {
    this.#network.cut();
  }

  async stop(): Promise<void> {
    this.#source.close();
    this.#network.stop();
  }

  /** Announces a message, with as many retries as it takes. */
  async announce(channel: string): Promise<string> {
    this.#announced += 1;
    const message = `${this.#name} ${this.#announced}`;
    const headers = { "Idempotency-Key": message.replace(" ", "-") };
    for (;;) {
      try {
        const response = await fetch(`${this.#network.url}/${channel}`, {
          method: "POST",
          body: message,
          headers,
        });
        const text = await response.text();
        if (response.ok) {
          this.#log.found(channel, Number(/"position":(\d+)/.exec(text)?.[1]), message);
          this.#log.announced += 1;
          return message;
        }
        if (response.status !== 503) this.#log.faults.push(text);
      } catch {
        // The network failed.
      }
      await sleep(this.#dice.below(PAUSE));
    }
  }

  /** Resolves when it has received the newest message of each of its channels. */
  reach(newest: Map<string, string>): Promise<void> {
    return this.#progress.reach(newest);
  }

  #debug(text: string): void {
    const [what, channel = "", word] = text.split(" ");
    if (what === "gap") this.#progress.gap(text, channel);
    if (what === "position") this.#progress.resumeAt(channel, Number(word));
  }
}
