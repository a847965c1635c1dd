/** What a client may say, one line each; lines are seen here without the "\n" at their end. */
import { channelFault, nameFault } from "./channels.ts";
import { type Invalid, invalid } from "./invalid.ts";
import { keyFault } from "./keys.ts";
import { type From, formatFrom, parseFromWords } from "./positions.ts";
import { NO_MESSAGE } from "./refusals.ts";

export type Command =
  | { kind: "ping" }
  | { kind: "info" }
  | { kind: "keepalive" }
  | { kind: "subscribe"; channel: string; from?: From }
  | { kind: "unsubscribe"; channel: string }
  | Announcement
  /** An announcement that takes place once, however often it is made with this key. */
  | { kind: "once"; key: string; channel: string; message: string }
  | { kind: "token"; token: string };

interface Announcement {
  kind: "announce";
  channel: string;
  message: string;
}

/** What a line from a client is; empty ones are ignored. */
export type ClientLine = Command | Invalid | { kind: "empty" };

/** Reads one line from a client. Never throws. */
export function parseCommand(line: string): ClientLine {
  if (line.startsWith("announce ")) return parseAnnounce(line, "announce ".length, "announce");
  if (line.startsWith("once ")) return parseOnce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "empty" };
  if (bare === "ping" || bare === "info" || bare === "keepalive") return { kind: bare };
  const [verb, word = "", ...more] = bare.split(/ +/, 4);
  if (verb === "subscribe") return parseSubscribe(word, more);
  if (verb === "unsubscribe") return parseUnsubscribe(word);
  if (verb === "token") return word === "" ? invalid("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return invalid("announce takes a channel and a message");
  if (verb === "once") return invalid("once takes a key, a channel and a message");
  return invalid(
    "unknown command; there are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, once <key> <channel> <message>, token <jwt>, keepalive",
  );
}

/** The line that `parseCommand` reads as `command`. */
export function formatCommand(command: Command): string {
  switch (command.kind) {
    case "ping":
    case "info":
    case "keepalive":
      return command.kind;
    case "subscribe":
      return formatSubscribe(command.channel, command.from);
    case "unsubscribe":
      return `unsubscribe ${command.channel}`;
    case "announce":
      return `announce ${command.channel} ${command.message}`;
    case "once":
      return `once ${command.key} ${command.channel} ${command.message}`;
    case "token":
      return `token ${command.token}`;
  }
}

function formatSubscribe(channel: string, from: From | undefined): string {
  return from ? `subscribe ${channel} ${formatFrom(from)}` : `subscribe ${channel}`;
}

/** Words after the channel that say nothing of where to begin mean nothing. */
function parseSubscribe(channel: string, [how = "", word = ""]: string[]): ClientLine {
  const fault = channelFault(channel);
  if (fault) return invalid(`cannot subscribe: ${fault}`);
  const from = parseFromWords(how, word);
  if (!from) return { kind: "subscribe", channel };
  return "why" in from ? invalid(`cannot subscribe: ${from.why}`) : { kind: "subscribe", channel, from };
}

function parseUnsubscribe(channel: string): ClientLine {
  const fault = nameFault(channel);
  return fault ? invalid(`cannot unsubscribe: ${fault}`) : { kind: "unsubscribe", channel };
}

/**
 * Reads a channel and a message.
 * @param from where in the line they begin
 * @param what is being done, for who reads that it cannot be
 */
function parseAnnounce(line: string, from: number, what: string): Announcement | Invalid {
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return invalid(`cannot ${what}: ${fault}`);
  const message = space < 0 ? "" : line.slice(space + 1);
  if (message === "") return invalid(`cannot ${what}: ${NO_MESSAGE}`);
  return { kind: "announce", channel, message };
}

function parseOnce(line: string): ClientLine {
  const [, key = ""] = line.split(" ", 2);
  const fault = keyFault(key);
  if (fault) return invalid(`cannot announce once: ${fault}`);
  const read = parseAnnounce(line, `once ${key} `.length, "announce once");
  return read.kind === "announce" ? { ...read, kind: "once", key } : read;
}
