/** What a connection's state is, in words. */
import type { Change } from "../client/fanout.ts";

/** What is known of a close code that came without a reason. */
const CODES: Record<number, string> = {
  1001: "the server is going away",
  1006: "the connection broke off",
  1008: "a limit was broken",
  1012: "the server starts again",
  1013: "messages may be missing, or the server is full",
};

/** @param until when it will be let through again, if it is kept away */
export function stateText({ state, code, reason, willRetry }: Change, until: Date | undefined): string {
  if (state === "connected") return "connected";
  const away = until && `away until ${until.toLocaleTimeString()}`;
  if (state === "connecting") return away ?? "connecting…";
  const why = [code || "", reason || (CODES[code] ?? "")].filter(Boolean).join(" ");
  const next = willRetry ? (away ?? "tries again within 20 s") : "does not try again";
  return ["disconnected", why, next].filter(Boolean).join(" · ");
}
