/** Advances the cursor by the positions that a consumer writes to a file descriptor. */
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { parsePosition } from "../protocol/positions.ts";
import type { Cursor } from "./cursor.ts";
import { Exit, LOCAL, messageOf, USAGE } from "./exits.ts";

export class Acknowledgements {
  readonly #cursor: Cursor;
  readonly #channels: string[];
  /** The newest printed position of each channel with unacknowledged messages. */
  readonly #printed = new Map<string, number>();
  readonly #failed = Promise.withResolvers<never>();
  /** Rejects if acknowledgements end early, or aren't valid. */
  readonly failure = this.#failed.promise;
  #settled: () => void = () => {};
  #hasEnded = false;

  /** @throws Exit if the descriptor isn't open */
  constructor(fd: number, cursor: Cursor, channels: string[]) {
    this.#cursor = cursor;
    this.#channels = channels;
    this.failure.catch(() => {});
    try {
      fstatSync(fd);
    } catch (error) {
      throw new Exit(USAGE, `file descriptor ${fd} can't be read: ${messageOf(error)}; open it, as in ${fd}<fifo`);
    }
    void this.#read(fd);
  }

  /** Records that a message is about to be printed. */
  expect(channel: string, position: number): void {
    this.#printed.set(channel, position);
    if (this.#hasEnded) this.#end();
  }

  /** Resolves when all printed messages are acknowledged. */
  async settled(): Promise<void> {
    if (this.#printed.size === 0) return;
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
    await Promise.race([settled, this.failure]);
  }

  async #read(fd: number): Promise<void> {
    try {
      const input = new Socket({ fd, readable: true, writable: false });
      for await (const line of createInterface({ input })) this.#take(line);
      this.#end();
    } catch (error) {
      this.#failed.reject(
        error instanceof Exit ? error : new Exit(LOCAL, `acknowledgements can't be read: ${messageOf(error)}`),
      );
    }
  }

  #take(line: string): void {
    const words = line.trim().split(" ");
    const [channel = "", word = ""] =
      words.length === 1 && this.#channels.length === 1 ? [...this.#channels, ...words] : words;
    const position = parsePosition(word);
    const newest = this.#printed.get(channel) ?? this.#cursor.positionIn(channel);
    if (position === undefined || newest === undefined || position > newest) {
      throw new Exit(
        LOCAL,
        `'${line}' isn't the position of a printed message; write <position>, or <channel> <position> if there are several channels`,
      );
    }
    this.#cursor.reach(channel, position);
    if (this.#printed.get(channel) === position) this.#printed.delete(channel);
    if (this.#printed.size === 0) this.#settled();
  }

  #end(): void {
    this.#hasEnded = true;
    if (this.#printed.size > 0)
      this.#failed.reject(new Exit(LOCAL, "acknowledgements ended before all messages were acknowledged"));
  }
}
