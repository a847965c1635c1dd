/** Receives the messages of one channel over each transport. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { addressOf, bridge } from "../../../src/bridge/bridge.ts";
import { dial } from "./tcp.ts";
import { TestClient } from "./test-client.ts";

export interface Receiver {
  /** Returns the text of the next message, or of a line that is no message. */
  next(): Promise<string>;
  stop(): void;
}

export interface Transport {
  title: string;
  /** Connects to a channel; resolves when the subscription has taken effect. */
  receive(url: string, channel: string): Promise<Receiver>;
}

/** A line that a silent stream sends every 20 seconds. */
export const ALIVE = "alive";

async function overWebSocket(url: string, channel: string): Promise<Receiver> {
  const client = await TestClient.connect(`${url}/${channel}`);
  return { next: async () => textOf(await client.line(), channel), stop: () => client.close() };
}

const textOf = (line: string, channel: string) =>
  line.startsWith(`${channel}!`) ? line.slice(channel.length + 1) : line;

/** Reads the lines of a response that doesn't end. */
async function linesOf(url: string, headers: Record<string, string> = {}) {
  const aborting = new AbortController();
  const response = await fetch(url.replace(/^ws/, "http"), { headers, signal: aborting.signal });
  if (!response.ok || !response.body) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  const body: ReadableStream = response.body;
  const input = Readable.fromWeb(body);
  input.on("error", () => {});
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${url} has ended`);
    return String(value);
  };
  return { line, stop: () => aborting.abort() };
}

async function overLines(url: string, channel: string): Promise<Receiver> {
  const { line, stop } = await linesOf(`${url}/${channel}`);
  if ((await line()) !== "debug!connected...") throw new Error("the stream has no greeting");
  const next = async () => {
    const text = textOf(await line(), channel);
    return text === "debug!alive" ? ALIVE : text;
  };
  return { next, stop };
}

async function overEvents(url: string, channel: string): Promise<Receiver> {
  const { line, stop } = await linesOf(`${url}/${channel}`, { Accept: "text/event-stream" });
  /** Returns the next event's data, or `ALIVE` for a comment. */
  const event = async () => {
    for (let data: string | undefined; ; ) {
      const text = await line();
      if (text.startsWith(":")) return ALIVE;
      if (text.startsWith("data:")) data = text.slice("data:".length).trimStart();
      if (text === "" && data !== undefined) return data;
    }
  };
  for (let data = ""; !data.startsWith("connected"); ) data = await event();
  const next = async () => {
    for (;;) {
      const data = await event();
      // Positions are reported once, before the first message.
      if (!data.startsWith("position ")) return data;
    }
  };
  return { next, stop };
}

async function overBridge(url: string, channel: string): Promise<Receiver> {
  const server = await bridge({ to: url.replace(/^ws/, "http"), host: "127.0.0.1", port: 0 });
  const socket = await dial(addressOf(server));
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  if ((await line()) !== "debug!connected...") throw new Error("the bridge doesn't greet");
  socket.write(`subscribe ${channel}\nping\n`);
  if (!/^\d+$/.test(await line())) throw new Error("the bridge doesn't answer");
  const stop = () => {
    socket.destroy();
    server.close();
  };
  return { next: async () => textOf(await line(), channel), stop };
}

/** Polls whenever it has read all messages of the poll before. */
async function overPolls(url: string, channel: string): Promise<Receiver> {
  const address = `${url.replace(/^ws/, "http")}/${channel}?poll`;
  let position: string | null = null;
  const messages: string[] = [];
  const poll = async () => {
    const response: Response = await fetch(position === null ? address : `${address}&since=${position}`);
    const body = await response.text();
    if (!response.ok) throw new Error(`a poll got ${response.status}: ${body}`);
    position = response.headers.get("Fanout-Position");
    messages.push(...body.split("\n").slice(0, -1));
  };
  await poll();
  const next = async () => {
    while (messages.length === 0) await poll();
    return textOf(messages.shift() ?? "", channel);
  };
  return { next, stop: () => {} };
}

export const TRANSPORTS: Transport[] = [
  { title: "a WebSocket", receive: overWebSocket },
  { title: "a stream of lines", receive: overLines },
  { title: "a stream of events", receive: overEvents },
  { title: "polls", receive: overPolls },
  { title: "the bridge", receive: overBridge },
];
