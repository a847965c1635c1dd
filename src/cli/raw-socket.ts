/** A WebSocket that exposes the protocol's lines. */

import { webSocketUrl } from "../client/address.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { parseReply } from "../protocol/replies.ts";
import { type Address, urlOf } from "./address.ts";

export type RawSocket = Awaited<ReturnType<typeof openSocket>>;

/**
 * Connects, and reads the greeting.
 * @param timeout for each line, in milliseconds
 * @throws Error if the greeting is missing or wrong
 */
export async function openSocket(
  address: Address,
  timeout: number,
  channel: string,
  query: Record<string, string> = {},
) {
  const search = new URLSearchParams(query).toString();
  const url = webSocketUrl(`${urlOf(address, channel)}${search === "" ? "" : `?${search}`}`);
  const socket = new WebSocket(url, address.token === undefined ? [] : ["fanout", address.token]);
  const lines: string[] = [];
  let rest = "";
  let ended: Error | undefined;
  let notify = () => {};
  const end = (why: string) => {
    ended ??= new Error(why);
    notify();
  };
  socket.onmessage = ({ data }) => {
    const received = (rest + String(data)).split("\n");
    rest = received.pop() ?? "";
    // Messages on `all` may come from any client, so they aren't replies.
    lines.push(...received.filter((line) => !line.startsWith(`${EVERYONE}!`)));
    notify();
  };
  socket.onclose = ({ code, reason }) => end(`the connection was closed (${code} ${reason})`);
  socket.onerror = () => end("the connection broke off");
  const opened = {
    send(...commands: string[]): void {
      socket.send(commands.map((command) => `${command}\n`).join(""));
    },
    /**
     * Waits for the next line.
     * @throws Error if none is received in time, or the connection has ended
     */
    async line(): Promise<string> {
      const timer = setTimeout(() => end(`no line in ${timeout / 1_000} s`), timeout);
      try {
        for (;;) {
          const line = lines.shift();
          if (line !== undefined) return line;
          if (ended) throw ended;
          await new Promise<void>((resolve) => {
            notify = resolve;
          });
        }
      } finally {
        clearTimeout(timer);
      }
    },
    /** Sends lines and a `ping`, and returns the lines received before the reply to `ping`. */
    async repliesTo(...commands: string[]): Promise<string[]> {
      opened.send(...commands, "ping");
      const answers: string[] = [];
      for (;;) {
        const line = await opened.line();
        if (parseReply(line).kind === "time") return answers;
        answers.push(line);
      }
    },
    close(): void {
      end("the connection is closed");
      socket.close();
    },
  };
  try {
    const greeting = await opened.line();
    if (parseReply(greeting).kind === "connected") return opened;
    throw new Error(`'${greeting}' isn't the greeting`);
  } catch (error) {
    opened.close();
    throw error;
  }
}
