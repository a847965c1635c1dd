/** Polls: the missed messages of one channel, and the position for the next poll. */
import type { Fault } from "../protocol/errors.ts";
import { parseReply } from "../protocol/replies.ts";
import { Backlog, type Budget } from "./backlog.ts";
import type { StreamEnvironment } from "./environment.ts";
import { type ObjectConnection, UNANSWERED } from "./object-connection.ts";

const POLL_TIMEOUT = 30_000;

/** The share of one reader's budget at which an answer ends. It is twice the size of a history. */
const ANSWER_SHARE = 1 / 5;

const NO_MEMORY: Fault = { code: "unavailable", why: "the server has no memory for this answer; try again" };

/** The answer to a poll. */
export interface PollAnswer {
  /** Messages, and gaps between them, as lines. */
  lines: Backlog;
  /** The position of the last message. */
  position: number;
}

/**
 * Reads an object's messages up to now, and closes the connection.
 * @param connection a connection that subscribed to the channel at a position
 * @returns the messages, or the first ones if they are too many; or why the poll failed
 */
export async function poll(
  connection: ObjectConnection,
  channel: string,
  environment: StreamEnvironment,
  budget: Budget,
): Promise<PollAnswer | Fault> {
  const deadline = environment.now() + POLL_TIMEOUT;
  const greeting = await connection.greeting(deadline);
  if (typeof greeting !== "string") return greeting;
  connection.send("ping\n");
  const lines = new Backlog(budget, environment.now());
  const answer = new AnswerReader(channel, lines, budget.limits.forOne * ANSWER_SHARE);
  for (let more = greeting; more !== ""; more = await connection.take(deadline)) {
    answer.read(more, environment.now());
    if (answer.isDone) break;
  }
  connection.drop();
  return answer.end() ?? connection.fault ?? UNANSWERED;
}

/** Collects an answer from an object's lines. */
class AnswerReader {
  readonly #channel: string;
  readonly #lines: Backlog;
  readonly #maxLength: number;
  #length = 0;
  #position: number | undefined;
  #fault: Fault | undefined;
  /** The line of a gap that no position has followed yet. */
  #gap = "";
  #isAnswered = false;

  /** @param maxLength characters at which the answer ends; the next poll continues after it */
  constructor(channel: string, lines: Backlog, maxLength: number) {
    this.#channel = channel;
    this.#lines = lines;
    this.#maxLength = maxLength;
  }

  /** Whether the answer ends here. */
  get isDone(): boolean {
    return this.#isAnswered || this.#fault !== undefined || this.#length >= this.#maxLength;
  }

  /** Returns the answer, or the fault that the object reported; undefined if the object sent neither. */
  end(): PollAnswer | Fault | undefined {
    // Messages are useful even if more follow; an empty answer has to be certain.
    const isUseful = this.#isAnswered || this.#length > 0;
    if (this.#lines.isShed) return NO_MEMORY;
    if (isUseful && this.#position !== undefined && !this.#fault) {
      return { lines: this.#lines, position: this.#position };
    }
    this.#lines.drop();
    return this.#fault;
  }

  read(lines: string, now: number): void {
    let read = "";
    for (let from = 0; from < lines.length && !this.isDone; ) {
      const end = lines.indexOf("\n", from) + 1;
      const part = this.#partOf(lines.slice(from, end));
      this.#length += part.length;
      read += part;
      from = end;
    }
    if (read !== "") this.#lines.push(read, now);
  }

  /** Returns the part of a line that belongs to the answer. */
  #partOf(line: string): string {
    if (line.startsWith(`${this.#channel}!`)) {
      if (this.#position === undefined) return "";
      this.#position += 1;
      return line;
    }
    const reply = parseReply(line.slice(0, -1));
    if (reply.kind === "time" || (reply.kind === "error" && reply.command === "ping")) this.#isAnswered = true;
    if (reply.kind === "error" && reply.command === "subscribe" && reply.argument === this.#channel) {
      this.#fault = reply;
    }
    if (reply.kind === "gap" && reply.channel === this.#channel) this.#gap = line;
    if (reply.kind !== "position" || reply.channel !== this.#channel) return "";
    this.#position = reply.position;
    const gap = this.#gap;
    this.#gap = "";
    return gap;
  }
}
