/** Streams of lines, as a WebSocket would bring them. */
import { formatCommand } from "../protocol/commands.ts";
import type { From } from "../protocol/positions.ts";
import { formatError } from "../protocol/replies.ts";
import type { Clock } from "./environment.ts";
import type { Dialect } from "./stream.ts";

export class LineStream implements Dialect {
  readonly from: From | undefined;
  readonly begin = "";
  /** The answer to `keepalive` is a line too. */
  readonly tick = "";
  readonly fault = undefined;
  readonly say = formatError;
  readonly #clock: Clock;
  readonly #linesPerSecond: number;
  /** The commands that the object hasn't been sent. */
  readonly #commands: string[];
  #dueAt = 0;

  /**
   * @param channels of which the first is the one that the connection is for
   * @param from where the channels begin; undefined for now
   * @param linesPerSecond that the object carries out
   */
  constructor(channels: string[], from: From | undefined, clock: Clock, linesPerSecond: number) {
    this.from = from;
    const last = from && "last" in from ? { from } : {};
    this.#commands = channels.slice(1).map((channel) => {
      return `${formatCommand({ kind: "subscribe", channel, ...last })}\n`;
    });
    this.#clock = clock;
    this.#linesPerSecond = linesPerSecond;
  }

  get dueAt(): number {
    return this.#commands.length === 0 ? Number.POSITIVE_INFINITY : this.#dueAt;
  }

  commands(): string {
    const now = this.#clock.now();
    if (now < this.dueAt) return "";
    this.#dueAt = now + 1_000;
    return this.#commands.splice(0, this.#linesPerSecond).join("");
  }

  read(lines: string): string {
    return lines;
  }
}
