/** Runs conformance cases over HTTP: with event streams for subscribers, and POST for announcements. */
import { once } from "node:events";
import { EventSource } from "eventsource";
import { parseCommand } from "../../../src/protocol/commands.ts";
import type { Case, Connect, Frame, Receiver } from "../../conformance/case.ts";

/** Whether a case needs no WebSocket. */
export function isForHttp({ steps }: Case): boolean {
  return steps.every((step) => {
    if (step.does === "connects") return !step.path.includes("?");
    return step.does !== "sends" || step.frames.every(isOnlyAnnouncing);
  });
}

function isOnlyAnnouncing(frame: Frame): boolean {
  if (typeof frame !== "string") return false;
  return linesOf(frame).every((line) => line === "ping" || parseCommand(line).kind === "announce");
}

function linesOf(frame: string): string[] {
  return frame.split("\n").filter((line) => line !== "");
}

/** Prefix of the messages that serve as barriers, which are hidden from the case. */
const MARK = "(mark) ";
let marks = 0;

/** Subscribes and announces at a server's URL. */
export function eventStreamsTo(url: string): Connect {
  return async (path, receiver) => {
    const channel = decodeURIComponent(path.slice(1)) || "all";
    const client = new EventSourceClient(url, channel, receiver);
    await client.begun();
    receiver.frame("debug!connected...\n");
    let done = Promise.resolve();
    return {
      send: (frame) => {
        done = done.then(() => client.carryOut(String(frame)));
      },
      close: async () => {
        await done;
        client.close();
      },
    };
  };
}

class EventSourceClient {
  readonly #url: string;
  readonly #channels: string[];
  readonly #source: EventSource;
  readonly #receiver: Receiver;
  readonly #marks = new EventTarget();
  #isBegun = false;

  constructor(url: string, channel: string, receiver: Receiver) {
    this.#url = url;
    this.#receiver = receiver;
    this.#channels = [...new Set([channel, "all"])];
    this.#source = new EventSource(`${url}/${encodeURIComponent(channel)}`);
    for (const channel of this.#channels) {
      this.#source.addEventListener(channel, ({ data }) => this.#receive(channel, data));
    }
    const withoutPosition = new Set(this.#channels);
    this.#source.addEventListener("debug", ({ data }) => {
      const [what, channel] = data.split(" ");
      if (what === "position") withoutPosition.delete(channel);
      this.#isBegun = withoutPosition.size === 0;
      this.#marks.dispatchEvent(new Event("begun"));
    });
  }

  async begun(): Promise<void> {
    while (!this.#isBegun) await once(this.#marks, "begun");
  }

  close(): void {
    this.#source.close();
  }

  async carryOut(frame: string): Promise<void> {
    for (const line of linesOf(frame)) {
      const command = parseCommand(line);
      if (command.kind === "announce") await this.#post(command.channel, command.message);
      else await this.#ping();
    }
  }

  /** Waits until all earlier announcements have come, by announcing a mark on every channel. */
  async #ping(): Promise<void> {
    for (const channel of this.#channels) {
      const mark = `${MARK}${++marks}`;
      const received = once(this.#marks, mark);
      await this.#post(channel, mark);
      await received;
    }
    this.#receiver.frame(`${Math.floor(Date.now() / 1_000)}\n`);
  }

  async #post(channel: string, message: string): Promise<void> {
    const response = await fetch(`${this.#url}/${encodeURIComponent(channel)}`, {
      method: "POST",
      body: message,
    });
    const body = await response.text();
    if (response.ok) return;
    const code = response.headers.get("Fanout-Error");
    this.#receiver.frame(`debug!error ${code} announce ${channel}: ${body}`);
  }

  /** Passes a message on. A line break in an event's data stands for a carriage return. */
  #receive(channel: string, data: string): void {
    if (data.startsWith(MARK)) this.#marks.dispatchEvent(new Event(data));
    else this.#receiver.frame(`${channel}!${data.replaceAll("\n", "\r")}\n`);
  }
}
