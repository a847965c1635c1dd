/** Speaks the line protocol by plain requests, where WebSockets don't get through: a stream per channel, and POST. */
import { type ErrorCode, isTemporary, parseRefusal } from "../protocol/errors.ts";
import {
  ALIVE,
  formatAccepted,
  formatError,
  formatFigure,
  formatOnce,
  formatTime,
  GREETING,
} from "../protocol/replies.ts";
import { fitsPath, urlOf } from "./address.ts";
import { isFine, type RequestParts, read, refusalIn, send } from "./http.ts";
import { SILENT } from "./patience.ts";
import type { WebSocketLike } from "./types.ts";
import type { Cancel, World } from "./world.ts";

/** How long a stream may be silent, in milliseconds: the server sends a line every 20 seconds. */
const QUIET = 30_000;

/** Characters of a line that has no end. */
const MOST_REST = 16_000_000;

const NO_PATH = "this channel needs a WebSocket, as no path can name it";
const NOT_OURS = "something else answers than a Fanout server";

interface Stream {
  abort: AbortController;
  /** Whether the subscription took effect. */
  isAnswered: boolean;
  cancelWaiting: Cancel;
}

export class RequestSocket implements WebSocketLike {
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  readonly #world: World;
  readonly #base: string;
  #token: string | undefined;
  readonly #streams = new Map<string, Stream>();
  readonly #abort = new AbortController();
  /** Announcements and questions are carried out one after the other. */
  #queue = Promise.resolve();

