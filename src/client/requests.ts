/** A session of requests alone, where WebSockets do not get through: a stream for each channel, and POST. */
import type { From } from "../protocol/positions.ts";
import { isTemporary, noHistory, sentenceOf } from "../protocol/refusals.ts";
import { parseReply } from "../protocol/replies.ts";
import { type Address, type Hearer, type Place, queryOf, Refused, type Session, urlOf } from "./session.ts";

/** What a server answers that does not grant a request, in its own words. */
export interface Denied {
  status: number;
  why: string;
  /** In milliseconds. */
  retryAfter: number | undefined;
}

/** Asks whether a channel could be heard; undefined if it could, and status 0 if there is no server. */
export async function probe(address: Address, channel: string): Promise<Denied | undefined> {
  try {
    const response = await fetch(urlOf(address, "http", channel, { poll: "" }), {
      headers: headersOf(address),
    });
    return await deniedBy(response);
  } catch {
    return { status: 0, why: "the server cannot be reached", retryAfter: undefined };
  }
}

async function deniedBy(response: Response): Promise<Denied | undefined> {
  const why = await response.text();
  // Where no history is kept there is nothing to poll, but to hear.
  if (response.ok || (response.status === 400 && /^No history/.test(why))) return undefined;
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return { status: response.status, why: why.trim(), retryAfter: seconds >= 0 ? seconds * 1_000 : undefined };
}

function headersOf({ token }: Address): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

export class RequestSession implements Session {
  readonly #address: Address;
  readonly #hearer: Hearer;
  readonly #streams = new Map<string, AbortController>();
  readonly #leaving = new AbortController();

  constructor(address: Address, first: Place | undefined, hearer: Hearer) {
    this.#address = { ...address };
    this.#hearer = hearer;
    queueMicrotask(() => {
      hearer.opened();
      if (first) this.subscribe(first.channel, first.from);
    });
  }

  subscribe(channel: string, from: From): void {
    const leaving = new AbortController();
    this.#streams.set(channel, leaving);
    this.#listen(channel, from, leaving.signal).then(
      () => this.#end(1006, "the stream has ended"),
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        if (error instanceof Refused) this.#hearer.refused(channel, error.message);
        else this.#end(1006, String(error));
      },
    );
  }

  unsubscribe(channel: string): void {
    this.#streams.get(channel)?.abort();
    this.#streams.delete(channel);
  }

  async announce(channel: string, text: string, key: string): Promise<number | undefined> {
    const post = async (more: Record<string, string>) => {
      const headers = { ...headersOf(this.#address), "Content-Type": "text/plain", ...more };
      const init = { method: "POST", body: text, headers, signal: this.#leaving.signal };
      const response = await fetch(urlOf(this.#address, "http", channel, {}), init);
      const said = await response.text();
      return { said: said.trim(), status: response.status };
    };
    let { status, said } = await post({ "Idempotency-Key": key });
    if (said === sentenceOf(noHistory(channel))) ({ status, said } = await post({}));
    if (status !== 200) throw new Refused(status >= 500 || status === 429 ? `${said} (try again)` : said);
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
    const url = urlOf(this.#address, "http", "", {});
    const response = await fetch(`${url}-/${page}`, {
      headers: headersOf(this.#address),
      signal: this.#leaving.signal,
    });
    const said = await response.text();
    if (response.ok) return said;
    throw new Refused(said.trim());
  }

  /** What comes next comes with it. */
  renew(token: string): void {
    this.#address.token = token;
  }

  check(): void {
    this.ping().catch(() => this.#end(1006, "the server does not answer"));
  }

  close(): void {
    this.#end(1000, "");
  }

  /** @throws Refused, or anything if the stream breaks off */
  async #listen(channel: string, from: From, signal: AbortSignal): Promise<void> {
    const url = urlOf(this.#address, "http", channel, queryOf(from));
    const both = AbortSignal.any([signal, this.#leaving.signal]);
    const response = await fetch(url, {
      headers: { ...headersOf(this.#address), Accept: "text/plain" },
      signal: both,
    });
    if (!response.ok || !response.body) {
      const denied = await deniedBy(response);
      const why = denied?.why ?? "there is nothing to hear";
      throw response.status < 500 && response.status !== 429 ? new Refused(why) : new Error(why);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const lines = (rest + chunk.value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(channel, line);
    }
  }

  #take(channel: string, line: string): void {
    if (this.#leaving.signal.aborted) return;
    const reply = parseReply(line);
    if (reply.kind === "message" && reply.channel === channel) this.#hearer.message(channel, reply.message);
    if (reply.kind === "position") this.#hearer.located(channel, reply.position);
    if (reply.kind === "gap") this.#hearer.gap(channel, reply.from, reply.to);
    if (reply.kind !== "error") return;
    if (reply.why === noHistory(channel)) this.#hearer.located(channel, undefined);
    else if (isTemporary(reply.why)) throw new Error(reply.why);
  }

  #end(code: number, reason: string): void {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#hearer.ended({ code, reason, isFinal: code === 1000 });
  }
}
