/** A session of requests alone, where WebSockets do not get through: a stream for each channel, and POST. */
import { clauseOf, type ErrorCode, isErrorCode, isTemporary } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import { parseReply } from "../protocol/replies.ts";
import {
  type Address,
  type Hearer,
  OPEN_WITHIN,
  type Place,
  queryOf,
  Refused,
  type Session,
  SILENT,
  urlOf,
} from "./session.ts";

/** How long a stream may be silent, in milliseconds: the server says each 20 seconds that it is there. */
const QUIET = 30_000;

/** What a server says to a request, in its own words. */
export interface Answer {
  /** 0 if there is no server. */
  status: number;
  /** The server's error code; guessed from the status where the response has none, as one of a proxy. */
  code: ErrorCode;
  said: string;
  /** In milliseconds; 0 where it says nothing. */
  retryAfter: number;
}

/** Asks whether a channel could be heard; undefined if it could. */
export async function probe(address: Address, channel: string): Promise<Answer | undefined> {
  try {
    const url = urlOf(address, "http", channel, { poll: "" });
    const answer = await read(await ask(address, url, {}, AbortSignal.timeout(OPEN_WITHIN)));
    // A channel without history can't be polled, but it can be subscribed to.
    return answer.status === 200 || answer.code === "no-history" ? undefined : answer;
  } catch {
    return { status: 0, code: "unavailable", said: "the server can't be reached", retryAfter: 0 };
  }
}

function ask({ token }: Address, url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  return fetch(url, { ...init, headers, signal });
}

async function read(response: Response): Promise<Answer> {
  const seconds = Number(response.headers.get("Retry-After")) || 0;
  const said = (await response.text()).trim();
  const code = response.headers.get("Fanout-Error") ?? "";
  return {
    status: response.status,
    code: isErrorCode(code) ? code : isLater(response.status) ? "unavailable" : "invalid",
    said,
    retryAfter: seconds * 1_000,
  };
}

/** Whether the same request may be granted a while later. */
export function isLater(status: number): boolean {
  return status >= 500 || status === 429;
}

export class RequestSession implements Session {
  readonly #address: Address;
  readonly #hearer: Hearer;
  readonly #streams = new Map<string, AbortController>();
  readonly #leaving = new AbortController();
  /** Messages are announced one after another, in the order in which that was asked for. */
  #announced: Promise<unknown> = Promise.resolve();
  #isOpen = false;

  constructor(address: Address, first: Place | undefined, hearer: Hearer) {
    this.#address = { ...address };
    this.#hearer = hearer;
    this.ping().then(() => {
      this.#isOpen = true;
      hearer.opened();
      if (first) this.subscribe(first.channel, first.from);
    }, this.#lost);
  }

  subscribe(channel: string, from: From): void {
    const leaving = new AbortController();
    this.#streams.set(channel, leaving);
    this.#listen(channel, from, leaving).catch((error: unknown) => {
      if (this.#streams.get(channel) !== leaving) return;
      if (error instanceof Refused) this.#hearer.refused(channel, error);
      else this.#lost(error);
    });
  }

  unsubscribe(channel: string): void {
    this.#streams.get(channel)?.abort();
    this.#streams.delete(channel);
  }

  announce(channel: string, text: string, key: string): Promise<number | undefined> {
    const announced = this.#announced.then(() => this.#post(channel, text, key));
    // Those that come next must not overtake one that may not have arrived.
    this.#announced = announced.catch((error: unknown) => error instanceof Refused || this.#lost(error));
    return announced;
  }

  async #post(channel: string, body: string, key?: string): Promise<number | undefined> {
    const headers: Record<string, string> = { "Content-Type": "text/plain" };
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const url = urlOf(this.#address, "http", channel, {});
    const { status, code, said } = await read(await this.#ask(url, { method: "POST", body, headers }));
    if (key !== undefined && code === "no-history") return this.#post(channel, body);
    if (status !== 200) throw new Refused(code, clauseOf(said));
    const { position } = JSON.parse(said);
    return typeof position === "number" ? position : undefined;
  }

  async ping(): Promise<void> {
    await this.#own("health");
  }

  async info(): Promise<Map<string, string>> {
    const figures: [string, unknown][] = Object.entries(JSON.parse(await this.#own("info")));
    return new Map(figures.map(([key, value]) => [key, String(value)]));
  }

  async #own(page: string): Promise<string> {
    const { status, code, said } = await read(
      await this.#ask(`${urlOf(this.#address, "http", "", {})}-/${page}`),
    );
    if (status !== 200) throw new Refused(code, clauseOf(said));
    return said;
  }

  #ask(
    url: string,
    init: RequestInit = {},
    within: AbortSignal = AbortSignal.timeout(OPEN_WITHIN),
  ): Promise<Response> {
    return ask(this.#address, url, init, AbortSignal.any([this.#leaving.signal, within]));
  }

  /** What comes next comes with it. */
  renew(token: string): void {
    this.#address.token = token;
  }

  check(): void {
    this.ping().catch(this.#lost);
  }

  close(): void {
    this.#end(1000, "");
  }

  /** @throws Refused, or anything when the stream breaks off or ends */
  async #listen(channel: string, from: From, leaving: AbortController): Promise<never> {
    const giveUp = () => leaving.abort(new Error(SILENT));
    let silence = setTimeout(giveUp, QUIET);
    try {
      const url = urlOf(this.#address, "http", channel, queryOf(from));
      const response = await this.#ask(url, { headers: { Accept: "text/plain" } }, leaving.signal);
      if (!response.ok || !response.body) {
        const { status, code, said } = await read(response);
        throw isLater(status) ? new Error(said) : new Refused(code, clauseOf(said));
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(giveUp, QUIET);
        const lines = (rest + chunk.value).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#take(channel, line);
      }
      throw new Error("the stream has ended");
    } finally {
      clearTimeout(silence);
    }
  }

  #take(channel: string, line: string): void {
    if (this.#leaving.signal.aborted) return;
    const reply = parseReply(line);
    if (reply.kind === "message" && reply.channel === channel) this.#hearer.message(channel, reply.message);
    if (reply.kind === "position") this.#hearer.located(channel, reply.position);
    if (reply.kind === "gap") this.#hearer.gap(channel, reply.from, reply.to);
    if (reply.kind !== "error") return;
    if (reply.code === "no-history") this.#hearer.located(channel, undefined);
    else if (isTemporary(reply.code)) throw new Error(reply.why);
  }

  readonly #lost = (error: unknown) => this.#end(1006, String(error));

  #end(code: number, reason: string): void {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#hearer.ended({ code: this.#isOpen ? code : 0, reason, isFinal: code === 1000 });
  }
}
