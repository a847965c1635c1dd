/** Formats the reply to `info`. */

import { formatFigure } from "../protocol/replies.ts";
import type { ServiceFigures } from "../runtime/calls.ts";

/** Most hibernatable sockets of one object, according to Cloudflare's documentation. */
const SOCKETS_OF_AN_OBJECT = 32_768;

/** Returns the figures as numbers, for programs. Uptime is in seconds. */
export function infoOf(figures: ServiceFigures, clientLimit: number, now: number): Record<string, number> {
  const info: Record<string, number> = { uptime: Math.floor((now - figures.since) / 1000) };
  for (const [key, value] of rowsOf(figures, clientLimit)) if (typeof value === "number") info[key] = value;
  return info;
}

/** Returns the reply lines: those of the original server, then additional ones. */
export function formatInfo(figures: ServiceFigures, clientLimit: number, now: number): string {
  const rows: Row[] = [["uptime", formatDuration(now - figures.since)], ...rowsOf(figures, clientLimit)];
  return rows.map(([key, value]) => formatFigure(key, value)).join("");
}

type Row = [key: string, value: string | number];

function rowsOf(figures: ServiceFigures, clientLimit: number): Row[] {
  const { totals } = figures;
  return [
    ["client-limit", clientLimit],
    ["limit rejected connections", totals.rejected],
    ["rlimits", `Soft=${SOCKETS_OF_AN_OBJECT} Hard=${SOCKETS_OF_AN_OBJECT}`],
    ["max connections", figures.peak],
    ["current connections", figures.connections],
    ["current channels", figures.channels],
    ["current subscriptions", figures.subscriptions],
    ["user-requested subscriptions", figures.requested],
    ["total connections", totals.connections],
    ["total announcements", totals.announcements],
    ["total messages", totals.messages],
    ["total subscribes", totals.subscribes],
    ["total unsubscribes", totals.unsubscribes],
    ["total pings", totals.pings],
    ["objects", figures.objects],
    ["unreachable objects", figures.unreachable],
  ];
}

function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h ${minutes % 60}m ${seconds % 60}s`;
}
