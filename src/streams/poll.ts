/** Polls: the missed messages of one channel, and the position to ask from next. */
import type { Fault } from "../protocol/errors.ts";
import { parseReply, type Reply } from "../protocol/replies.ts";
import { Backlog, type Budget } from "./backlog.ts";
import type { Clock } from "./environment.ts";
import { faultOf, greetingOf, UNANSWERED } from "./greeting.ts";
import type { Tap } from "./object-connection.ts";

/** How long a poll may take, in milliseconds. */
const POLL_WITHIN = 30_000;

/** The part of what may be pending for one reader after which an answer ends: twice what a history has. */
const PART = 1 / 5;

const NO_MEMORY: Fault = { code: "unavailable", why: "the server has no memory for this answer; try again" };

/** The answer to a poll. */
export interface Polled {
  /** Messages, and gaps between them, as lines. */
  lines: Backlog;
  /** That of the last message. */
  position: number;
}

/**
 * Asks an object for the messages up to now, and ends the connection.
 * @param tap a connection to the channel from some position on
 * @returns those messages, or the first of them; or why there is no answer
 */
export async function poll(tap: Tap, channel: string, clock: Clock, budget: Budget): Promise<Polled | Fault> {
  const until = clock.now() + POLL_WITHIN;
  const greeting = await greetingOf(tap, until);
  if (typeof greeting !== "string") return greeting;
  tap.say("ping\n");
  const lines = new Backlog(budget, clock.now());
  const answer = new Answer(channel, lines, budget.limits.forOne * PART);
  for (let more = greeting; more !== ""; more = await tap.take(until)) {
    answer.read(more, clock.now());
    if (answer.isDone) break;
  }
  tap.drop();
  return answer.end() ?? faultOf(tap) ?? UNANSWERED;
}

/** What is read of an answer. */
class Answer {
  readonly #channel: string;
  readonly #prefix: string;
  readonly #lines: Backlog;
  readonly #most: number;
  #length = 0;
  #position: number | undefined;
  #fault: Fault | undefined;
  /** A gap whose end isn't told yet, as a line. */
  #gap = "";
  #isAnswered = false;

  /** @param most characters after which it ends; the rest is left to the next poll */
  constructor(channel: string, lines: Backlog, most: number) {
    this.#channel = channel;
    this.#prefix = `${channel}!`;
    this.#lines = lines;
    this.#most = most;
  }

  /** Whether nothing of what follows is part of the answer. */
  get isDone(): boolean {
    return this.#isAnswered || this.#fault !== undefined || this.#length >= this.#most;
  }

  /** Returns the answer, or a fault that the object has told; undefined if it has told neither. */
  end(): Polled | Fault | undefined {
    // Messages are worth having even if more may have been missed; that there are none has to be certain.
    const isWorth = this.#isAnswered || this.#length > 0;
    if (this.#lines.isShed) return NO_MEMORY;
    if (isWorth && this.#position !== undefined && !this.#fault) {
      return { lines: this.#lines, position: this.#position };
    }
    this.#lines.drop();
    return this.#fault;
  }

  read(lines: string, now: number): void {
    let read = "";
    for (let from = 0; from < lines.length && !this.isDone; ) {
      const end = lines.indexOf("\n", from) + 1;
      read += this.#readLine(lines.slice(from, end));
      from = end;
    }
    if (read !== "") this.#lines.push(read, now);
  }

  /** Returns what the answer has of a line. */
  #readLine(line: string): string {
    if (line.startsWith(this.#prefix)) return this.#readMessage(line);
    const reply = parseReply(line.slice(0, -1));
    if (reply.kind === "time") this.#isAnswered = true;
    if (reply.kind === "error") this.#refuse(reply);
    if (reply.kind === "gap" && reply.channel === this.#channel) this.#gap = line;
    if (reply.kind === "position" && reply.channel === this.#channel) return this.#locate(reply.position);
    return "";
  }

  #readMessage(line: string): string {
    if (this.#position === undefined) return "";
    this.#position += 1;
    this.#length += line.length;
    return line;
  }

  #locate(position: number): string {
    this.#position = position;
    const gap = this.#gap;
    this.#gap = "";
    this.#length += gap.length;
    return gap;
  }

  #refuse(refusal: Extract<Reply, { kind: "error" }>): void {
    if (refusal.command === "ping") this.#isAnswered = true;
    if (refusal.command === "subscribe" && refusal.argument === this.#channel) this.#fault = refusal;
  }
}
