/** The start of a connection to an object: its greeting, or its refusal. */
import { type Fault, parseReason } from "../protocol/errors.ts";
import { SERVICE_FULL } from "../protocol/refusals.ts";
import { BUSY, GREETING } from "../protocol/replies.ts";
import type { ObjectConnection } from "./object-connection.ts";

/** The fault if a channel's object doesn't answer. */
export const UNANSWERED: Fault = {
  code: "unavailable",
  why: "the channel's object doesn't answer; try again later",
};

/**
 * Waits for the greeting until a deadline, and closes the connection if none is received.
 * @returns the first lines, which begin with the greeting; or why the object refuses the connection
 */
export async function greetingOf(connection: ObjectConnection, deadline: number): Promise<string | Fault> {
  const lines = await connection.take(deadline);
  if (lines.startsWith(GREETING)) return lines;
  connection.drop();
  if (lines.startsWith(BUSY)) return { code: "unavailable", why: SERVICE_FULL };
  return faultOf(connection) ?? UNANSWERED;
}

/** Returns why the object closed a connection; undefined if it gave no reason. */
export function faultOf({ ending }: ObjectConnection): Fault | undefined {
  return parseReason(ending?.reason ?? "");
}
