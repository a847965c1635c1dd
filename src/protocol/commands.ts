/** What a client may say, one line each; lines are seen here without the "\n" at their end. */
import { channelFault, nameFault } from "./channels.ts";

export type Command =
  | { kind: "ping" }
  | { kind: "info" }
  | { kind: "subscribe"; channel: string }
  | { kind: "unsubscribe"; channel: string }
  | { kind: "announce"; channel: string; message: string }
  | { kind: "token"; token: string };

/** A line that is no command, and why, for the client to read. */
export interface Invalid {
  kind: "invalid";
  why: string;
}

/** What a line from a client is; empty ones are ignored. */
export type ClientLine = Command | Invalid | { kind: "empty" };

/** Reads one line from a client. Never throws. */
export function parseCommand(line: string): ClientLine {
  if (line.startsWith("announce ")) return parseAnnounce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "empty" };
  if (bare === "ping" || bare === "info") return { kind: bare };
  const [verb, word = ""] = bare.split(/ +/, 2);
  if (verb === "subscribe" || verb === "unsubscribe") return parseSubscription(verb, word);
  if (verb === "token") return word === "" ? invalid("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return invalid("announce takes a channel and a message");
  return invalid(
    "unknown command; there are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, token <jwt>",
  );
}

/** The line that `parseCommand` reads as `command`. */
export function formatCommand(command: Command): string {
  switch (command.kind) {
    case "ping":
    case "info":
      return command.kind;
    case "subscribe":
    case "unsubscribe":
      return `${command.kind} ${command.channel}`;
    case "announce":
      return `announce ${command.channel} ${command.message}`;
    case "token":
      return `token ${command.token}`;
  }
}

function parseSubscription(kind: "subscribe" | "unsubscribe", channel: string): ClientLine {
  const fault = kind === "subscribe" ? channelFault(channel) : nameFault(channel);
  return fault ? invalid(`cannot ${kind}: ${fault}`) : { kind, channel };
}

function parseAnnounce(line: string): ClientLine {
  const from = "announce ".length;
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return invalid(`cannot announce: ${fault}`);
  const message = space < 0 ? "" : line.slice(space + 1);
  if (message === "") return invalid("cannot announce: a message is missing after the channel");
  return { kind: "announce", channel, message };
}

export function invalid(why: string): Invalid {
  return { kind: "invalid", why };
}
