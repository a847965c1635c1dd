/** A minimal server that answers as Fanout does, except for the faults that a test asks for. */
import { createServer } from "node:http";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { FakeMembers } from "./fake-members.ts";
import { listening } from "./listening.ts";

export interface Faults {
  /** Creates, per connection, a function that maps each line to the lines sent instead. */
  spoil?: () => (line: string) => string[];
  /** Whether it forgets positions, so that clients resume from the current end. */
  forgets?: boolean;
  /** Whether it has presence. A member leaves as soon as its connection ends. */
  hasMembers?: boolean;
}

interface Channel {
  messages: string[];
  subscribers: Set<(line: string) => void>;
  /** The data of each member, by name. */
  members: Map<string, string>;
}

/** Starts a server that stops when the test ends; returns its URL. */
export async function startFake(faults: Faults): Promise<string> {
  const { spoil = () => (line) => [line], forgets = false, hasMembers = false } = faults;
  const channels = new Map<string, Channel>();
  const channelOf = (name: string): Channel => {
    const channel = channels.get(name) ?? { messages: [], subscribers: new Set(), members: new Map() };
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
    const send = sender(socket, spoil());
    send("debug!connected...");
    const asked = searchParams.get("since") ?? undefined;
    const since = forgets && asked !== undefined ? "now" : asked;
    const unsubscribers = [subscribe(channelOf(pathname.slice(1)), pathname.slice(1), since, send)];
    const announce = (name: string, message: string) => publish(channelOf(name), name, message);
    const presence = hasMembers ? new FakeMembers(channelOf, announce, send) : undefined;
    const execute = (line: string) => {
      const [command, ...words] = line.split(" ");
      const [first = "", second = ""] = words;
      if (command === "ping") send(String(Math.floor(Date.now() / 1_000)));
      else if (command === "subscribe") {
        unsubscribers.push(subscribe(channelOf(first), first, words[2], send));
      } else if (command === "announce") announce(first, words.slice(1).join(" "));
      else if (command === "once") {
        send(`debug!once ${first} ${announce(second, words.slice(2).join(" "))}`);
      } else if (command !== "unsubscribe") send(`debug!error invalid ${command}: unknown command`);
    };
    const carryOut = (line: string) => presence?.execute(line) || execute(line);
    socket.on("message", (data) => data.toString().split("\n").filter(Boolean).forEach(carryOut));
    socket.on("close", () => {
      for (const unsubscribe of unsubscribers) unsubscribe();
      presence?.end();
    });
  });
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  });
  return (await listening(http)).replace("http", "ws");
}

function sender(socket: WebSocket, spoiled: (line: string) => string[]): (line: string) => void {
  return (line) => {
    for (const sent of spoiled(line)) socket.send(`${sent}\n`);
  };
}

/** Subscribes a connection to a channel; returns a function that unsubscribes it. */
function subscribe(
  { messages, subscribers }: Channel,
  name: string,
  since: string | undefined,
  send: (line: string) => void,
): () => void {
  const from = since === "now" || since === undefined ? messages.length : Number(since);
  if (since !== undefined) send(`debug!position ${name} ${from}`);
  for (const message of messages.slice(from)) send(`${name}!${message}`);
  subscribers.add(send);
  return () => void subscribers.delete(send);
}

/** Returns the message's position. */
function publish({ messages, subscribers }: Channel, name: string, message: string): number {
  messages.push(message);
  for (const send of subscribers) send(`${name}!${message}`);
  return messages.length;
}
