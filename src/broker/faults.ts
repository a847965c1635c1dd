/** What went wrong with a call between objects, for who asked for what needed it. */
import { QueueFull } from "../links/forwarding.ts";
import { CallFailed, wasNotMade } from "../links/world.ts";

/** Why an announcement failed, given what its call threw; says too whether it may have been carried out. */
export function announceFault(error: unknown): string {
  if (error instanceof QueueFull) return `cannot announce: ${error.message}; try again`;
  if (wasNotMade(error)) return "cannot announce: too much is under way; try again";
  const isOverloaded = error instanceof CallFailed && error.why === "overloaded";
  return `an announcement may be lost: its channel's object ${isOverloaded ? "is overloaded" : "does not answer"}`;
}
