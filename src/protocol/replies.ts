/** What the server says to a client, in lines, both ways: `format…` makes one, `parseReply` reads any. */
import { DEBUG, nameFault } from "./channels.ts";
import { formatRefusal, parseRefusal, type Refusal } from "./errors.ts";
import { parsePosition } from "./positions.ts";

/** The greeting: sent once, when the connection is ready. */
export const GREETING = `${DEBUG}!connected...\n`;

/** Sent instead of the greeting to a connection that is one too many. */
export const BUSY = `${DEBUG}!busy\n`;

/** The answer to `keepalive`. */
export const ALIVE = `${DEBUG}!alive\n`;

/** The line that subscribers of `channel` read. */
export function formatMessage(channel: string, message: string): string {
  return `${channel}!${message}\n`;
}

/** The line that tells one connection which of its commands was refused, and why. */
export function formatError(refusal: Refusal): string {
  return `${DEBUG}!error ${formatRefusal(refusal)}\n`;
}

/** The line that tells one connection that its token is good, and until when, in milliseconds. */
export function formatAccepted(until: number): string {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1000)}\n`;
}

/** The line that tells one connection at which position of `channel` it is. */
export function formatPosition(channel: string, position: number): string {
  return `${DEBUG}!position ${channel} ${position}\n`;
}

/** The line that tells one connection between which positions of `channel` it misses messages. */
export function formatGap(channel: string, from: number, to: number): string {
  return `${DEBUG}!gap ${channel} ${from} ${to}\n`;
}

/** The line that tells one connection which position its announcement with `key` has. */
export function formatOnce(key: string, position: number): string {
  return `${DEBUG}!once ${key} ${position}\n`;
}

/** The answer to `ping`: `now`, given in milliseconds, as whole Unix seconds. */
export function formatTime(now: number): string {
  return `${Math.floor(now / 1000)}\n`;
}

/** One line of the answer to `info`. */
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
  /** What a newer server may say. */
  | { kind: "unknown"; line: string };

/** Reads one line from a server, without its "\n". Never throws. */
export function parseReply(line: string): Reply {
  if (/^\d+$/.test(line)) return { kind: "time", seconds: Number(line) };
  const [, channel, message] = /^([^ !]+)!(.*)$/s.exec(line) ?? [];
  if (channel === DEBUG) return parseDebug(line, message ?? "");
  if (channel !== undefined && message !== undefined) return { kind: "message", channel, message };
  const [, key, value] = /^([^:]+): (.*)$/s.exec(line) ?? [];
  if (key !== undefined && value !== undefined) return { kind: "figure", key, value };
  return { kind: "unknown", line };
}

function parseDebug(line: string, said: string): Reply {
  if (said === "connected...") return { kind: "connected" };
  if (said === "busy") return { kind: "busy" };
  if (said === "alive") return { kind: "alive" };
  const refusal = said.startsWith("error ") ? parseRefusal(said.slice("error ".length)) : undefined;
  if (refusal) return { kind: "error", ...refusal };
  const [, until] = /^token accepted until (\d+)$/.exec(said) ?? [];
  if (until !== undefined) return { kind: "accepted", until: Number(until) };
  return parseOfPositions(said) ?? { kind: "unknown", line };
}

/** Reads what is said of positions: of a channel, or of an announcement by its key. */
function parseOfPositions(said: string): Reply | undefined {
  const [what, name = "", ...words] = said.split(" ");
  const [first, second, ...more] = words.map(parsePosition);
  if (first === undefined || more.length > 0) return undefined;
  const isPair = words.length === 2;
  if (what === "once" && !isPair && name !== "") return { kind: "once", key: name, position: first };
  if (nameFault(name)) return undefined;
  if (what === "position" && !isPair) return { kind: "position", channel: name, position: first };
  if (what !== "gap" || second === undefined) return undefined;
  return { kind: "gap", channel: name, from: first, to: second };
}
