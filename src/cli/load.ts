/** Messages that are announced at a steady rate, each with its number and when it was sent. */
import { setTimeout as sleep } from "node:timers/promises";

/** Characters that the number and the time may take. */
export const LEAST_SIZE = 32;

/** Announcements that may wait for their answers: who has more of them cannot keep the rate up. */
const MOST_WAITING = 500;

export interface Load {
  /** Messages a second. */
  rate: number;
  seconds: number;
  /** Bytes of each message. */
  size: number;
}

/** What has been announced so far. */
export interface Progress {
  sent: number;
  /** Those that have their place. */
  announced: number;
  /** Why others have none. */
  failed: unknown[];
}

function mark(number: number, size: number): string {
  return `${number} ${performance.now().toFixed(3)} `.padEnd(size, ".");
}

/** Reads what is in a message; undefined if it is somebody else's. */
export function readMark(text: string): { number: number; sentAt: number } | undefined {
  const [, number, sentAt] = /^(\d+) ([\d.]+) \.*$/.exec(text) ?? [];
  return number === undefined ? undefined : { number: Number(number), sentAt: Number(sentAt) };
}

/**
 * Announces for as long as the load says, never more than is due by then; ends when the last one has been sent.
 * @param progress is kept up
 * @throws what an announcement has failed with
 */
export async function announceAll(
  { rate, seconds, size }: Load,
  announce: (text: string) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const send = () => {
    announce(mark(progress.sent++, size)).then(
      () => progress.announced++,
      (error: unknown) => progress.failed.push(error),
    );
  };
  const began = performance.now();
  for (let passed = 0; passed < seconds; passed = (performance.now() - began) / 1_000) {
    // The first one is due at once, and so the last one before the end.
    const due = Math.min(rate * seconds, Math.floor(passed * rate) + 1);
    while (progress.sent < due && progress.sent - progress.announced < MOST_WAITING) send();
    if (progress.failed.length > 0) throw progress.failed[0];
    await sleep(1);
  }
}
