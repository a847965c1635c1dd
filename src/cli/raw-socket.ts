/** A WebSocket that exposes the protocol's lines. */

import { webSocketUrl } from "../client/address.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { parseReply } from "../protocol/replies.ts";
import { type Address, urlOf } from "./address.ts";

export class RawSocket {
  readonly #socket: WebSocket;
  readonly #timeout: number;
  readonly #lines: string[] = [];
  #rest = "";
  #ended: Error | undefined;
  #noticed = () => {};

  private constructor(socket: WebSocket, timeout: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    socket.onmessage = ({ data }) => this.#read(String(data));
    socket.onclose = ({ code, reason }) => this.#end(`the connection was closed (${code} ${reason})`);
    socket.onerror = () => this.#end("the connection broke off");
  }

  /**
   * Connects, and reads the greeting.
   * @param timeout for each line, in milliseconds
   * @throws Error if the greeting is missing or wrong
   */
  static async open(
    address: Address,
    timeout: number,
    channel: string,
    query: Record<string, string> = {},
  ): Promise<RawSocket> {
    const subprotocols = address.token === undefined ? [] : ["fanout", address.token];
    const search = new URLSearchParams(query).toString();
    const url = webSocketUrl(`${urlOf(address, channel)}${search === "" ? "" : `?${search}`}`);
    const socket = new RawSocket(new WebSocket(url, subprotocols), timeout);
    try {
      const greeting = await socket.line();
      if (parseReply(greeting).kind === "connected") return socket;
      throw new Error(`'${greeting}' isn't the greeting`);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  send(...lines: string[]): void {
    this.#socket.send(lines.map((line) => `${line}\n`).join(""));
  }

  /**
   * Waits for the next line.
   * @throws Error if none is received in time, or the connection has ended
   */
  async line(): Promise<string> {
    const timer = setTimeout(() => this.#end(`no line in ${this.#timeout / 1_000} s`), this.#timeout);
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line !== undefined) return line;
        if (this.#ended) throw this.#ended;
        await new Promise<void>((resolve) => {
          this.#noticed = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends lines and a `ping`, and returns the lines received before the reply to `ping`. */
  async repliesTo(...lines: string[]): Promise<string[]> {
    this.send(...lines, "ping");
    const answers: string[] = [];
    for (let line = await this.line(); parseReply(line).kind !== "time"; line = await this.line()) {
      answers.push(line);
    }
    return answers;
  }

  close(): void {
    this.#end("the connection is closed");
    this.#socket.close();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    // Messages on `all` may come from any client, so they aren't replies.
    this.#lines.push(...lines.filter((line) => !line.startsWith(`${EVERYONE}!`)));
    this.#noticed();
  }

  #end(why: string): void {
    this.#ended ??= new Error(why);
    this.#noticed();
  }
}
