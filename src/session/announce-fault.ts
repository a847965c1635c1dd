import type { Fault } from "../protocol/errors.ts";
import { KEY_CONFLICT } from "../protocol/refusals.ts";
import { CallFailed, wasNotMade } from "../runtime/runtime.ts";
import { KeyConflict, QueueFull } from "../tree/forwarding.ts";

/** Explains to a publisher why announcing failed. The code `uncertain` means that the message may have been announced. */
export function announceFault(error: unknown): Fault {
  if (error instanceof KeyConflict) return { code: "conflict", why: KEY_CONFLICT };
  if (error instanceof QueueFull) return { code: "unavailable", why: `${error.message}; try again` };
  if (wasNotMade(error)) return { code: "unavailable", why: "too many calls are in flight; try again" };
  const isOverloaded = error instanceof CallFailed && error.why === "overloaded";
  const cause = isOverloaded ? "is overloaded" : "doesn't answer";
  return { code: "uncertain", why: `the announcement may be lost: the channel's object ${cause}` };
}
