/** `fanout pub`: a message, or a line of standard input each, as fast as they are taken. */
import { createInterface } from "node:readline";
import { DONE } from "./exits.ts";
import { remark } from "./output.ts";
import { Progress } from "./progress.ts";
import { refusable, type ServerOptions, serverAt } from "./server.ts";

export interface PubOptions extends ServerOptions {
  key?: string;
}

/** @returns the exit code */
export async function pub(
  url: string,
  channel: string,
  message: string | undefined,
  { key, ...options }: PubOptions,
): Promise<number> {
  const { fanout, inTime } = serverAt(url, options);
  if (message !== undefined) {
    const keyed = key === undefined ? {} : { key };
    const position = await inTime(refusable(fanout.announce(channel, message, keyed)));
    if (process.stderr.isTTY) remark(`announced${position === undefined ? "" : ` as ${position}`}`);
  } else {
    await inTime(fanout.ping());
    const progress = new Progress(process.stderr.isTTY === true && process.stdin.isTTY !== true);
    try {
      await announceAll((text, n) => {
        // Lines of the same input keep their keys, so that it can be given again.
        return refusable(fanout.announce(channel, text, key === undefined ? {} : { key: `${key}-${n}` }));
      }, progress);
    } finally {
      progress.clear();
    }
    if (process.stderr.isTTY) remark(progress.summary);
  }
  await fanout.close();
  return DONE;
}

/** Announces the lines of standard input; ends when all have their places. */
async function announceAll(
  announce: (text: string, n: number) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const failed: unknown[] = [];
  const waiting = new Set<Promise<unknown>>();
  let count = 0;
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text === "") continue;
    count += 1;
    const announced = announce(text, count)
      .then(
        () => progress.advance(),
        (error: unknown) => failed.push(error),
      )
      .finally(() => waiting.delete(announced));
    waiting.add(announced);
    // So many may be on their way; the pipe waits, and who writes into it.
    if (waiting.size >= MOST_WAITING) await Promise.race(waiting);
    if (failed.length > 0) break;
  }
  await Promise.all(waiting);
  if (failed.length > 0) throw failed[0];
}

const MOST_WAITING = 500;
