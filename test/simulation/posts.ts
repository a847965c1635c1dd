/** HTTP announcements: a Worker calls a channel's root, and gets a position back. */
import type { Calls } from "../../src/runtime/calls.ts";
import type { Simulation } from "./simulation.ts";

/** Announces messages as a Worker does; with `isOnce`, twice under one key. */
export function post(simulation: Simulation, channel: string, count: number, isOnce: boolean): void {
  const { ledger, profile, now: issued } = simulation;
  const author = `post${ledger.announced.size}`;
  const messages = Array.from({ length: count }, (_, i) => `${author}.${i + 1}`);
  const lines = messages.map((message) => `${channel}!${message}\n`).join("");
  const key = isOnce && profile.withHistory ? author : undefined;
  let placedAt: number | undefined;
  for (const message of messages) {
    ledger.announce(message, { channel, issued, isKeyed: key !== undefined, placed: () => placedAt });
  }
  const recordPosition = (answer: Calls["announce"]["answer"]) => {
    if (!("last" in answer)) return;
    placedAt ??= simulation.now;
    if (answer.last === undefined || !profile.withHistory) return;
    const first = answer.last - count + 1;
    try {
      for (const [i, message] of messages.entries()) ledger.found(channel, first + i, message);
    } catch (violation) {
      simulation.violation = violation;
    }
  };
  const ask = () => simulation.objects.askFromWorker(channel, "announce", { lines, count, key });
  const isFresh = () => messages.every((message) => !ledger.mayRepeat(message));
  ask()
    .then(recordPosition, () => {})
    .then(() => (key !== undefined && isFresh() ? ask().then(recordPosition, () => {}) : undefined));
}
