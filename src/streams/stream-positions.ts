/**
 * Where a stream is in each of its channels. Channels that the object couldn't subscribe the connection to for the
 * moment are asked for again, after growing pauses, whatever else the stream brings meanwhile.
 */
import { EVERYONE } from "../protocol/channels.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, isTemporary, type Refusal } from "../protocol/errors.ts";
import type { Positions } from "../protocol/events.ts";
import type { From } from "../protocol/positions.ts";
import type { Clock } from "./environment.ts";

/** The first and the longest pause before channels are asked for again, in milliseconds: from once to twice as long. */
const PAUSE = 1_000;
const LONGEST_PAUSE = 10_000;

/** How long an object may take to carry out one command, in milliseconds: five calls that each take the longest. */
const COMMAND_WITHIN = 120_000;

const PING = "ping\n";

/** What came of resuming: all missed messages, or not all; undefined while that isn't known, and after it is told. */
export type Resumed = "complete" | "gap" | undefined;

/** Where the stream is in one channel. */
export interface Place {
  readonly channel: string;
  /** Undefined before the object has told, and where no history is kept. */
  position: number | undefined;
  /** Where the channel begins while no position is known. */
  readonly from: From;
  /**
   * - `due`: to be asked for;
   * - `leaving`: asked for, but what the object says of it is still of an earlier subscription;
   * - `asked`: asked for;
   * - `live`: answered, its messages are part of the stream;
   * - `refused`: asking again would be of no use.
   */
  state: "due" | "leaving" | "asked" | "live" | "refused";
  /** Whether the connection may be subscribed to it already, from somewhere else on. */
  mayBeSubscribed: boolean;
  /** Up to where the object has told that messages after the position are not to be had. */
  gapTo: number | undefined;
}

export class Places {
  readonly #clock: Clock;
  readonly #mostAtOnce: number;
  /** All of them, in the order of their channels. */
  readonly all: readonly Place[];
  readonly #byChannel: Map<string, Place>;
  /** Replies to `ping` that are due. The one before the last comes when the connection has left what it has to leave. */
  #pings = 0;
  /** When the object answered one of the commands under way last, or got them. */
  #answeredAt = 0;
  /** When commands are due, unless some are under way; Infinity if never. */
  #dueAt = 0;
  /** Rounds of commands in a row after which channels were still due, since one brought some. */
  #failures = 0;
  #hasProgressed = false;
  /** Whether the stream still has to tell that it has got everything that it missed. */
  #isResuming: boolean;
  #isComplete = true;

  /**
   * @param channels of which the first is the one that the connection is for
   * @param resumed where an earlier stream of the same channels was; undefined if there was none
   * @param from where the channels begin if there was none
   * @param linesPerSecond that the object carries out
   */
  constructor(
    channels: string[],
    resumed: Positions | undefined,
    from: From,
    clock: Clock,
    linesPerSecond: number,
  ) {
    this.#clock = clock;
    // Of each it may have to leave, and of all there are two `ping`.
    this.#mostAtOnce = Math.max(1, Math.floor((linesPerSecond - 2) / 2));
    const places = channels.map((channel, i): Place => {
      const isFirst = i === 0;
      const begins: From = channel === EVERYONE && !isFirst ? { since: "now" } : from;
      const mayBeSubscribed = channel === EVERYONE && !isFirst;
      const state = isFirst ? "asked" : "due";
      return { channel, position: resumed?.[i], from: begins, state, mayBeSubscribed, gapTo: undefined };
    });
    this.all = places;
    this.#byChannel = new Map(places.map((place) => [place.channel, place]));
    this.#isResuming = resumed !== undefined;
    const isKnown = (place: Place) => positionOf(fromOf(place)) !== undefined;
    if (resumed && !places.every(isKnown)) this.#isComplete = false;
  }

  /** From where on the connection's own channel is to be heard. */
  get from(): From | undefined {
    return this.all[0] && fromOf(this.all[0]);
  }

  /** Returns the place of a channel whose messages are part of the stream; undefined for others. */
  live(channel: string): Place | undefined {
    const place = this.#byChannel.get(channel);
    return place?.state === "live" ? place : undefined;
  }

  /** When `commands` has something to do next, in milliseconds since 1970; Infinity if never. */
  get dueAt(): number {
    return this.#pings > 0 ? this.#answeredAt + COMMAND_WITHIN : this.#dueAt;
  }

  /** Why the stream can't go on, if it can't. */
  get fault(): Fault | undefined {
    const isStuck = this.#pings > 0 && this.#clock.now() >= this.dueAt;
    if (!isStuck) return undefined;
    return { code: "unavailable", why: "the channel's object doesn't carry out commands; connect again" };
  }

