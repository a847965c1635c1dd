/**
 * A WebSocket replacement that maps the line protocol to plain requests, one stream per channel and POST, for networks
 * that block WebSockets. It is loaded only then, so it imports nothing and gets shared functions passed in.
 */
import type { FetchInit, FetchLike, ResponseLike, WebSocketLike } from "./types.ts";

/** How long a stream may be silent, in milliseconds; the server sends a line every 20 seconds. */
const MAX_SILENCE = 30_000;

/** Longest incomplete line, in characters. */
const MAX_LINE = 16_000_000;

/** The close code of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 1006;

/** Longest delay that the server may ask for, in milliseconds; slower commands time out in the client. */
const MAX_PAUSE = 45_000;

const NO_PATH = "this channel needs a WebSocket, as no path can name it";
const NOT_FANOUT = "the response is not from a Fanout server";
const NO_STREAMS = "this `fetch` can't stream a response; pass a `WebSocket`, or a `fetch` that can";
const SILENT = "the server didn't reply";

/** A parsed response: see `http.ts`. */
interface Answer {
  status: number;
  code?: string | undefined;
  body: string;
  why: string;
  retryAfter: number;
}

/** What this module shares with the rest of the client. */
export interface Shared {
  readonly base: string;
  /** Calls `act` after a delay; returns a function that cancels it. */
  later(milliseconds: number, act: () => void): () => void;
  readonly fetch: FetchLike;
  /** Reads a whole response. */
  read(response: ResponseLike): Promise<Answer>;
}

interface Stream {
  abort: AbortController;
  /** Whether the subscription was confirmed or refused. */
  isAnswered: boolean;
  /** The newest message's position, if the channel retains messages. */
  position: number;
  cancelTimeout(): void;
}

