/** Checks that an event stream has every message once, and that its ids have the right positions. */
import { formatId, type Positions } from "../../../src/protocol/events.ts";
import { type From, parsePosition } from "../../../src/protocol/positions.ts";
import { check } from "../violation.ts";
import type { Judge } from "./reader.ts";
import type { Truth } from "./truth.ts";

interface Event {
  event: string;
  data: string;
  id: string;
}

export class EventsJudge implements Judge {
  readonly #truth: Truth;
  readonly channels: string[];
  readonly from: From | undefined;
  /** The position at which the first channel starts, if the client gave one. */
  #begins: number | undefined;
  readonly #isResumed: boolean;
  /** The stream's position in each channel, after the last event. */
  readonly at: Positions;
  /** Channels that the object refused permanently. */
  readonly refused = new Set<string>();
  /** Channels whose `unsubscribe` the object refused. */
  readonly #stillSubscribed = new Set<string>();
  /** Channels that the object refused temporarily. */
  readonly postponed = new Set<string>();
  /** Why the stream ended; undefined if it gave no reason. */
  reason: string | undefined;
  /** Channels that are live. */
  readonly live = new Set<string>();
  /** All ids received. */
  readonly ids: string[] = [];
  /** Gaps that no position has followed yet. */
  readonly #gaps = new Map<string, { from: number; to: number }>();
  /** The text of the last message of each channel without history. */
  readonly last = new Map<string, string>();
  /** Where each channel without history was when the stream began to receive it. */
  readonly #begun = new Map<string, number>();
  #isComplete: boolean;
  resumed: string | undefined;
  #rest = "";

  /**
   * @param resumed the positions of the stream that it resumes
   * @param from where channels without a position start
   */
  constructor(truth: Truth, channels: string[], resumed: Positions | undefined, from: From | undefined) {
    this.#truth = truth;
    this.channels = channels;
    this.from = from;
    this.#isResumed = resumed !== undefined;
    this.#begins = from && "since" in from && from.since !== "now" ? from.since : undefined;
    const isKnown = (i: number) => resumed?.[i] !== undefined || (i === 0 && this.#begins !== undefined);
    this.#isComplete = channels.every((_, i) => isKnown(i));
    this.at = resumed ? [...resumed] : channels.map(() => undefined);
  }

  read(text: string): void {
    check(text.endsWith("\n\n"), () => `a piece ends within an event: ${JSON.stringify(text.slice(-40))}`);
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event) this.#take(event);
    }
  }

  /** Accepts any end, because clients resume by ids. */
  ended(): void {}

  /** Returns the position up to which the stream has the messages of a live channel. */
  newest(channel: string): number | undefined {
    const last = this.last.get(channel);
    const withoutPosition = last === undefined ? this.#begun.get(channel) : this.#truth.find(channel, last);
    return this.at[this.channels.indexOf(channel)] ?? withoutPosition;
  }

  #take({ event, data, id }: Event): void {
    if (event === "debug") this.#readDebug(data);
    else this.#readMessage(event, data);
    const at = formatId(this.at);
    check(at === id, () => `after '${event} ${data}' the id is ${id}, and the stream is at ${at}`);
    this.ids.push(id);
  }

  #readMessage(channel: string, data: string): void {
    const i = this.channels.indexOf(channel);
    check(i >= 0, () => `an event of ${channel}, which nobody asked for`);
    check(this.live.has(channel), () => `an event of ${channel} before its position`);
    const before = this.at[i];
    if (before === undefined) this.#readWithoutPosition(channel, data);
    else {
      const text = this.#truth.at(channel, before + 1)?.replaceAll("\r", "\n");
      check(text === data, () => `after ${before} of ${channel} comes '${text}', not '${data}'`);
      this.at[i] = before + 1;
    }
  }

  #readWithoutPosition(channel: string, data: string): void {
    const position = this.#truth.find(channel, data.replaceAll("\n", "\r"));
    check(position !== undefined, () => `${data} was never announced on ${channel}`);
    const last = this.last.get(channel);
    const before = last === undefined ? position - 1 : this.#truth.find(channel, last);
    check(position === (before ?? 0) + 1, () => `${channel} goes from ${before} to ${position}`);
    this.last.set(channel, data.replaceAll("\n", "\r"));
  }

  #readDebug(data: string): void {
    const [what = "", channel = "", ...words] = data.split(" ");
    const i = this.channels.indexOf(channel);
    const [first, second] = words.map(parsePosition);
    if (what === "gap" && i >= 0 && first !== undefined && second !== undefined) {
      this.#gaps.set(channel, { from: first, to: second });
      this.#isComplete = false;
    }
    if (what === "position" && i >= 0 && first !== undefined) this.#readPosition(channel, i, first);
    if (what === "error") this.#readError(data);
    if (what === "resumed") this.#readResumed(channel);
  }

  #readPosition(channel: string, i: number, position: number): void {
    const before = this.at[i] ?? (i === 0 ? this.#begins : undefined);
    const gap = this.#gaps.get(channel);
    this.#gaps.delete(channel);
    const isAfterGap = gap !== undefined && gap.to === position && gap.from === (before ?? gap.from);
    const isHere = before === undefined || before === position;
    check(!this.refused.has(channel), () => `${channel} was refused, and has a position`);
    check(isHere || isAfterGap, () => `${channel} jumps from ${before} to ${position} without a gap`);
    this.live.add(channel);
    this.at[i] = position;
  }

  /** `error <code> <command> <channel>: <sentence>` */
  #readError(data: string): void {
    const [, code = "", command, channel = ""] = /^error (\S+) (\S+)(?: (\S+))?: ./.exec(data) ?? [];
    const i = this.channels.indexOf(channel);
    if (command === "connect") this.reason = code;
    // A channel that is still subscribed can't be subscribed again.
    if (command === "unsubscribe") this.#stillSubscribed.add(channel);
    else if (this.#stillSubscribed.delete(channel)) return;
    // Otherwise the object has already sent a position, which is still right.
    const isSeen = (command === "subscribe" || command === "unsubscribe") && i >= 0 && !this.live.has(channel);
    if (!isSeen) return;
    if (code === "no-history") {
      this.live.add(channel);
      this.at[i] = undefined;
      this.#begun.set(channel, this.#truth.newest(channel));
      if (i === 0) this.#begins = undefined;
      this.#isComplete = false;
    } else (code === "rate" || code === "unavailable" ? this.postponed : this.refused).add(channel);
  }

  #readResumed(what: string): void {
    check(this.#isResumed && this.resumed === undefined, () => `'resumed ${what}' comes twice, or unasked`);
    this.resumed = what;
    const isAll = this.channels.every((channel) => this.live.has(channel));
    check(what === "gap" || (this.#isComplete && isAll), () => "'resumed complete' with a gap");
    check(isAll || this.refused.size > 0, () => "'resumed' before all channels have begun");
  }
}

/** Parses an event; returns undefined for comments and `retry`. */
function parse(block: string): Event | undefined {
  const fields = new Map<string, string[]>();
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name, [...(fields.get(name) ?? []), value]);
  }
  const [event, ...others] = fields.get("event") ?? [];
  if (event === undefined) return undefined;
  check(others.length === 0 && fields.get("id")?.length === 1, () => `an event has a field twice: ${block}`);
  return { event, data: fields.get("data")?.join("\n") ?? "", id: fields.get("id")?.[0] ?? "" };
}
