/** How plays are performed without a WebSocket: listeners listen to events, and announcers POST. */
import { once } from "node:events";
import { EventSource } from "eventsource";
import { parseCommand } from "../../../src/protocol/commands.ts";
import type { Connect, Ear, Frame, Play } from "../../conformance/case.ts";

/** Whether all that happens in a play can be done without a WebSocket. */
export function isForHttp({ steps }: Play): boolean {
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

/** Begins messages that tell a listener how far it is, and no player is to read. */
const MARK = "(mark) ";
let marks = 0;

/** Listens and announces at a server's address. */
export function eventsOf(url: string): Connect {
  return async (path, ear) => {
    const channel = decodeURIComponent(path.slice(1)) || "all";
    const listener = new Listener(url, channel, ear);
    await listener.begun();
    ear.frame("debug!connected...\n");
    let done = Promise.resolve();
    return {
      send: (frame) => {
        done = done.then(() => listener.carryOut(String(frame)));
      },
      close: async () => {
        await done;
        listener.close();
      },
    };
  };
}

class Listener {
  readonly #url: string;
  readonly #channels: string[];
  readonly #source: EventSource;
  readonly #ear: Ear;
  readonly #marks = new EventTarget();
  #isBegun = false;

  constructor(url: string, channel: string, ear: Ear) {
    this.#url = url;
    this.#ear = ear;
    this.#channels = [...new Set([channel, "all"])];
    this.#source = new EventSource(`${url}/${encodeURIComponent(channel)}`);
    for (const channel of this.#channels) {
      this.#source.addEventListener(channel, ({ data }) => this.#hear(channel, data));
    }
    const places = new Set(this.#channels);
    this.#source.addEventListener("debug", ({ data }) => {
      const [what, place] = data.split(" ");
      if (what === "position") places.delete(place);
      this.#isBegun = places.size === 0;
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

  /** A barrier: a message of one's own on every channel comes after all that was announced there before. */
  async #ping(): Promise<void> {
    for (const channel of this.#channels) {
      const mark = `${MARK}${++marks}`;
      const heard = once(this.#marks, mark);
      await this.#post(channel, mark);
      await heard;
    }
    this.#ear.frame(`${Math.floor(Date.now() / 1_000)}\n`);
  }

  async #post(channel: string, message: string): Promise<void> {
    const response = await fetch(`${this.#url}/${encodeURIComponent(channel)}`, {
      method: "POST",
      body: message,
    });
    const said = await response.text();
    if (response.ok) return;
    const code = response.headers.get("Fanout-Error");
    this.#ear.frame(`debug!error ${code} announce ${channel}: ${said}`);
  }

  /** An end of a line within a message was a carriage return. */
  #hear(channel: string, data: string): void {
    if (data.startsWith(MARK)) this.#marks.dispatchEvent(new Event(data));
    else this.#ear.frame(`${channel}!${data.replaceAll("\n", "\r")}\n`);
  }
}
