/** Lines from the server to a client: `format…` makes one, `parseReply` parses any. */
import { DEBUG, nameFault } from "./channels.ts";
import { formatRefusal, parseRefusal, type Refusal } from "./errors.ts";
import { formatMember, type Member, memberFault, parseMember } from "./members.ts";
import { parsePosition } from "./positions.ts";

/** Greets a client when its connection is ready. */
export const GREETING = `${DEBUG}!connected...\n`;

/** Replaces the greeting when the service is full. */
export const BUSY = `${DEBUG}!busy\n`;

/** Replies to `keepalive`. */
export const ALIVE = `${DEBUG}!alive\n`;

/** Formats a message for the subscribers of `channel`. */
export function formatMessage(channel: string, message: string): string {
  return `${channel}!${message}\n`;
}

/** Tells one client which command was refused, and why. Sentences may quote tokens and other servers. */
export function formatError(refusal: Refusal): string {
  return `${DEBUG}!error ${formatRefusal(refusal).replaceAll("\n", " ")}\n`;
}

/** Tells one client that its token is accepted. @param until its expiry, in milliseconds */
export function formatAccepted(until: number): string {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1000)}\n`;
}

/** Tells one client its position in `channel`. */
export function formatPosition(channel: string, position: number): string {
  return `${DEBUG}!position ${channel} ${position}\n`;
}

/** Tells one client that it lacks the messages after `from`, up to `to`. */
export function formatGap(channel: string, from: number, to: number): string {
  return `${DEBUG}!gap ${channel} ${from} ${to}\n`;
}

/** Tells one client the position of its announcement with `key`. */
export function formatOnce(key: string, position: number): string {
  return `${DEBUG}!once ${key} ${position}\n`;
}

/** Begins the reply to `members`: `count` members follow, as of a position of the presence channel. */
export function formatMembers(channel: string, position: number, count: number): string {
  return `${DEBUG}!members ${channel} ${position} ${count}\n`;
}

/** Formats one member in the reply to `members`. */
export function formatMemberOf(channel: string, member: Member): string {
  return `${DEBUG}!member ${channel} ${formatMember(member)}\n`;
}

/** Replies to `ping` with the time in whole Unix seconds. @param now milliseconds */
export function formatTime(now: number): string {
  return `${Math.floor(now / 1000)}\n`;
}

/** Formats one line of the reply to `info`. */
export function formatFigure(key: string, value: string | number): string {
  return `${key}: ${value}\n`;
}

export type Reply =
  | { kind: "connected" }
  | { kind: "busy" }
  | { kind: "message"; channel: string; message: string }
  | ({ kind: "error" } & Refusal)
  /** In Unix seconds. */
  | { kind: "accepted"; until: number }
  /** In Unix seconds. */
  | { kind: "time"; seconds: number }
  | { kind: "figure"; key: string; value: string }
  | { kind: "alive" }
  | { kind: "position"; channel: string; position: number }
  | { kind: "gap"; channel: string; from: number; to: number }
  | { kind: "once"; key: string; position: number }
  | { kind: "members"; channel: string; position: number; count: number }
  | ({ kind: "member"; channel: string } & Member)
  /** A line that a newer server may send. */
  | { kind: "unknown"; line: string };

/** Parses one line from a server, without its "\n". Never throws. */
export function parseReply(line: string): Reply {
  if (/^\d+$/.test(line)) return { kind: "time", seconds: Number(line) };
  const [, channel, message] = /^([^ !]+)!(.*)$/s.exec(line) ?? [];
  if (channel === DEBUG) return parseDebug(line, message ?? "");
  if (channel !== undefined && message !== undefined) return { kind: "message", channel, message };
  const [, key, value] = /^([^:]+): (.*)$/s.exec(line) ?? [];
  if (key !== undefined && value !== undefined) return { kind: "figure", key, value };
  return { kind: "unknown", line };
}

function parseDebug(line: string, text: string): Reply {
  if (text === "connected...") return { kind: "connected" };
  if (text === "busy") return { kind: "busy" };
  if (text === "alive") return { kind: "alive" };
  const refusal = text.startsWith("error ") ? parseRefusal(text.slice("error ".length)) : undefined;
  if (refusal) return { kind: "error", ...refusal };
  const [, until] = /^token accepted until (\d+)$/.exec(text) ?? [];
  if (until !== undefined) return { kind: "accepted", until: Number(until) };
  return parseMemberOf(text) ?? parsePositions(text) ?? { kind: "unknown", line };
}

function parseMemberOf(text: string): Reply | undefined {
  const [, channel = "", rest = ""] = /^member ([^ ]+) (.+)$/s.exec(text) ?? [];
  const member = parseMember(rest);
  return nameFault(channel) || memberFault(member.member) ? undefined : { kind: "member", channel, ...member };
}

/** Parses the position or gap of a channel, or the position of an announcement with a key. */
function parsePositions(text: string): Reply | undefined {
  const [what, name = "", ...words] = text.split(" ");
  const [first, second, ...more] = words.map(parsePosition);
  if (first === undefined || more.length > 0) return undefined;
  const isPair = words.length === 2;
  if (what === "once" && !isPair && name !== "") return { kind: "once", key: name, position: first };
  if (nameFault(name)) return undefined;
  if (what === "position" && !isPair) return { kind: "position", channel: name, position: first };
  if (what === "members" && second !== undefined) {
    return { kind: "members", channel: name, position: first, count: second };
  }
  if (what !== "gap" || second === undefined) return undefined;
  return { kind: "gap", channel: name, from: first, to: second };
}
