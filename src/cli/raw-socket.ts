/** A WebSocket as it is, for who wants to see the lines themselves. */

import { EVERYONE } from "../protocol/channels.ts";
import { parseReply } from "../protocol/replies.ts";
import { type Address, urlOf } from "./address.ts";

export class Wire {
  readonly #socket: WebSocket;
  readonly #patience: number;
  readonly #lines: string[] = [];
  #rest = "";
  #ended: Error | undefined;
  #noticed = () => {};

  private constructor(socket: WebSocket, patience: number) {
    this.#socket = socket;
    this.#patience = patience;
    socket.onmessage = ({ data }) => this.#read(String(data));
    socket.onclose = ({ code, reason }) => this.#end(`the connection was closed (${code} ${reason})`);
    socket.onerror = () => this.#end("the connection broke off");
  }

  /**
   * Connects, and reads the greeting.
   * @param patience how long a line may take, in milliseconds
   * @throws Error that says what came instead
   */
  static async open(
    address: Address,
    patience: number,
    channel: string,
    query: Record<string, string> = {},
  ): Promise<Wire> {
    const subprotocols = address.token === undefined ? [] : ["fanout", address.token];
    const wire = new Wire(new WebSocket(urlOf(address, "ws", channel, query), subprotocols), patience);
    try {
      const greeting = await wire.line();
      if (parseReply(greeting).kind === "connected") return wire;
      throw new Error(`the greeting is '${greeting}'`);
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  say(...lines: string[]): void {
    this.#socket.send(lines.map((line) => `${line}\n`).join(""));
  }

  /**
   * The next line.
   * @throws Error if none comes in time, or the connection has ended
   */
  async line(): Promise<string> {
    const timer = setTimeout(() => this.#end(`nothing came in ${this.#patience / 1_000} s`), this.#patience);
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

  /** Says something, and then `ping`; gives the lines that come before the answer to that. */
  async answersTo(...lines: string[]): Promise<string[]> {
    this.say(...lines, "ping");
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
    // What others say to everyone is no answer to anything.
    this.#lines.push(...lines.filter((line) => !line.startsWith(`${EVERYONE}!`)));
    this.#noticed();
  }

  #end(why: string): void {
    this.#ended ??= new Error(why);
    this.#noticed();
  }
}
