/** Streams of plain lines, the same as over a WebSocket. */
import { formatCommand } from "../protocol/commands.ts";
import type { From } from "../protocol/positions.ts";
import { formatError } from "../protocol/replies.ts";
import type { StreamEnvironment } from "./environment.ts";
import type { StreamFormat } from "./stream.ts";

export class LineStream implements StreamFormat {
  readonly from: From | undefined;
  readonly preamble = "";
  /** Not needed: the reply to `keepalive` is a line of the stream. */
  readonly heartbeat = "";
  readonly fault = undefined;
  readonly renderError = formatError;
  readonly #environment: StreamEnvironment;
  readonly #linesPerSecond: number;
  /** Commands that haven't been sent to the object. */
  readonly #commands: string[];
  #dueAt = 0;

  /**
   * @param channels the connection's own channel first
   * @param from where to start in each channel; undefined for now
   * @param linesPerSecond the object's limit
   */
  constructor(channels: string[], from: From | undefined, environment: StreamEnvironment, linesPerSecond: number) {
    this.from = from;
    const last = from && "last" in from ? { from } : {};
    this.#commands = channels.slice(1).map((channel) => {
      return `${formatCommand({ kind: "subscribe", channel, ...last })}\n`;
    });
    this.#environment = environment;
    this.#linesPerSecond = linesPerSecond;
  }

  get dueAt(): number {
    return this.#commands.length === 0 ? Number.POSITIVE_INFINITY : this.#dueAt;
  }

  commands(): string {
    const now = this.#environment.now();
    if (now < this.dueAt) return "";
    this.#dueAt = now + 1_000;
    return this.#commands.splice(0, this.#linesPerSecond).join("");
  }

  render(lines: string): string {
    return lines;
  }
}
