/** What the server says to a client, in lines, both ways: `format…` makes one, `parseReply` reads any. */
import { DEBUG } from "./channels.ts";

/** The greeting: sent once, when the connection is ready. */
export const GREETING = `${DEBUG}!connected...\n`;

/** Sent instead of the greeting to a connection that is one too many. */
export const BUSY = `${DEBUG}!busy\n`;

/** The line that subscribers of `channel` read. */
export function formatMessage(channel: string, message: string): string {
  return `${channel}!${message}\n`;
}

/** The line that tells one connection what was wrong with a command of its own. */
export function formatError(why: string): string {
  return `${DEBUG}!error ${why}\n`;
}

/** The line that tells one connection that its token is good, and until when, in milliseconds. */
export function formatAccepted(until: number): string {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1000)}\n`;
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
  | { kind: "error"; why: string }
  /** In Unix seconds. */
  | { kind: "accepted"; until: number }
  /** In Unix seconds. */
  | { kind: "time"; seconds: number }
  | { kind: "figure"; key: string; value: string }
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
  if (said.startsWith("error ")) return { kind: "error", why: said.slice("error ".length) };
  const [, until] = /^token accepted until (\d+)$/.exec(said) ?? [];
  return until === undefined ? { kind: "unknown", line } : { kind: "accepted", until: Number(until) };
}