/** A response that ends the connection. */
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
  /** Serializes announcements and questions. */
  #queue = Promise.resolve();
  /** The position of this connection's newest announcement on each channel. */
  readonly #announced = new Map<string, number>();
  /** Called when the streams have reached those positions. */
  #barriers: (() => void)[] = [];

  constructor(token: string | undefined, shared: Shared) {
    this.#token = token;
    this.#shared = shared;
    this.#run(() => this.#checkHealth("debug!connected..."));
  }

  send(frame: string): void {
    for (const line of frame.slice(0, -1).split("\n")) this.#execute(line);
  }

  close(): void {
    this.#abort.abort();
    for (const channel of [...this.#streams.keys()]) this.#unsubscribe(channel);
  }

  #end(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    this.close();
    const code = error instanceof Ending ? error.status : NO_CLOSE_FRAME;
    this.onclose?.({ code, reason: messageOf(error) });
  }

  #emit(line: string): void {
    if (!this.#abort.signal.aborted) this.onmessage?.({ data: `${line}\n` });
  }

  #refuse(command: string, code: string, why: string): void {
    this.#emit(`debug!error ${code} ${command}: ${why}`);
  }

  #refuseFor(command: string, { status, code, why }: Answer): void {
    const temporary = status === 429 ? "rate" : "unavailable";
    // An answer without a code is from a proxy, and may pass.
    this.#refuse(command, code ?? (status === 413 ? "limit" : temporary), why);
  }

  /** Runs a request; its failure ends the connection. */
  #run(act: () => Promise<void>): Promise<void> {
    return act().catch((error: unknown) => this.#end(error));
  }

  #execute(line: string): void {
    const [, verb = "", word = "", rest = ""] = /^(\w+) ?([^ ]*) ?(.*)$/s.exec(line) ?? [];
    if (verb === "subscribe") this.#subscribe(word, rest.replace(" ", "="));
    else if (verb === "unsubscribe") this.#unsubscribe(word);
    else if (verb === "keepalive") this.#run(() => this.#checkHealth("debug!alive"));
    else if (verb === "token") {
      this.#token = word;
      this.#emit("debug!token accepted until 0");
    } else this.#queue = this.#queue.then(() => this.#run(() => this.#ask(verb, word, rest)));
  }

  #ask(verb: string, word: string, rest: string): Promise<void> {
    if (verb === "ping") return this.#ping();
    if (verb === "info") return this.#info();
    if (verb === "members") return this.#members(word);
    if (verb === "announce") return this.#post(`announce ${word}`, word, rest);
    const space = rest.indexOf(" ");
    return this.#post(`once ${word}`, rest.slice(0, space), rest.slice(space + 1), word);
  }

  async #request(path: string, init: Omit<FetchInit, "signal"> = { method: "GET", headers: {} }) {
    const { signal } = this.#abort;
    signal.throwIfAborted();
    const response = await this.#fetch(path, { ...init, signal });
    const answer = await this.#shared.read(response);
    // Reconnect with a new token.
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
    const { body } = await this.#request("-/health");
    if (body !== "ok") throw new Error(NOT_FANOUT);
    this.#emit(reply);
  }

  /** Replies when the streams have delivered this client's announcements. */
  async #ping(): Promise<void> {
    await this.#request("-/health");
    await new Promise<void>((resolve) => {
      this.#barriers.push(resolve);
      this.#checkBarriers();
    });
    await this.#checkHealth("0");
  }

  #checkBarriers(): void {
    for (const [channel, { position }] of this.#streams)
      if (position < (this.#announced.get(channel) ?? position)) return;
    for (const reached of this.#barriers.splice(0)) reached();
  }

  async #info(): Promise<void> {
    const answer = await this.#request("-/info");
    if (!isOk(answer)) return this.#refuseFor("info", answer);
    for (const [key, value] of Object.entries(JSON.parse(answer.body))) this.#emit(`${key}: ${value}`);
  }

  /**
   * Requests the pages of a list, and replies with the position of the first: changes since then may already be on the
   * others, where they change nothing.
   */
  async #members(channel: string): Promise<void> {
    const command = `members ${channel}`;
    const lines: string[] = [];
    let position: number | undefined;
    for (let after: string | undefined = ""; after !== undefined; ) {
      const path = `${encodeURIComponent(`presence/${channel}`)}?members${after}`;
      const answer = await this.#request(path);
      if (!isOk(answer)) return this.#refuseFor(command, answer);
      const page = pageIn(answer.body);
      if (!page) return this.#refuse(command, "unavailable", NOT_FANOUT);
      position ??= page.position;
      for (const { member, data } of page.members) {
        lines.push(`\ndebug!member ${channel} ${member}${data === undefined ? "" : ` ${data}`}`);
      }
      after = page.next === undefined ? undefined : `&after=${encodeURIComponent(page.next)}`;
    }
    this.#emit(`debug!members ${channel} ${position} ${lines.length}${lines.join("")}`);
  }

  /** @param key undefined if the channel retains no messages */
  async #post(command: string, channel: string, body: string, key?: string): Promise<void> {
    if (!fitsPath(channel)) return this.#refuse(command, "invalid", NO_PATH);
    // Headers allow fewer characters than keys.
    if (key && !/^[!-~]+$/.test(key))
      return this.#refuse(command, "invalid", "over plain requests, keys must be ASCII");
    const headers: Record<string, string> = { "Content-Type": "text/plain; charset=utf-8" };
    if (key) headers["Idempotency-Key"] = key;
    const answer = await this.#request(encodeURIComponent(channel), { method: "POST", body, headers });
    const position = positionIn(answer.body);
    if (answer.retryAfter > 0) await this.#pause(answer.retryAfter);
    if (!isOk(answer)) this.#refuseFor(command, answer);
    else if (position === undefined || (key && position === null)) this.#refuse(command, "unavailable", NOT_FANOUT);
    else if (key && position !== null) {
      this.#announced.set(channel, position);
      this.#emit(`debug!once ${key} ${position}`);
    }
  }

  /** Waits as long as the server asked for. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#shared.later(Math.min(milliseconds, MAX_PAUSE), resolve);
      this.#abort.signal.addEventListener("abort", cancel);
    });
  }

  // --- streams

  #subscribe(channel: string, query: string): void {
    this.#unsubscribe(channel);
    if (!fitsPath(channel)) {
      this.#refuse(`subscribe ${channel}`, "invalid", NO_PATH);
      return;
    }
    const abort = new AbortController();
    const stream: Stream = {
      abort,
      isAnswered: false,
      position: Number.POSITIVE_INFINITY,
      cancelTimeout: () => {},
    };
    this.#streams.set(channel, stream);
    this.#receive(stream, channel, query).catch((error) =>
      this.#fail(stream, channel, "unavailable", messageOf(error)),
    );
  }

  #unsubscribe(channel: string): void {
    const stream = this.#streams.get(channel);
    if (!stream) return;
    this.#streams.delete(channel);
    stream.cancelTimeout();
    stream.abort.abort();
    if (!stream.isAnswered) this.#refuse(`subscribe ${channel}`, "unavailable", "the stream was closed");
    this.#checkBarriers();
  }

  /** Ends a broken stream; the channel resubscribes after the error. */
  #fail(stream: Stream, channel: string, code: string, why: string): void {
    if (this.#streams.get(channel) !== stream) return;
    stream.isAnswered = true;
    this.#unsubscribe(channel);
    this.#refuse(`subscribe ${channel}`, code, why);
  }

  async #receive(stream: Stream, channel: string, query: string): Promise<void> {
    const { signal } = stream.abort;
    const headers = { Accept: "text/plain" };
    const response = await this.#fetch(`${encodeURIComponent(channel)}?${query}`, {
      method: "GET",
      headers,
      signal,
    });
    if (!isOk(response)) {
      const answer = await this.#shared.read(response);
      if (signal.aborted) return;
      if (answer.status === 401) return this.#end(new Ending(answer));
      stream.isAnswered = true;
      this.#unsubscribe(channel);
      return this.#refuseFor(`subscribe ${channel}`, answer);
    }
    if (!response.body) return this.#fail(stream, channel, "invalid", NO_STREAMS);
    const reader = response.body.getReader();
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for (let rest = ""; !signal.aborted; ) {
      const giveUp = () => this.#fail(stream, channel, "unavailable", SILENT);
      stream.cancelTimeout = this.#shared.later(MAX_SILENCE, giveUp);
      const { done, value } = await reader.read();
      stream.cancelTimeout();
      if (done || rest.length > MAX_LINE) throw new Error("the stream ended");
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#receiveLine(stream, channel, line);
    }
  }

  #receiveLine(stream: Stream, channel: string, line: string): void {
    if (stream.abort.signal.aborted) return;
    const [, code = "", isOwn, why = ""] = /^debug!error ([a-z-]+) (subscribe )?[^:]*: (.*)$/s.exec(line) ?? [];
    if (code === "revoked") this.#end(new Ending({ status: 401, code, body: "", why, retryAfter: 0 }));
    else if (code !== "" && code !== "no-history") {
      this.#fail(stream, channel, isOwn ? code : "unavailable", why);
    } else if (code !== "" || line.startsWith(`debug!position ${channel} `)) {
      stream.isAnswered = true;
      if (code === "") stream.position = Number(line.split(" ")[2]);
      this.#emit(line);
    } else if (line.startsWith(`${channel}!`)) {
      stream.position += 1;
      this.#emit(line);
    }
    this.#checkBarriers();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isOk({ status }: Pick<Answer, "status">): boolean {
  return status >= 200 && status < 300;
}

/** Whether a path can name the channel: browsers and proxies resolve `.` and `..`. */
function fitsPath(channel: string): boolean {
  return channel !== "." && channel !== "..";
}

/** Parses the position in a response: null if the channel retains no messages, undefined if it isn't Fanout's. */
function positionIn(body: string): number | null | undefined {
  try {
    const { position } = JSON.parse(body);
    return position === null || Number.isSafeInteger(position) ? position : undefined;
  } catch {
    return undefined;
  }
}

interface Page {
  position: number;
  members: { member: string; data?: string }[];
  /** The last name on this page, if another one follows. */
  next?: string;
}

/** Parses a page of a list of members; undefined if it isn't Fanout's. */
function pageIn(body: string): Page | undefined {
  try {
    const page = JSON.parse(body);
    return Number.isSafeInteger(page.position) && Array.isArray(page.members) ? page : undefined;
  } catch {
    return undefined;
  }
}
