/** `fanout pub`: a message, or a line of standard input each, as fast as they are taken. */
import { linesOf } from "../bridge/lines.ts";
import { DONE, Exit, USAGE } from "./exits.ts";
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
    const position = await inTime(refusable(fanout.announce(channel, message, { key })));
    if (process.stderr.isTTY) remark(`announced${position === undefined ? "" : ` as ${position}`}`);
  } else {
    await inTime(fanout.ping());
    const progress = new Progress(process.stderr.isTTY === true && process.stdin.isTTY !== true);
    try {
      await announceAll((text, n) => {
        // Lines of the same input keep their keys, so that it can be given again.
        return refusable(fanout.announce(channel, text, { key: key && `${key}-${n}` }));
      }, progress);
    } finally {
      progress.clear();
    }
    if (process.stderr.isTTY) remark(progress.summary);
  }
  await fanout.close();
  return DONE;
}

/**
 * Messages that may be on their way; then all are waited for, and the pipe waits, and who writes into it. So what the
 * server refuses for the moment is repeated before anything else goes out.
 */
const MOST_WAITING = 500;

/** Characters of a line; what the server takes is less, and it says so itself. */
const MOST_LINE = 1_000_000;

/** Announces the lines of standard input; ends when all have their places. */
async function announceAll(
  announce: (text: string, n: number) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const waiting = new Set<Promise<unknown>>();
  const failed: unknown[] = [];
  let count = 0;
  for await (const lines of linesOf(ended(process.stdin.setEncoding("utf8")), MOST_LINE)) {
    for (const text of lines.map(messageIn).filter((text) => text !== "")) {
      count += 1;
      const announced = announce(text, count)
        .then(
          () => progress.advance(),
          (error: unknown) => failed.push(error),
        )
        .finally(() => waiting.delete(announced));
      waiting.add(announced);
      if (waiting.size >= MOST_WAITING) await Promise.all(waiting);
      if (failed.length > 0) throw failed[0];
    }
  }
  await Promise.all(waiting);
  if (failed.length > 0) throw failed[0];
}

function messageIn(line: string | undefined): string {
  if (line === undefined) throw new Exit(USAGE, `a line has at most ${MOST_LINE} characters`);
  return line.replace(/\r$/, "");
}

/** The last line may have no end. */
async function* ended(input: AsyncIterable<string>): AsyncGenerator<string> {
  yield* input;
  yield "\n";
}
