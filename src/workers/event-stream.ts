/**
 * Makes events of what an object says to one connection. No message carries a number: this counts where in each of
 * its channels the stream is, so that each event has an id to come back with.
 */
import { EVERYONE } from "../protocol/channels.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, isTemporary } from "../protocol/errors.ts";
import { formatEvent, formatId, type Positions } from "../protocol/events.ts";
import type { From } from "../protocol/positions.ts";
import { parseReply } from "../protocol/replies.ts";

/** Where the stream is in one channel. */
interface Place {
  readonly channel: string;
  /** From where on it was asked for. */
  from: From;
  /** Undefined before it is told, and where no history is kept. */
  position: number | undefined;
  /** Whether its messages are part of the stream: from the answer on. */
  isLive: boolean;
}

/** The name of events that are no messages: no channel can have it. */
const DEBUG = "debug";

export class EventStream {
  readonly #places: Map<string, Place>;
  /** Those that have been asked for and not answered, in order. */
  readonly #asked: Place[];
  /** Those that were refused, though they should be heard. */
  #refused: Place[] = [];
  readonly #isResumed: boolean;
  /** Whether all that was missed has come. */
  #isComplete = true;
  /** Why the stream can't go on; undefined while it can. */
  fault: Fault | undefined;

  /**
   * @param channels of which the first is the one that the connection is for
   * @param resumed where an earlier stream of the same channels was; undefined if there was none
   * @param from where the channels begin if there was none
   */
  constructor(channels: string[], resumed: Positions | undefined, from: From = { since: "now" }) {
    const fresh = (channel: string): From =>
      channel === EVERYONE && channels[0] !== EVERYONE ? { since: "now" } : from;
    const places = channels.map((channel, i): Place => {
      const position = resumed?.[i];
      const since: From = position === undefined ? { since: "now" } : { since: position };
      return { channel, from: resumed ? since : fresh(channel), position, isLive: false };
    });
    this.#places = new Map(places.map((place) => [place.channel, place]));
    this.#asked = places;
    this.#isResumed = resumed !== undefined;
    if (resumed?.includes(undefined)) this.#isComplete = false;
  }

  /** From where on the connection's own channel is to be heard. */
  get from(): From | undefined {
    return this.#asked[0]?.from;
  }

  /** What is to be said when the connection is greeted: it asks for the other channels, and for an answer to all. */
  get commands(): string {
    return `${this.#asked.slice(1).map(ask).join("")}ping\n`;
  }

  /** What is to be said now and then, so that what was refused is heard when it can be. */
  again(): string {
    const refused = this.#refused;
    this.#refused = [];
    this.#asked.push(...refused);
    return refused.length === 0 ? "" : `${refused.map(ask).join("")}ping\n`;
  }

  /** The events of some lines. */
  read(lines: string): string {
    let events = "";
    for (let from = 0; from < lines.length; ) {
      const end = lines.indexOf("\n", from);
      events += this.#readLine(lines.slice(from, end));
      from = end + 1;
    }
    return events;
  }

  /** An event that says something that is no message. */
  say(what: string): string {
    return this.#event(DEBUG, what);
  }

  #readLine(line: string): string {
    const at = line.indexOf("!");
    const channel = line.slice(0, Math.max(0, at));
    if (channel === DEBUG) return this.#readDebug(line, line.slice(at + 1));
    if (at < 0) return this.#isHere();
    const place = this.#places.get(channel);
    if (!place?.isLive) return "";
    if (place.position !== undefined) place.position += 1;
    return this.#event(channel, line.slice(at + 1));
  }

  /** Everything that was asked for has been answered, but by a version that knows no positions. */
  #isHere(): string {
    for (const place of this.#asked.splice(0)) {
      place.isLive = true;
      this.#isComplete = false;
    }
    if (!this.#isResumed || this.#refused.length > 0) return "";
    return this.say(`resumed ${this.#isComplete ? "complete" : "gap"}`);
  }

  #readDebug(line: string, said: string): string {
    const reply = parseReply(line);
    if (reply.kind === "position") this.#locate(reply.channel, reply.position);
    if (reply.kind === "gap") this.#isComplete = false;
    if (reply.kind === "error" && reply.command === "subscribe") this.#refuse(reply.argument, reply);
    return this.say(said);
  }

  #locate(channel: string, position: number): void {
    const place = this.#places.get(channel);
    if (!place) return;
    place.position = position;
    this.#answered(place);
  }

  /** Handles the refusal of a subscription. */
  #refuse(channel: string | undefined, fault: Fault): void {
    const place = this.#asked.find((asked) => asked.channel === channel);
    if (!place) return;
    if (fault.code === "no-history") {
      place.position = undefined;
      this.#isComplete = false;
      this.#answered(place);
    } else if (place.channel === EVERYONE && isTemporary(fault.code)) {
      this.#asked.splice(this.#asked.indexOf(place), 1);
      this.#refused.push(place);
    } else this.fault = fault;
  }

  #answered(place: Place): void {
    place.isLive = true;
    const at = this.#asked.indexOf(place);
    if (at >= 0) this.#asked.splice(at, 1);
  }

  #event(event: string, data: string): string {
    return formatEvent(event, data, formatId([...this.#places.values()].map(({ position }) => position)));
  }
}

/** Every connection hears `all` from the start: to hear it from a position on, it has to leave it first. */
function ask({ channel, from }: Place): string {
  const subscribe = `${formatCommand({ kind: "subscribe", channel, from })}\n`;
  const isNow = "since" in from && from.since === "now";
  if (channel !== EVERYONE || isNow) return subscribe;
  return `${formatCommand({ kind: "unsubscribe", channel })}\n${subscribe}`;
}
