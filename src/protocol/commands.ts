/** Commands from clients, one per line; callers strip the "\n". */
import { channelFault, nameFault } from "./channels.ts";
import type { Refusal } from "./errors.ts";
import { type Invalid, invalid } from "./invalid.ts";
import { keyFault } from "./keys.ts";
import { dataFault, formatMember, type Member, memberFault, presenceFault } from "./members.ts";
import { type From, formatFrom, parseFromWords } from "./positions.ts";
import { NO_MESSAGE } from "./refusals.ts";

export type Command =
  | { kind: "ping" }
  | { kind: "info" }
  | { kind: "keepalive" }
  | { kind: "subscribe"; channel: string; from?: From }
  | { kind: "unsubscribe"; channel: string }
  | Announcement
  /** Announces the message, unless the channel's history has one with the same key. */
  | { kind: "once"; key: string; channel: string; message: string }
  | ({ kind: "enter"; channel: string } & Member)
  | { kind: "leave"; channel: string }
  | { kind: "members"; channel: string }
  | { kind: "token"; token: string };

interface Announcement {
  kind: "announce";
  channel: string;
  message: string;
}

/** A line that the server refuses. */
export interface RefusedLine {
  kind: "refused";
  refusal: Refusal;
}

/** A parsed line. The server ignores empty ones. */
export type ClientLine = Command | RefusedLine | { kind: "empty" };

/** Parses one line from a client. Never throws. */
export function parseCommand(line: string): ClientLine {
  const parsed = parse(line);
  return parsed.kind === "invalid" ? refuseLine(line, "invalid", parsed.why) : parsed;
}

/** Refuses a line, and names its command and argument if they can be told. */
export function refuseLine(line: string, code: Refusal["code"], why: string): RefusedLine {
  return { kind: "refused", refusal: { ...headOf(line), code, why } };
}

// Error lines repeat channels and keys of up to 255 bytes without control characters. `announce` and `once` take exactly
// one space before that word, and a "\r" at the end of their line is part of it.
const VERBATIM = /^(announce|once) ([^ \p{Cc}\p{Cs}]{1,255})(?: |$)/u;
const SPACED = /^(subscribe|unsubscribe|enter|leave|members) +([^ \p{Cc}\p{Cs}]{1,255})(?: |\r?$)/u;
const NAME = /^([a-z]{1,16})(?: |\r?$)/;

/**
 * Returns a line's command, or "line" if it isn't a plain word, and its channel or key. Other arguments are left out, as
 * they may be tokens.
 */
function headOf(line: string): Pick<Refusal, "command" | "argument"> {
  const [, command = "line", argument] = VERBATIM.exec(line) ?? SPACED.exec(line) ?? NAME.exec(line) ?? [];
  return argument === undefined ? { command } : { command, argument };
}

function parse(line: string): Command | Invalid | { kind: "empty" } {
  if (line.startsWith("announce ")) return parseAnnounce(line, "announce ".length);
  if (line.startsWith("once ")) return parseOnce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "empty" };
  if (bare === "ping" || bare === "info" || bare === "keepalive") return { kind: bare };
  const [verb = "", word = "", ...more] = bare.split(/ +/, 4);
  const parsed = parseWithChannel(verb, word, more, bare);
  if (parsed) return parsed;
  if (verb === "token") return word === "" ? invalid("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return invalid("announce takes a channel and a message");
  if (verb === "once") return invalid("once takes a key, a channel and a message");
  if (verb === "ping" || verb === "info" || verb === "keepalive") return invalid(`${verb} takes no argument`);
  return invalid(
    "unknown command; the commands are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, once <key> <channel> <message>, enter <channel> <member> [<data>], leave <channel>, members <channel>, token <jwt>, keepalive",
  );
}

function parseWithChannel(verb: string, channel: string, more: string[], line: string): Command | Invalid | undefined {
  if (verb === "subscribe") return parseSubscribe(channel, more);
  if (verb === "unsubscribe" || verb === "leave") return parseUnchecked(verb, channel);
  if (verb === "enter") return parseEnter(line);
  return verb === "members" ? parseMembers(channel) : undefined;
}

/** Formats a command; the inverse of `parseCommand`. */
export function formatCommand(command: Command): string {
  switch (command.kind) {
    case "ping":
    case "info":
    case "keepalive":
      return command.kind;
    case "subscribe":
      return formatSubscribe(command.channel, command.from);
    case "unsubscribe":
    case "leave":
    case "members":
      return `${command.kind} ${command.channel}`;
    case "enter":
      return `enter ${command.channel} ${formatMember(command)}`;
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

/** Ignores unknown words after the channel, as the original server does. */
function parseSubscribe(channel: string, [how = "", word = ""]: string[]): Command | Invalid {
  const fault = channelFault(channel);
  if (fault) return invalid(fault);
  const from = parseFromWords(how, word);
  if (!from) return { kind: "subscribe", channel };
  return "why" in from ? from : { kind: "subscribe", channel, from };
}

/** Parses a command that is harmless on a channel that can't exist. */
function parseUnchecked(kind: "unsubscribe" | "leave", channel: string): Command | Invalid {
  const fault = nameFault(channel);
  return fault ? invalid(fault) : { kind, channel };
}

/** Data is everything after one space behind the member. */
function parseEnter(line: string): Command | Invalid {
  const [, channel = "", member = "", data = ""] = /^enter *([^ ]*) *([^ ]*) ?(.*)$/s.exec(line) ?? [];
  const fault = presenceFault(channel) ?? memberFault(member) ?? dataFault(data);
  return fault ? invalid(fault) : { kind: "enter", channel, member, data };
}

function parseMembers(channel: string): Command | Invalid {
  const fault = presenceFault(channel);
  return fault ? invalid(fault) : { kind: "members", channel };
}

/** Parses a channel and a message, from index `from` of the line. */
function parseAnnounce(line: string, from: number): Announcement | Invalid {
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return invalid(fault);
  const message = space < 0 ? "" : line.slice(space + 1);
  return message === "" ? invalid(NO_MESSAGE) : { kind: "announce", channel, message };
}

function parseOnce(line: string): Command | Invalid {
  const [, key = ""] = line.split(" ", 2);
  const fault = keyFault(key);
  if (fault) return invalid(fault);
  const parsed = parseAnnounce(line, `once ${key} `.length);
  return parsed.kind === "announce" ? { ...parsed, kind: "once", key } : parsed;
}