  /** @param first the command that subscribes to the channel to which a WebSocket would connect */
  constructor(world: World, base: string, token: string | undefined, first: string | undefined) {
    this.#world = world;
    this.#base = base;
    this.#token = token;
    this.#run(async () => {
      await this.#checkHealth("");
      // Whatever the greeting leads to comes after it.
      if (first !== undefined) this.#carryOut(first);
      this.#say(GREETING);
    });
  }

  send(frame: string): void {
    for (const line of frame.slice(0, -1).split("\n")) this.#carryOut(line);
  }

  close(): void {
    this.#abort.abort();
    for (const channel of [...this.#streams.keys()]) this.#leave(channel);
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.close();
    this.onclose?.({ code: 1006, reason });
  }

  #say(data: string): void {
    if (!this.#isOver) this.onmessage?.({ data });
  }

  #refuse(command: string, argument: string | undefined, code: ErrorCode, why: string): void {
    this.#say(formatError({ code, command, argument, why }));
  }

  /** A request without a response ends the connection. */
  #run(act: () => Promise<void>): Promise<void> {
    return act().catch((error: unknown) => this.#end(messageOf(error)));
  }

  #carryOut(line: string): void {
    const [, verb = "", word = "", rest = ""] = /^(\w+) ?([^ ]*) ?(.*)$/s.exec(line) ?? [];
    if (verb === "subscribe") this.#subscribe(word, rest.replace(" ", "="));
    else if (verb === "unsubscribe") this.#leave(word);
    else if (verb === "keepalive") this.#run(() => this.#checkHealth(ALIVE));
    else if (verb === "token") {
      this.#token = word;
      this.#say(formatAccepted(0));
    } else this.#queue = this.#queue.then(() => this.#run(() => this.#ask(verb, word, rest)));
  }

  #ask(verb: string, word: string, rest: string): Promise<void> {
    if (verb === "ping") return this.#checkHealth(formatTime(0));
    if (verb === "info") return this.#sayFigures();
    if (verb === "announce") return this.#post(verb, word, word, rest);
    const space = rest.indexOf(" ");
    return this.#post(verb, word, rest.slice(0, space), rest.slice(space + 1), word);
  }

  async #request(url: string, parts?: RequestParts) {
    const { signal } = this.#abort;
    signal.throwIfAborted();
    const answer = await read(await send(this.#world, this.#token, url, parts, signal));
    // The connection after this one has another token.
    if (answer.status === 401) throw new Error(answer.said);
    return answer;
  }

  async #checkHealth(reply: string): Promise<void> {
    const { said } = await this.#request(`${this.#base}/-/health`);
    if (said !== "ok") throw new Error(NOT_OURS);
    this.#say(reply);
  }

  async #sayFigures(): Promise<void> {
    const answer = await this.#request(`${this.#base}/-/info`);
    if (!isFine(answer)) {
      const { code, message } = refusalIn(answer);
      this.#refuse("info", undefined, code, message);
      return;
    }
    const figures: [string, string][] = Object.entries(JSON.parse(answer.said));
    this.#say(figures.map(([key, value]) => formatFigure(key, value)).join(""));
  }

  /** @param key undefined where the channel retains no messages */
  async #post(command: string, argument: string, channel: string, body: string, key?: string): Promise<void> {
    const refuse = (code: ErrorCode, why: string) => this.#refuse(command, argument, code, why);
    if (!fitsPath(channel)) return refuse("invalid", NO_PATH);
    // A key may have characters that a header may not.
    if (key && !/^[!-~]+$/.test(key)) return refuse("invalid", "over plain requests a key is ASCII");
    const headers: Record<string, string> = { "Content-Type": "text/plain; charset=utf-8" };
    if (key) headers["Idempotency-Key"] = key;
    const answer = await this.#request(urlOf(this.#base, channel), { method: "POST", body, headers });
    const position = isFine(answer) ? positionIn(answer.said) : undefined;
    if (!isFine(answer)) {
      const { code, message } = refusalIn(answer);
      refuse(code, message);
    } else if (position === undefined || (key && position === null)) refuse("unavailable", NOT_OURS);
    else if (key && position !== null) this.#say(formatOnce(key, position));
  }

  // --- streams

  #subscribe(channel: string, query: string): void {
    this.#leave(channel);
    if (!fitsPath(channel)) {
      this.#refuse("subscribe", channel, "invalid", NO_PATH);
      return;
    }
    const stream: Stream = { abort: new AbortController(), isAnswered: false, cancelWaiting: () => {} };
    this.#streams.set(channel, stream);
    this.#listen(stream, channel, query).catch((error) => this.#lose(stream, channel, messageOf(error)));
  }

  #leave(channel: string): void {
    const stream = this.#streams.get(channel);
    if (!stream) return;
    this.#streams.delete(channel);
    stream.cancelWaiting();
    stream.abort.abort();
    if (!stream.isAnswered) this.#refuse("subscribe", channel, "unavailable", "the stream was left");
  }

  /** A stream that breaks off is begun again by who gets the error. */
  #lose(stream: Stream, channel: string, why: string, code: ErrorCode = "unavailable"): void {
    if (this.#streams.get(channel) !== stream) return;
    stream.isAnswered = true;
    this.#leave(channel);
    this.#refuse("subscribe", channel, code, why);
  }

  async #listen(stream: Stream, channel: string, query: string): Promise<void> {
    const url = `${urlOf(this.#base, channel)}?${query}`;
    const { signal } = stream.abort;
    const parts = { headers: { Accept: "text/plain" } };
    const response = await send(this.#world, this.#token, url, parts, signal);
    if (!isFine(response)) {
      const answer = await read(response);
      if (answer.status === 401 && !signal.aborted) return this.#end(answer.said);
      const { code, message } = refusalIn(answer);
      return this.#lose(stream, channel, message, code);
    }
    if (!response.body) throw new Error("this `fetch` can't stream the body of a response");
    const reader = response.body.getReader();
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let rest = "";
    while (!signal.aborted) {
      stream.cancelWaiting = this.#world.later(QUIET, () => this.#lose(stream, channel, SILENT));
      const { done, value } = await reader.read();
      stream.cancelWaiting();
      if (done || rest.length > MOST_REST) throw new Error("the stream ended");
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (!signal.aborted) this.#take(stream, channel, line);
    }
  }

  #take(stream: Stream, channel: string, line: string): void {
    const refusal = line.startsWith("debug!error ") ? parseRefusal(line.slice(12)) : undefined;
    const isOwn = refusal?.command === "subscribe" && !isTemporary(refusal.code);
    if (refusal && refusal.code !== "no-history") {
      this.#lose(stream, channel, refusal.why, isOwn ? refusal.code : "unavailable");
    } else if (refusal || line.startsWith(`debug!position ${channel} `)) {
      stream.isAnswered = true;
      this.#say(`${line}\n`);
    } else if (line.startsWith(`${channel}!`)) this.#say(`${line}\n`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
