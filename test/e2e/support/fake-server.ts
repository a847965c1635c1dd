/** A minimal server that answers as Fanout does, except for the faults that a test asks for. */
import { createServer } from "node:http";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { listening } from "./listening.ts";

export interface Faults {
  /** Creates, per connection, a function that maps each line to the lines sent instead. */
  spoil?: () => (line: string) => string[];
  /** Whether it forgets positions, so that clients resume from the current end. */
  forgets?: boolean;
}

interface Channel {
  messages: string[];
  listeners: Set<(line: string) => void>;
}

/** Starts a server that stops when the test ends; returns its URL. */
export async function startFake({
  spoil = () => (line) => [line],
  forgets = false,
}: Faults): Promise<string> {
  const channels = new Map<string, Channel>();
  const channelOf = (name: string): Channel => {
    const channel = channels.get(name) ?? { messages: [], listeners: new Set() };
    channels.set(name, channel);
    return channel;
  };
  const http = createServer(({ url }, response) => {
    if (url === "/-/health") response.end("ok\n");
    else response.writeHead(404).end("not found\n");
  });
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => "fanout" });
  sockets.on("connection", (socket, { url = "/" }) => {
    const { pathname, searchParams } = new URL(url, "ws://localhost");
    const say = speaker(socket, spoil());
    say("debug!connected...");
    const asked = searchParams.get("since") ?? undefined;
    const since = forgets && asked !== undefined ? "now" : asked;
    const left = [subscribe(channelOf(pathname.slice(1)), pathname.slice(1), since, say)];
    const obey = (line: string) => {
      const [command, ...words] = line.split(" ");
      const [first = "", second = ""] = words;
      if (command === "ping") say(String(Math.floor(Date.now() / 1_000)));
      else if (command === "subscribe") {
        left.push(subscribe(channelOf(first), first, words[2], say));
      } else if (command === "announce") publish(channelOf(first), first, words.slice(1).join(" "));
      else if (command === "once") {
        say(`debug!once ${first} ${publish(channelOf(second), second, words.slice(2).join(" "))}`);
      } else if (command !== "unsubscribe") say(`debug!error invalid ${command}: unknown command`);
    };
    socket.on("message", (data) => data.toString().split("\n").filter(Boolean).forEach(obey));
    socket.on("close", () => {
      for (const leave of left) leave();
    });
  });
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  });
  return (await listening(http)).replace("http", "ws");
}

function speaker(socket: WebSocket, spoiled: (line: string) => string[]): (line: string) => void {
  return (line) => {
    for (const said of spoiled(line)) socket.send(`${said}\n`);
  };
}

/** Subscribes a connection to a channel; returns a function that unsubscribes it. */
function subscribe(
  { messages, listeners }: Channel,
  name: string,
  since: string | undefined,
  say: (line: string) => void,
): () => void {
  const from = since === "now" || since === undefined ? messages.length : Number(since);
  if (since !== undefined) say(`debug!position ${name} ${from}`);
  for (const message of messages.slice(from)) say(`${name}!${message}`);
  listeners.add(say);
  return () => void listeners.delete(say);
}

/** Returns the message's position. */
function publish({ messages, listeners }: Channel, name: string, message: string): number {
  messages.push(message);
  for (const say of listeners) say(`${name}!${message}`);
  return messages.length;
}
