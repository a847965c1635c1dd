/** Announces messages at a steady rate, each with its number and its time. */
import { setTimeout as sleep } from "node:timers/promises";

/** Least size of a message, in characters, with room for its number and its time. */
export const MIN_SIZE = 32;

/** Most announcements in flight; a server that needs more can't sustain the rate. */
const MAX_PENDING = 500;

export interface Load {
  /** Messages per second. */
  rate: number;
  seconds: number;
  /** Bytes of each message. */
  size: number;
}

/** Counts of announcements. */
export interface Progress {
  sent: number;
  /** Acknowledged announcements. */
  announced: number;
  /** Errors of failed announcements. */
  failed: unknown[];
}

/** Parses a message; returns undefined if it isn't from this program. */
export function readMark(text: string): { number: number; sentAt: number } | undefined {
  const [, number, sentAt] = /^(\d+) ([\d.]+) \.*$/.exec(text) ?? [];
  return number === undefined ? undefined : { number: Number(number), sentAt: Number(sentAt) };
}

/**
 * Announces messages at the load's rate; resolves when the last one has been sent.
 * @param progress updated as messages are sent and acknowledged
 * @throws the error of a failed announcement
 */
export async function announceAll(
  { rate, seconds, size }: Load,
  announce: (text: string) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const send = () => {
    const text = `${progress.sent++} ${performance.now().toFixed(3)} `.padEnd(size, ".");
    announce(text).then(
      () => progress.announced++,
      (error: unknown) => progress.failed.push(error),
    );
  };
  const began = performance.now();
  for (let passed = 0; passed < seconds; passed = (performance.now() - began) / 1_000) {
    // The first message is due at once, so the last one is due before the end.
    const due = Math.min(rate * seconds, Math.floor(passed * rate) + 1);
    while (progress.sent < due && progress.sent - progress.announced < MAX_PENDING) send();
    if (progress.failed.length > 0) throw progress.failed[0];
    await sleep(1);
  }
}
