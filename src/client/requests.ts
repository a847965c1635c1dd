/**
 * Speaks the line protocol by plain requests, where WebSockets don't get through: a stream per channel, and POST. This
 * part of the client is loaded only then; so it imports nothing, and gets what it shares with the rest.
 */
import type { FetchInit, FetchLike, ResponseLike, WebSocketLike } from "./types.ts";

/** How long a stream may be silent, in milliseconds: the server sends a line every 20 seconds. */
const QUIET = 30_000;

/** Characters of a line that has no end. */
const MOST_REST = 16_000_000;

/** The code of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 1006;

/** Longest pause that the server may ask for, in milliseconds: the client gives up commands that take longer. */
const MOST_PAUSE = 45_000;

const NO_PATH = "this channel needs a WebSocket, as no path can name it";
const NOT_OURS = "something else answers than a Fanout server";
const NO_STREAMS = "this `fetch` can't stream a response; pass a `WebSocket`, or a `fetch` that can";
const SILENT = "the server doesn't answer";

/** A response: see `http.ts`. */
interface Answer {
  status: number;
  code?: string | undefined;
  said: string;
  why: string;
  retryAfter: number;
}

/** What the rest of the client does for this part. */
export interface Shared {
  readonly base: string;
  /** Calls `act` after so many milliseconds; returns a function that cancels that. */
  later(milliseconds: number, act: () => void): () => void;
  readonly fetch: FetchLike;
  /** Reads a response to its end. */
  read(response: ResponseLike): Promise<Answer>;
}

interface Stream {
  abort: AbortController;
  /** Whether the subscription took effect. */
  isAnswered: boolean;
  /** Of the newest message, where the channel retains messages. */
  position: number;
  cancelWaiting(): void;
}

/** An answer of the server that ends the connection. */
class Ending extends Error {
  readonly status: number;

  constructor({ status, code, why }: Answer) {
    super(code ? `${code}: ${why}` : why);
    this.status = status;
  }
}

export class RequestSocket implements WebSocketLike {
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  readonly #shared: Shared;
  #token: string | undefined;
  readonly #streams = new Map<string, Stream>();
  readonly #abort = new AbortController();
  /** Announcements and questions are carried out one after the other. */
  #queue = Promise.resolve();
  /** The positions of this connection's newest announcements. */
  readonly #due = new Map<string, number>();
  /** Called when the streams have reached these. */
  #reached: (() => void)[] = [];

  constructor(token: string | undefined, shared: Shared) {
    this.#token = token;
    this.#shared = shared;
    this.#run(() => this.#checkHealth("debug!connected..."));
  }

  send(frame: string): void {
    for (const line of frame.slice(0, -1).split("\n")) this.#carryOut(line);
  }

  close(): void {
    this.#abort.abort();
    for (const channel of [...this.#streams.keys()]) this.#leave(channel);
  }

  #end(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    this.close();
    const code = error instanceof Ending ? error.status : NO_CLOSE_FRAME;
    this.onclose?.({ code, reason: messageOf(error) });
  }

  #say(line: string): void {
    if (!this.#abort.signal.aborted) this.onmessage?.({ data: `${line}\n` });
  }

  #refuse(command: string, code: string, why: string): void {
    this.#say(`debug!error ${code} ${command}: ${why}`);
  }

