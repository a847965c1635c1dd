/** How an object begins to talk to a connection that a Worker holds. */
import { type Fault, parseReason } from "../protocol/errors.ts";
import { SERVICE_FULL } from "../protocol/refusals.ts";
import { BUSY, GREETING } from "../protocol/replies.ts";
import type { Tap } from "./object-connection.ts";

/** The fault where a channel's object doesn't answer. */
export const UNANSWERED: Fault = {
  code: "unavailable",
  why: "the channel's object doesn't answer; try again later",
};

/**
 * Waits for the greeting, at most until a time, and ends the connection if none comes.
 * @returns the first lines, which begin with the greeting; or why the object doesn't let the connection in
 */
export async function greetingOf(tap: Tap, until: number): Promise<string | Fault> {
  const lines = await tap.take(until);
  if (lines.startsWith(GREETING)) return lines;
  tap.drop();
  if (lines.startsWith(BUSY)) return { code: "unavailable", why: SERVICE_FULL };
  return faultOf(tap) ?? UNANSWERED;
}

/** Why the object has closed a connection; undefined if it gave no reason. */
export function faultOf({ ending }: Tap): Fault | undefined {
  return parseReason(ending?.reason ?? "");
}
