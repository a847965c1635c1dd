/** Advances the cursor by the positions that a consumer writes to a file descriptor. */
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { parsePosition } from "../protocol/positions.ts";
import type { Cursor } from "./cursor.ts";
import { Exit, LOCAL, messageOf, USAGE } from "./exits.ts";

/** @throws Exit if the descriptor isn't open */
export function readAcknowledgements(fd: number, cursor: Cursor, channels: string[]) {
  /** The newest printed position of each channel with unacknowledged messages. */
  const printed = new Map<string, number>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let settle = () => {};
  let hasEnded = false;
  const checkEnd = () => {
    if (!hasEnded || printed.size === 0) return;
    failed.reject(new Exit(LOCAL, "acknowledgements ended before all messages were acknowledged"));
  };
  const accept = (line: string) => {
    const words = line.trim().split(" ");
    const [channel = "", word = ""] = words.length === 1 && channels.length === 1 ? [...channels, ...words] : words;
    const position = parsePosition(word);
    const newest = printed.get(channel) ?? cursor.positionIn(channel);
    if (position === undefined || newest === undefined || position > newest) {
      throw new Exit(
        LOCAL,
        `'${line}' isn't the position of a printed message; write <position>, or <channel> <position> if there are several channels`,
      );
    }
    cursor.reach(channel, position);
    if (printed.get(channel) === position) printed.delete(channel);
    if (printed.size === 0) settle();
  };
  const read = async () => {
    const input = new Socket({ fd, readable: true, writable: false });
    for await (const line of createInterface({ input })) accept(line);
    hasEnded = true;
    checkEnd();
  };
  try {
    fstatSync(fd);
  } catch (error) {
    throw new Exit(USAGE, `file descriptor ${fd} can't be read: ${messageOf(error)}; open it, as in ${fd}<fifo`);
  }
  read().catch((error: unknown) => {
    failed.reject(
      error instanceof Exit ? error : new Exit(LOCAL, `acknowledgements can't be read: ${messageOf(error)}`),
    );
  });
  return {
    /** Rejects if acknowledgements end early, or aren't valid. */
    failure: failed.promise,
    /** Records that a message is about to be printed. */
    expect(channel: string, position: number): void {
      printed.set(channel, position);
      checkEnd();
    },
    /** Resolves when all printed messages are acknowledged. */
    async settled(): Promise<void> {
      if (printed.size === 0) return;
      const settled = new Promise<void>((resolve) => {
        settle = resolve;
      });
      await Promise.race([settled, failed.promise]);
    },
  };
}
