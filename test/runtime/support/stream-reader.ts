import { exports } from "cloudflare:workers";
import { onTestFinished } from "vitest";

/** Headers of a request for server-sent events. */
export const EVENTS = { Accept: "text/event-stream" };

/** A client of a stream. */
export class StreamReader {
  readonly response: Response;
  readonly #leave: AbortController;
  readonly #reader: ReadableStreamDefaultReader<string> | undefined;
  #rest = "";

  private constructor(response: Response, leave: AbortController) {
    this.response = response;
    this.#leave = leave;
    this.#reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async open(path: string, headers: Record<string, string> = {}): Promise<StreamReader> {
    const leave = new AbortController();
    onTestFinished(() => leave.abort());
    const response = await exports.default.fetch(`http://fanout.test${path}`, {
      headers,
      signal: leave.signal,
    });
    return new StreamReader(response, leave);
  }

  /** Reads up to the next `end`, and returns the text before it; undefined at the end of the stream. */
  async upTo(end: string): Promise<string | undefined> {
    while (!this.#rest.includes(end)) {
      const { done, value } = (await this.#reader?.read()) ?? { done: true };
      if (done) return undefined;
      this.#rest += value;
    }
    const [next = "", ...others] = this.#rest.split(end);
    this.#rest = others.join(end);
    return next;
  }

  /** Reads up to the next wanted event, by default the next message. */
  async event(isWanted = (event: string) => event !== "debug"): Promise<{ event: string; data: string; id: string }> {
    for (;;) {
      const block = await this.upTo("\n\n");
      if (block === undefined) throw new Error("the stream has ended");
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      const event = field("event");
      if (event !== "" && isWanted(event)) return { event, data: field("data"), id: field("id") };
    }
  }

  /** Reads up to the next `debug` event that matches, and returns its data. */
  async debugEvent(what: RegExp): Promise<string> {
    for (;;) {
      const { data } = await this.event((event) => event === "debug");
      if (what.test(data)) return data;
    }
  }

  leave(): void {
    this.#leave.abort();
  }
}
