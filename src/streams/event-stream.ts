/**
 * Streams of server-sent events. No message carries a number: this counts where in each of its channels the stream is,
 * so that each event has an id to come back with.
 */
import { DEBUG } from "../protocol/channels.ts";
import { type Fault, formatRefusal, type Refusal } from "../protocol/errors.ts";
import {
  aroundPosition,
  COMMENT,
  formatEvent,
  formatEventAround,
  formatId,
  formatRetry,
  type Positions,
} from "../protocol/events.ts";
import type { From } from "../protocol/positions.ts";
import { parseReply } from "../protocol/replies.ts";
import type { Clock } from "./environment.ts";
import type { Dialect } from "./stream.ts";
import { type Place, Places, type Resumed } from "./stream-positions.ts";

/** How long clients wait before they come back to a stream that has ended, in milliseconds: from one to three times this. */
export const RETRY = 1_000;

/** The beginning of lines that are no messages. */
const OWN = `${DEBUG}!`;

/** Messages of one channel in a row: their events differ in that channel's position and in the text. */
interface Run {
  place: Place;
  /** The beginning of their lines. */
  prefix: string;
  /** The text of their events around the position. */
  around: [string, string];
}

export class EventStream implements Dialect {
  readonly begin: string;
  readonly tick = COMMENT;
  readonly #places: Places;
  /** Undefined after anything else than a message. */
  #run: Run | undefined;

  /**
   * @param channels of which the first is the one that the connection is for
   * @param resumed where an earlier stream of the same channels was; undefined if there was none
   * @param from where the channels begin if there was none; undefined for now
   * @param linesPerSecond that the object carries out
   */
  constructor(
    channels: string[],
    resumed: Positions | undefined,
    from: From | undefined,
    clock: Clock,
    linesPerSecond: number,
  ) {
    this.begin = formatRetry(RETRY * (1 + 2 * clock.random()));
    this.#places = new Places(channels, resumed, from ?? { since: "now" }, clock, linesPerSecond);
  }

  get from(): From | undefined {
    return this.#places.from;
  }

  get dueAt(): number {
    return this.#places.dueAt;
  }

  get fault(): Fault | undefined {
    return this.#places.fault;
  }

  commands(): string {
    return this.#places.commands();
  }

  read(lines: string): string {
    let events = "";
    for (let from = 0; from < lines.length; ) {
      const end = lines.indexOf("\n", from);
      const run = this.#run;
      if (run && lines.startsWith(run.prefix, from)) {
        events += next(run, lines.slice(from + run.prefix.length, end));
      } else events += this.#readLine(lines.slice(from, end));
      from = end + 1;
    }
    return events;
  }

  say(refusal: Refusal): string {
    return this.#debug(`error ${formatRefusal(refusal)}`);
  }

  #readLine(line: string): string {
    const at = line.indexOf("!");
    if (at < 0 || line.startsWith(OWN)) return this.#readOwn(line);
    const place = this.#places.live(line.slice(0, at));
    if (!place) return "";
    const run = this.#runOf(place);
    this.#run = run;
    return next(run, line.slice(at + 1));
  }

  #runOf(place: Place): Run {
    const places = this.#places.all;
    const positions = places.map(({ position }) => position);
    const around = aroundPosition(place.channel, positions, places.indexOf(place));
    return { place, prefix: `${place.channel}!`, around };
  }

  /** Writes a line that is no message, unless it is for the Worker alone. */
  #readOwn(line: string): string {
    this.#run = undefined;
    const event = () => this.#debug(line.slice(OWN.length));
    const reply = parseReply(line);
    switch (reply.kind) {
      case "time":
        return this.#resumed(this.#places.replied());
      case "alive":
        return "";
      case "position":
        return this.#places.located(reply.channel, reply.position) ? event() : "";
      case "gap":
        return this.#places.missed(reply.channel, reply.from, reply.to) ? event() : "";
      case "error": {
        const resumed = this.#places.refused(reply);
        return event() + this.#resumed(resumed);
      }
      default:
        return line.startsWith(OWN) ? event() : "";
    }
  }

  #resumed(resumed: Resumed): string {
    return resumed === undefined ? "" : this.#debug(`resumed ${resumed}`);
  }

  #debug(data: string): string {
    return formatEvent(DEBUG, data, formatId(this.#places.all.map(({ position }) => position)));
  }
}

/** Writes the next message of a run. */
function next({ place, around }: Run, text: string): string {
  if (place.position !== undefined) place.position += 1;
  return formatEventAround(around, place.position, text);
}