  #refuseFor(command: string, { status, code, why }: Answer): void {
    const temporary = status === 429 ? "rate" : "unavailable";
    // What isn't the server's own word may be another one next time.
    this.#refuse(command, code ?? (status === 413 ? "limit" : temporary), why);
  }

  /** A request without a response ends the connection. */
  #run(act: () => Promise<void>): Promise<void> {
    return act().catch((error: unknown) => this.#end(error));
  }

  #carryOut(line: string): void {
    const [, verb = "", word = "", rest = ""] = /^(\w+) ?([^ ]*) ?(.*)$/s.exec(line) ?? [];
    if (verb === "subscribe") this.#subscribe(word, rest.replace(" ", "="));
    else if (verb === "unsubscribe") this.#leave(word);
    else if (verb === "keepalive") this.#run(() => this.#checkHealth("debug!alive"));
    else if (verb === "token") {
      this.#token = word;
      this.#say("debug!token accepted until 0");
    } else this.#queue = this.#queue.then(() => this.#run(() => this.#ask(verb, word, rest)));
  }

  #ask(verb: string, word: string, rest: string): Promise<void> {
    if (verb === "ping") return this.#ping();
    if (verb === "info") return this.#sayFigures();
    if (verb === "announce") return this.#post(`announce ${word}`, word, rest);
    const space = rest.indexOf(" ");
    return this.#post(`once ${word}`, rest.slice(0, space), rest.slice(space + 1), word);
  }

  async #request(path: string, init: Omit<FetchInit, "signal"> = { method: "GET", headers: {} }) {
    const { signal } = this.#abort;
    signal.throwIfAborted();
    const response = await this.#fetch(path, { ...init, signal });
    const answer = await this.#shared.read(response);
    // The connection after this one has another token.
    if (answer.status === 401) throw new Ending(answer);
    return answer;
  }

  #fetch(path: string, { headers, ...init }: FetchInit): Promise<ResponseLike> {
    const authorization: Record<string, string> =
      this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` };
    const { base, fetch } = this.#shared;
    return fetch(`${base}/${path}`, { ...init, headers: { ...headers, ...authorization } });
  }

  async #checkHealth(reply: string): Promise<void> {
    const { said } = await this.#request("-/health");
    if (said !== "ok") throw new Error(NOT_OURS);
    this.#say(reply);
  }

  /** A barrier also for what the streams bring. */
  async #ping(): Promise<void> {
    await this.#request("-/health");
    await new Promise<void>((resolve) => {
      this.#reached.push(resolve);
      this.#look();
    });
    await this.#checkHealth("0");
  }

  #look(): void {
    for (const [channel, { position }] of this.#streams)
      if (position < (this.#due.get(channel) ?? position)) return;
    for (const reached of this.#reached.splice(0)) reached();
  }

  async #sayFigures(): Promise<void> {
    const answer = await this.#request("-/info");
    if (!isFine(answer)) return this.#refuseFor("info", answer);
    for (const [key, value] of Object.entries(JSON.parse(answer.said))) this.#say(`${key}: ${value}`);
  }

  /** @param key undefined where the channel retains no messages */
  async #post(command: string, channel: string, body: string, key?: string): Promise<void> {
    if (!fitsPath(channel)) return this.#refuse(command, "invalid", NO_PATH);
    // A key may have characters that a header may not.
    if (key && !/^[!-~]+$/.test(key))
      return this.#refuse(command, "invalid", "over plain requests a key is ASCII");
    const headers: Record<string, string> = { "Content-Type": "text/plain; charset=utf-8" };
    if (key) headers["Idempotency-Key"] = key;
    const answer = await this.#request(encodeURIComponent(channel), { method: "POST", body, headers });
    const position = positionIn(answer.said);
    if (answer.retryAfter > 0) await this.#pause(answer.retryAfter);
    if (!isFine(answer)) this.#refuseFor(command, answer);
    else if (position === undefined || (key && position === null))
      this.#refuse(command, "unavailable", NOT_OURS);
    else if (key && position !== null) {
      this.#due.set(channel, position);
      this.#say(`debug!once ${key} ${position}`);
    }
  }

  /** The server wants nothing more for so many milliseconds. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#shared.later(Math.min(milliseconds, MOST_PAUSE), resolve);
      this.#abort.signal.addEventListener("abort", cancel);
    });
  }

  // --- streams

  #subscribe(channel: string, query: string): void {
    this.#leave(channel);
    if (!fitsPath(channel)) {
      this.#refuse(`subscribe ${channel}`, "invalid", NO_PATH);
      return;
    }
    const abort = new AbortController();
    const stream: Stream = {
      abort,
      isAnswered: false,
      position: Number.POSITIVE_INFINITY,
      cancelWaiting: () => {},
    };
    this.#streams.set(channel, stream);
    this.#listen(stream, channel, query).catch((error) =>
      this.#lose(stream, channel, "unavailable", messageOf(error)),
    );
  }

  #leave(channel: string): void {
    const stream = this.#streams.get(channel);
    if (!stream) return;
    this.#streams.delete(channel);
    stream.cancelWaiting();
    stream.abort.abort();
    if (!stream.isAnswered) this.#refuse(`subscribe ${channel}`, "unavailable", "the stream was left");
    this.#look();
  }

  /** A stream that breaks off is begun again by the channel that gets the error. */
  #lose(stream: Stream, channel: string, code: string, why: string): void {
    if (this.#streams.get(channel) !== stream) return;
    stream.isAnswered = true;
    this.#leave(channel);
    this.#refuse(`subscribe ${channel}`, code, why);
  }

  async #listen(stream: Stream, channel: string, query: string): Promise<void> {
    const { signal } = stream.abort;
    const headers = { Accept: "text/plain" };
    const response = await this.#fetch(`${encodeURIComponent(channel)}?${query}`, {
      method: "GET",
      headers,
      signal,
    });
    if (!isFine(response)) {
      const answer = await this.#shared.read(response);
      if (signal.aborted) return;
      if (answer.status === 401) return this.#end(new Ending(answer));
      stream.isAnswered = true;
      this.#leave(channel);
      return this.#refuseFor(`subscribe ${channel}`, answer);
    }
    if (!response.body) return this.#lose(stream, channel, "invalid", NO_STREAMS);
    const reader = response.body.getReader();
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for (let rest = ""; !signal.aborted; ) {
      const giveUp = () => this.#lose(stream, channel, "unavailable", SILENT);
      stream.cancelWaiting = this.#shared.later(QUIET, giveUp);
      const { done, value } = await reader.read();
      stream.cancelWaiting();
      if (done || rest.length > MOST_REST) throw new Error("the stream ended");
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(stream, channel, line);
    }
  }

  #take(stream: Stream, channel: string, line: string): void {
    if (stream.abort.signal.aborted) return;
    const [, code = "", isOwn, why = ""] =
      /^debug!error ([a-z-]+) (subscribe )?[^:]*: (.*)$/s.exec(line) ?? [];
    if (code !== "" && code !== "no-history") {
      this.#lose(stream, channel, isOwn ? code : "unavailable", why);
    } else if (code !== "" || line.startsWith(`debug!position ${channel} `)) {
      stream.isAnswered = true;
      if (code === "") stream.position = Number(line.split(" ")[2]);
      this.#say(line);
    } else if (line.startsWith(`${channel}!`)) {
      stream.position += 1;
      this.#say(line);
    }
    this.#look();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isFine({ status }: Pick<Answer, "status">): boolean {
  return status >= 200 && status < 300;
}

/** Clients and proxies resolve `.` and `..`. */
function fitsPath(channel: string): boolean {
  return channel !== "." && channel !== "..";
}

/** The position in a response: null where the channel retains no messages, undefined if something else responds. */
function positionIn(said: string): number | null | undefined {
  try {
    const { position } = JSON.parse(said);
    return position === null || Number.isSafeInteger(position) ? position : undefined;
  } catch {
    return undefined;
  }
}
