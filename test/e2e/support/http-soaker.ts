/**
 * A client of the soak that has no WebSocket: it listens by the standard's `EventSource`, which comes back by itself,
 * and announces by POST, under the same key until it is answered.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EventSource } from "eventsource";
import { Network } from "../../../tools/faults/network.ts";
import type { Record } from "./soaker.ts";

/** Milliseconds before what failed is tried again, at most. */
const PAUSE = 300;

/** Where a client is in a channel. */
interface Place {
  position: number | undefined;
  isAfterGap: boolean;
  newest: string;
}

export class HttpSoaker {
  readonly #name: string;
  readonly #places: Map<string, Place>;
  readonly #record: Record;
  readonly #network: Network;
  readonly #source: EventSource;
  #said = 0;
  #onRead = () => {};

  private constructor(name: string, channels: string[], record: Record, network: Network) {
    this.#name = name;
    this.#record = record;
    this.#network = network;
    const [home = "all", ...others] = channels;
    // As in the ids of the stream's events.
    const all = [...new Set([...channels, "all"])];
    this.#places = new Map(
      all.map((channel) => [channel, { position: undefined, isAfterGap: false, newest: "" }]),
    );
    const more = others.map((channel) => `channel=${channel}`).join("&");
    this.#source = new EventSource(`${network.url}/${home}?${more}`);
    for (const [i, channel] of all.entries()) {
      this.#source.addEventListener(channel, ({ data, lastEventId }) => {
        this.#read(channel, data, Number(lastEventId.split(".")[i]));
      });
    }
    this.#source.addEventListener("debug", ({ data }) => this.#told(data));
    this.#source.addEventListener("error", ({ code }) => {
      if (this.#source.readyState === EventSource.CLOSED)
        record.faults.push(`${name} was told not to come back: ${code}`);
    });
  }

  /** @param url where the server is now */
  static async start(
    name: string,
    channels: string[],
    record: Record,
    url: () => string,
  ): Promise<HttpSoaker> {
    return new HttpSoaker(name, channels, record, await Network.start(url));
  }

  /** Breaks its connections off. */
  cut(): void {
    this.#network.cut();
  }

  async stop(): Promise<void> {
    this.#source.close();
    this.#network.stop();
  }

  /** Ends when a message has been announced, however often that has to be tried. */
  async announce(channel: string): Promise<string> {
    this.#said += 1;
    const message = `${this.#name} ${this.#said}`;
    const headers = { "Idempotency-Key": message.replace(" ", "-") };
    for (;;) {
      try {
        const response = await fetch(`${this.#network.url}/${channel}`, {
          method: "POST",
          body: message,
          headers,
        });
        const said = await response.text();
        if (response.ok) {
          this.#record.found(channel, Number(/"position":(\d+)/.exec(said)?.[1]), message);
          this.#record.announced += 1;
          return message;
        }
        if (response.status !== 503) this.#record.faults.push(said);
      } catch {
        // The network failed.
      }
      await sleep(Math.random() * PAUSE);
    }
  }

  /** Ends when it has read a message, on each channel that it is on. */
  async reach(newest: Map<string, string>): Promise<void> {
    const isThere = () => [...this.#places].every(([channel, place]) => place.newest === newest.get(channel));
    await new Promise<void>((resolve) => {
      this.#onRead = () => {
        if (isThere()) resolve();
      };
      this.#onRead();
    });
  }

  #read(channel: string, message: string, position: number): void {
    const place = this.#places.get(channel);
    if (!place) return;
    const { position: before = position - 1 } = place;
    if (position !== before + 1) {
      this.#record.faults.push(`${this.#name} was at ${before} of ${channel}, and reads ${position}`);
    }
    place.position = position;
    place.newest = message;
    this.#record.read += 1;
    this.#record.found(channel, position, message);
    this.#onRead();
  }

  #told(said: string): void {
    const [what, channel = "", word] = said.split(" ");
    const place = this.#places.get(channel);
    if (!place) return;
    if (what === "gap") {
      this.#record.gaps.push(said);
      place.isAfterGap = true;
    }
    if (what !== "position") return;
    const { position: before = Number(word) } = place;
    if (before !== Number(word) && !place.isAfterGap) {
      this.#record.faults.push(`${this.#name} was at ${before} of ${channel}, and is told ${word}`);
    }
    if (place.position !== undefined) this.#record.resumed += 1;
    place.position = Number(word);
    place.isAfterGap = false;
  }
}
