/** The announced and the retained messages of each channel. */
import type { From } from "../../../src/protocol/positions.ts";
import { formatGap, formatMessage, formatPosition } from "../../../src/protocol/replies.ts";

/** Messages that look like protocol lines, or become several lines in an event. */
const TEXTS = [
  (n: number) => String(1_795_438_800 + n),
  (n: number) => `${n}\r${n}`,
  (n: number) => `debug!position all ${n}`,
  (n: number) => `!${n}: ${"x".repeat(n % 40)}`,
];

/** The messages of one channel. */
interface ChannelLog {
  /** The position before its first message. */
  start: number;
  texts: string[];
  /** The position up to which messages have expired. */
  floor: number;
  hasHistory: boolean;
}

export class Truth {
  readonly #channels = new Map<string, ChannelLog>();
  #messages = 0;

  constructor(channels: { name: string; hasHistory: boolean }[]) {
    for (const [i, { name, hasHistory }] of channels.entries()) {
      const start = 1_000 * (i + 1);
      this.#channels.set(name, { start, texts: [], floor: start, hasHistory });
    }
  }

  get channels(): string[] {
    return [...this.#channels.keys()];
  }

  hasHistory(channel: string): boolean {
    return this.#of(channel).hasHistory;
  }

  newest(channel: string): number {
    const { start, texts } = this.#of(channel);
    return start + texts.length;
  }

  /** Returns the message at a position; undefined if none has it. */
  at(channel: string, position: number): string | undefined {
    const { start, texts } = this.#of(channel);
    return texts[position - start - 1];
  }

  /** Returns the first position of a text. */
  find(channel: string, text: string): number | undefined {
    const { start, texts } = this.#of(channel);
    const at = texts.indexOf(text);
    return at < 0 ? undefined : start + at + 1;
  }

  /** Announces another message. Returns its line. */
  announce(channel: string): string {
    this.#messages += 1;
    const text = TEXTS[this.#messages % TEXTS.length]?.(this.#messages) ?? "";
    this.#of(channel).texts.push(text);
    return formatMessage(channel, text);
  }

  /** Expires all messages except the newest. */
  forget(channel: string): void {
    const told = this.#of(channel);
    told.floor = Math.max(told.floor, this.newest(channel) - 1);
  }

  /** Returns the lines for a subscriber that starts at a position. */
  missed(channel: string, from: From): string {
    const newest = this.newest(channel);
    const { floor } = this.#of(channel);
    if ("last" in from) return this.#since(channel, Math.max(floor, newest - from.last));
    if (from.since === "now") return this.#since(channel, newest);
    if (from.since >= floor) return this.#since(channel, from.since);
    return formatGap(channel, from.since, floor) + this.#since(channel, floor);
  }

  #since(channel: string, after: number): string {
    let lines = formatPosition(channel, after);
    for (let position = after + 1; position <= this.newest(channel); position++) {
      lines += formatMessage(channel, this.at(channel, position) ?? "");
    }
    return lines;
  }

  #of(channel: string): ChannelLog {
    const told = this.#channels.get(channel);
    if (!told) throw new Error(`there is no channel ${channel}`);
    return told;
  }
}