  /** Returns the commands that are due: they ask for channels, and for a sign when all have been answered. */
  commands(): string {
    if (this.#pings > 0 || this.#clock.now() < this.dueAt) return "";
    const due = this.all.filter(({ state }) => state === "due").slice(0, this.#mostAtOnce);
    const left = due.filter(isToBeLeft);
    for (const place of due) place.state = left.includes(place) ? "leaving" : "asked";
    this.#pings = left.length > 0 ? 2 : 1;
    this.#answeredAt = this.#clock.now();
    const leave = left.map(({ channel }) => `${formatCommand({ kind: "unsubscribe", channel })}\n`);
    if (left.length > 0) leave.push(PING);
    return [...leave, ...due.map(ask), PING].join("");
  }

  /**
   * The object says that the next message of a channel is the one after a position.
   * @returns whether that is true of the stream: it isn't of a subscription that the stream doesn't use
   */
  located(channel: string, position: number): boolean {
    const place = this.#byChannel.get(channel);
    if (place?.state === "asked" && isAnswer(place, position)) this.#begin(place);
    if (place?.state !== "live") return false;
    place.position = position;
    return true;
  }

  /** The object says that messages of a channel between two positions are not to be had. Returns like `located`. */
  missed(channel: string, from: number, to: number): boolean {
    const place = this.#byChannel.get(channel);
    if (place?.state !== "asked" && place?.state !== "live") return false;
    if (place.position === undefined || place.position === from) place.gapTo = to;
    this.#isComplete = false;
    return true;
  }

  /** The object has refused a command. Returns like `replied`. */
  refused({ command, argument, code }: Refusal): Resumed {
    if (command === "ping") return this.replied();
    const place = this.#byChannel.get(argument ?? "");
    const isAnswer = command === "subscribe" && place?.state === "asked";
    const isKept = command === "unsubscribe" && place?.state === "leaving";
    if (!place || !(isAnswer || isKept)) return undefined;
    if (code === "no-history") {
      this.#begin(place);
      place.position = undefined;
      this.#isComplete = false;
    } else if (isTemporary(code)) this.#postpone(place);
    else {
      place.state = "refused";
      this.#isComplete = false;
    }
    return undefined;
  }

  /**
   * The object has answered a `ping`.
   * @returns what came of resuming, when that is done
   */
  replied(): Resumed {
    if (this.#pings === 0) return undefined;
    this.#pings -= 1;
    this.#answeredAt = this.#clock.now();
    for (const place of this.all) {
      if (place.state === "leaving") place.state = "asked";
      else if (place.state === "asked" && this.#pings === 0) this.#postpone(place);
    }
    if (this.#pings > 0) return undefined;
    const isDone = this.all.every(({ state }) => state !== "due");
    this.#dueAt = isDone ? Number.POSITIVE_INFINITY : this.#clock.now() + this.#pause();
    if (!this.#isResuming || !isDone) return undefined;
    this.#isResuming = false;
    return this.#isComplete ? "complete" : "gap";
  }

  /** How long the next round of commands is to wait. */
  #pause(): number {
    if (this.#hasProgressed) this.#failures = 0;
    const pause = Math.min(LONGEST_PAUSE, PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    this.#hasProgressed = false;
    return pause * (1 + this.#clock.random());
  }

  #begin(place: Place): void {
    place.state = "live";
    this.#hasProgressed = true;
    this.#answeredAt = this.#clock.now();
  }

  #postpone(place: Place): void {
    place.state = "due";
    // After a refusal too: the object subscribes a connection to its own channel in any case.
    place.mayBeSubscribed = true;
    this.#answeredAt = this.#clock.now();
  }
}

/** Whether a position can be the answer to the question for a channel: where it was asked for, or after a gap. */
function isAnswer(place: Place, position: number): boolean {
  const since = positionOf(fromOf(place));
  return since === undefined || position === since || position === place.gapTo;
}

function positionOf(from: From): number | undefined {
  return "since" in from && from.since !== "now" ? from.since : undefined;
}

function fromOf({ position, from }: Place): From {
  return position === undefined ? from : { since: position };
}

/** A connection can't be subscribed anew from somewhere on while it is subscribed, but for `since now`. */
function isToBeLeft(place: Place): boolean {
  const from = fromOf(place);
  return place.mayBeSubscribed && ("last" in from || from.since !== "now");
}

function ask(place: Place): string {
  return `${formatCommand({ kind: "subscribe", channel: place.channel, from: fromOf(place) })}\n`;
}
