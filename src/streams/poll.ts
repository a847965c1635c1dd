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
  const answer = answerReader(channel, lines, budget.limits.forOne * ANSWER_SHARE);
  for (let more = greeting; more !== ""; more = await connection.take(deadline)) {
    answer.read(more, environment.now());
    if (answer.isDone()) break;
  }
  connection.drop();
  return answer.end() ?? connection.fault ?? UNANSWERED;
}

/**
 * Collects an answer from an object's lines.
 * @param maxLength characters at which the answer ends; the next poll continues after it
 */
function answerReader(channel: string, lines: Backlog, maxLength: number) {
  let length = 0;
  let position: number | undefined;
  let fault: Fault | undefined;
  /** The line of a gap that no position has followed yet. */
  let gap = "";
  let isAnswered = false;
  /** Accepts a line that isn't a message. Returns the gap before the position in the line, if any. */
  const readReply = (line: string): string => {
    const reply = parseReply(line.slice(0, -1));
    if (reply.kind === "time" || (reply.kind === "error" && reply.command === "ping")) isAnswered = true;
    if (reply.kind === "error" && reply.command === "subscribe" && reply.argument === channel) fault = reply;
    if (reply.kind === "gap" && reply.channel === channel) gap = line;
    if (reply.kind !== "position" || reply.channel !== channel) return "";
    position = reply.position;
    const before = gap;
    gap = "";
    return before;
  };
  /** Returns the part of a line that belongs to the answer. */
  const partOf = (line: string): string => {
    if (!line.startsWith(`${channel}!`)) return readReply(line);
    if (position === undefined) return "";
    position += 1;
    return line;
  };
  /** Whether the answer ends here. */
  const isDone = () => isAnswered || fault !== undefined || length >= maxLength;
  return {
    isDone,
    read(text: string, now: number): void {
      let read = "";
      for (let from = 0; from < text.length && !isDone(); ) {
        const end = text.indexOf("\n", from) + 1;
        const part = partOf(text.slice(from, end));
        length += part.length;
        read += part;
        from = end;
      }
      if (read !== "") lines.push(read, now);
    },
    /** Returns the answer, or the fault that the object reported; undefined if the object sent neither. */
    end(): PollAnswer | Fault | undefined {
      if (lines.isShed) return NO_MEMORY;
      // Messages are useful even if more follow; an empty answer has to be certain.
      const isUseful = isAnswered || length > 0;
      if (isUseful && position !== undefined && !fault) return { lines, position };
      lines.drop();
      return fault;
    },
  };
}
