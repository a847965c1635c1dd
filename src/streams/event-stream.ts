/**
 * Streams of server-sent events. Lines carry no positions, so the stream counts its position in each channel, and
 * writes them all into each event's id, with which a client resumes.
 */
import { DEBUG } from "../protocol/channels.ts";
import { formatRefusal, type Refusal } from "../protocol/errors.ts";
import { aroundPosition, COMMENT, formatEvent, formatEventAround, formatId, formatRetry } from "../protocol/events.ts";
import { parseReply } from "../protocol/replies.ts";
import { SharedEvents } from "./shared-events.ts";
import type { StreamFormat } from "./stream.ts";
import { type Resumed, StreamPositions, type Subscription } from "./stream-positions.ts";

/** Base of the delay before clients reconnect, in milliseconds; the delay is one to three times this. */
export const RETRY = 1_000;

/** The prefix of lines that aren't messages. */
const DEBUG_PREFIX = `${DEBUG}!`;

/** Consecutive messages of one channel: their events differ only in that channel's position and in the text. */
interface MessageRun {
  subscription: Subscription;
  /** The prefix of their lines. */
  prefix: string;
  /** The parts of their events before and after the position. */
  around: [string, string];
}

/** Shared by all streams of this Worker. */
const shared = new SharedEvents();

export class EventStream extends StreamPositions implements StreamFormat {
  readonly preamble = formatRetry(RETRY * (1 + 2 * this.environment.random()));
  readonly heartbeat = COMMENT;
  /** Undefined unless the last line was a message. */
  #run: MessageRun | undefined;
  /** Whether all lines were messages since this was set. */
  #onlyMessages = true;
  readonly #channels = this.all.map(({ channel }) => channel).join(" ");
  /** The id of the stream's positions; undefined while it isn't known. */
  #id: string | undefined;

  render(lines: string): string {
    if (lines === "") return "";
    const id = this.#id ?? formatId(this.positions);
    this.#id = undefined;
    if (!this.isLive) return this.#render(lines);
    const known = shared.find(this.#channels, id, lines);
    if (known) {
      this.setPositions(known.positions);
      this.#run = undefined;
      this.#id = known.nextId;
      return known.events;
    }
    this.#onlyMessages = true;
    const events = this.#render(lines);
    if (!this.#onlyMessages) return events;
    const { positions } = this;
    this.#id = formatId(positions);
    shared.remember({ channels: this.#channels, id, lines, events, positions, nextId: this.#id });
    return events;
  }

  #render(lines: string): string {
    let events = "";
    for (let from = 0; from < lines.length; ) {
      const end = lines.indexOf("\n", from);
      const run = this.#run;
      if (run && lines.startsWith(run.prefix, from)) {
        events += renderMessage(run, lines.slice(from + run.prefix.length, end));
      } else events += this.#renderLine(lines.slice(from, end));
      from = end + 1;
    }
    return events;
  }

  renderError(refusal: Refusal): string {
    return this.#debug(`error ${formatRefusal(refusal)}`);
  }

  #renderLine(line: string): string {
    const at = line.indexOf("!");
    if (at < 0 || line.startsWith(DEBUG_PREFIX)) return this.#renderDebug(line);
    const subscription = this.liveSubscription(line.slice(0, at));
    if (!subscription) return "";
    const around = aroundPosition(subscription.channel, this.positions, this.all.indexOf(subscription));
    this.#run = { subscription, prefix: `${subscription.channel}!`, around };
    return renderMessage(this.#run, line.slice(at + 1));
  }

  /** Returns the event for a line that isn't a message; "" if the line is for the Worker only. */
  #renderDebug(line: string): string {
    this.#run = undefined;
    this.#onlyMessages = false;
    const event = () => this.#debug(line.slice(DEBUG_PREFIX.length));
    const reply = parseReply(line);
    switch (reply.kind) {
      case "time":
        return this.#resumed(this.onPong());
      case "alive":
        return "";
      case "position":
        return this.onPosition(reply.channel, reply.position) ? event() : "";
      case "gap":
        return this.onGap(reply.channel, reply.from, reply.to) ? event() : "";
      case "error": {
        const resumed = this.onError(reply);
        return event() + this.#resumed(resumed);
      }
      default:
        return line.startsWith(DEBUG_PREFIX) ? event() : "";
    }
  }

  #resumed(resumed: Resumed): string {
    return resumed === undefined ? "" : this.#debug(`resumed ${resumed}`);
  }

  #debug(data: string): string {
    return formatEvent(DEBUG, data, formatId(this.positions));
  }
}

/** Returns the event for the next message of a run. */
function renderMessage({ subscription, around }: MessageRun, text: string): string {
  if (subscription.position !== undefined) subscription.position += 1;
  return formatEventAround(around, subscription.position, text);
}
