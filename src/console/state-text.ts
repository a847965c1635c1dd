/** Descriptions of a connection's state. */
import type { Change } from "../client/fanout.ts";

/** Descriptions of close codes, for closes without a reason. */
const CODES: Record<number, string> = {
  1001: "the server is going offline",
  1006: "the connection broke",
  1008: "a limit was exceeded, or access ended",
  1012: "the server is restarting",
  1013: "messages may be missing, or the server is full",
};

/** @param until the end of a simulated outage, if any */
export function stateText({ state, code, reason, willRetry }: Change, until: Date | undefined): string {
  if (state === "connected") return "connected";
  // No other reason matters: the page itself blocks all connections.
  if (until) return `offline until ${until.toLocaleTimeString()}, as you asked`;
  if (state === "connecting") return "connecting…";
  const why = [code || "", reason || (CODES[code] ?? "")].filter(Boolean).join(" ");
  const next = willRetry ? "retries within 20 s" : "doesn't retry";
  return ["disconnected", why, next].filter(Boolean).join(" · ");
}
