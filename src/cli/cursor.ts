/** A file that remembers how far a reader has come in each channel: it is replaced as a whole, so it is never half. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { Exit, USAGE } from "./exits.ts";

export class Cursor {
  readonly #file: string;
  readonly #positions: Map<string, number>;

  private constructor(file: string, positions: Map<string, number>) {
    this.#file = file;
    this.#positions = positions;
  }

  /** @throws Exit if the file is something else */
  static async read(file: string): Promise<Cursor> {
    const text = await readFile(file, "utf8").catch(() => "{}");
    try {
      const entries: [string, unknown][] = Object.entries(JSON.parse(text));
      const positions = entries.map(([channel, position]): [string, number] => {
        if (typeof position === "number" && Number.isSafeInteger(position)) return [channel, position];
        throw new Error("no position");
      });
      return new Cursor(file, new Map(positions));
    } catch {
      throw new Exit(USAGE, `${file} has no positions of channels, as one has that was written by --cursor`);
    }
  }

  positionIn(channel: string): number | undefined {
    return this.#positions.get(channel);
  }

  /** Remembers where a channel is heard from, before anything has come; after that nothing. */
  async begin(channel: string, position: number): Promise<void> {
    if (!this.#positions.has(channel)) await this.reach(channel, position);
  }

  async reach(channel: string, position: number): Promise<void> {
    this.#positions.set(channel, position);
    const next = `${this.#file}.new`;
    await writeFile(next, `${JSON.stringify(Object.fromEntries(this.#positions))}\n`);
    await rename(next, this.#file);
  }
}
