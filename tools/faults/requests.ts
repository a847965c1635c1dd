/** Requests of the judge, which reach the server directly: only the server's own end may break them. */
import { setTimeout as sleep } from "node:timers/promises";

/** A server that is killed and started again. */
export interface Judged {
  /** Its current URL. */
  url(): string;
  /** Number of starts so far; undefined while it is down. */
  life(): number | undefined;
}

/** How long the server may take to answer, and to be available again, in milliseconds: no machine is so slow. */
export interface Patience {
  answer: number;
  available: number;
}

const PATIENCE: Patience = { answer: 60_000, available: 180_000 };

/** Time between two attempts, in milliseconds. */
const PAUSE = 100;

/**
 * Sends requests, and tells the end of a server, which breaks its connections at once, from a server that hangs.
 * @throws Error if the server refuses a request, doesn't answer it although it runs, or is unavailable for too long
 */
export class Requests {
  readonly #judged: Judged;
  readonly #patience: Patience;

  constructor(judged: Judged, patience = PATIENCE) {
    this.#judged = judged;
    this.#patience = patience;
  }

  /** Announces a message, and retries until it gets a reply. Returns the message's position. */
  async post(channel: string, text: string, key?: string): Promise<number> {
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    const { body } = await this.#retry(`the announcement of '${text}'`, `/${channel}`, {
      method: "POST",
      body: text,
      headers,
    });
    const [, position] = /"position":(\d+)/.exec(body) ?? [];
    if (position === undefined) throw new Error(`the server answered '${body}' to the announcement of '${text}'`);
    return Number(position);
  }

  /** Polls a channel once. Returns its new messages and position; undefined if the server was unavailable. */
  async poll(channel: string, position: number): Promise<{ lines: string[]; position: number } | undefined> {
    const answer = await this.#request(`a poll of '${channel}'`, `/${channel}?poll&since=${position}`);
    if (!answer) return undefined;
    const lines = answer.body.split("\n").filter((line) => line !== "");
    return {
      lines: lines.map((line) => (line.startsWith(`${channel}!`) ? line.slice(channel.length + 1) : line)),
      position: Number(answer.headers.get("Fanout-Position")),
    };
  }

  async #retry(what: string, path: string, init: RequestInit) {
    const { available } = this.#patience;
    for (const end = Date.now() + available; Date.now() < end; await sleep(PAUSE)) {
      const answer = await this.#request(what, path, init);
      if (answer) return answer;
    }
    throw new Error(`the server was unavailable for ${available / 1_000} s: ${what}`);
  }

  /** Returns the response; undefined if the server is unavailable, or was killed meanwhile. */
  async #request(what: string, path: string, init?: RequestInit) {
    const life = this.#judged.life();
    const signal = AbortSignal.timeout(this.#patience.answer);
    try {
      const response = await fetch(this.#judged.url() + path, { ...init, signal });
      const answer = { body: await response.text(), headers: response.headers };
      if (response.ok) return answer;
      if (response.status !== 503) throw new Refused(`the server refused ${what}: ${response.status} ${answer.body}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      const isKilled = life === undefined || life !== this.#judged.life();
      if (signal.aborted && !isKilled)
        throw new Error(`the server ran, but didn't answer ${what} in ${this.#patience.answer / 1_000} s`);
    }
    return undefined;
  }
}

class Refused extends Error {}

/** Collects the messages of a channel by polling. */
export class Follower {
  readonly lines: string[] = [];
  readonly #requests: Requests;
  readonly #channel: string;
  #position: number;

  constructor(requests: Requests, channel: string, position: number) {
    this.#requests = requests;
    this.#channel = channel;
    this.#position = position;
  }

  async poll(): Promise<void> {
    const polled = await this.#requests.poll(this.#channel, this.#position);
    if (!polled) return;
    this.lines.push(...polled.lines);
    this.#position = polled.position;
  }
}
