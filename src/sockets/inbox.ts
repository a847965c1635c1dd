/** What clients send: frames, lines, and commands, those of one connection strictly one after another. */
import { assert } from "../assert.ts";
import type { ClosingCause } from "../protocol/close-codes.ts";
import { type ClientLine, type Command, parseCommand, refuseLine } from "../protocol/commands.ts";
import type { ErrorCode, Refusal } from "../protocol/errors.ts";
import { countLines, type Frame, isTooBig, linesOf, sizeOf } from "../protocol/frames.ts";
import { lineTooLong, tooManyLines } from "../protocol/refusals.ts";
import { formatMessage } from "../protocol/replies.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Connection } from "./connections.ts";
import { take } from "./rate.ts";

type Once = Extract<Command, { kind: "once" }>;

/** A command, or announcements in a row on one channel: those are one step. */
export type Step =
  | Exclude<Command, { kind: "announce" | "once" }>
  /** Of `count` messages, as lines, that get neighbouring positions. */
  | { kind: "announce"; channel: string; lines: string; count: number }
  | { kind: "once"; channel: string; messages: Pick<Once, "key" | "message">[] };

/** A command that can't be carried out; the message tells the client why. */
export class CommandError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string) {
    super(why);
    this.code = code;
  }
}

/** Carries out what clients send. */
export interface Carrier {
  /**
   * Carries out a step. A promise resolves when the step has taken effect everywhere.
   * @throws CommandError if that can't be done
   */
  carryOut(connection: Connection, step: Step): Promise<void> | undefined;
  /** Tells a client that a command was refused. */
  refuse(connection: Connection, refusal: Refusal): void;
  /** Closes a connection that broke a limit. */
  close(connection: Connection, cause: ClosingCause, why: string): void;
}

const NOT_UTF8: Refusal = {
  code: "invalid",
  command: "frame",
  why: "a frame is UTF-8; no line of this one was carried out",
};

/** Bytes that may wait of all connections of an object together: an eighth of its 128 MB. */
const MOST_WAITING = 16_000_000;

/** Bytes that a frame takes that waits, besides its own. */
const WAITING_OVERHEAD = 100;

export interface InboxLimits {
  /** Longest line, in bytes, its end not counted. */
  maxLineBytes: number;
  /** Bytes of one frame, and of what waits of one connection. */
  maxBufferedBytes: number;
  /** Lines that are carried out in a second, and in one burst; as many more get an error. */
  linesPerSecond: number;
}

/** A frame that waits. */
interface Waiting {
  frame: Frame;
  /** How many of its lines, from the first, are to be carried out. The others are too many. */
  allowed: number;
  /** Bytes that it counts for. */
  size: number;
}

/** What one connection has sent, and where in it this object is. */
interface Queue {
  /** The frames not yet begun. */
  frames: Waiting[];
  /** Their size together. */
  size: number;
  /** The lines of the frame that is being carried out; undefined if it was not UTF-8. */
  lines: (string | undefined)[];
  allowed: number;
  next: number;
}

export class Inbox {
  readonly #carrier: Carrier;
  readonly #limits: InboxLimits;
  readonly #now: () => number;
  /** Of the connections whose commands are being carried out. */
  readonly #queues = new Map<Connection, Queue>();
  /** Bytes that wait of all connections. */
  #waiting = 0;

  constructor(carrier: Carrier, limits: InboxLimits, now: () => number) {
    this.#carrier = carrier;
    this.#limits = limits;
    this.#now = now;
  }

  /** Has everything that `connection` sends wait until `begun` has settled. */
  begin(connection: Connection, begun: Promise<void>): Promise<void> {
    return this.#run(connection, begun);
  }

  /** Takes a frame. Resolves when its commands have been carried out, or they wait behind earlier ones. */
  receive(connection: Connection, frame: Frame): Promise<void> | undefined {
    const allowed = this.#allowed(connection, frame);
    if (allowed === undefined) return undefined;
    const queue = this.#queues.get(connection);
    if (!queue) return this.#run(connection, undefined, [{ frame, allowed, size: 0 }]);
    const size = sizeOf(frame) + WAITING_OVERHEAD;
    if (queue.size + size > this.#limits.maxBufferedBytes) this.#closeForWaiting(connection);
    else {
      queue.frames.push({ frame, allowed, size });
      queue.size += size;
      this.#waiting += size;
    }
    while (this.#waiting > MOST_WAITING) this.#closeForWaiting(this.#longest());
    return undefined;
  }

  /** The connection of which most waits. */
  #longest(): Connection {
    const [first, ...others] = this.#queues;
    assert(first !== undefined, "what waits does so in a queue");
    return others.reduce((longest, other) => (other[1].size > longest[1].size ? other : longest), first)[0];
  }

  #closeForWaiting(connection: Connection): void {
    this.#drop(this.#queues.get(connection));
    this.#carrier.close(connection, "waiting", "too many commands are pending");
  }

  /** Forgets what waits in a queue. */
  #drop(queue: Queue | undefined): void {
    if (!queue) return;
    this.#waiting -= queue.size;
    queue.frames = [];
    queue.size = 0;
  }

  /** How many lines of a frame are to be carried out; undefined if the connection had to be closed. */
  #allowed(connection: Connection, frame: Frame): number | undefined {
    const { maxBufferedBytes, linesPerSecond } = this.#limits;
    if (isTooBig(frame, maxBufferedBytes)) {
      this.#carrier.close(connection, "frame", `a frame has at most ${maxBufferedBytes} bytes`);
      return undefined;
    }
    const lines = countLines(frame);
    const now = this.#now();
    const allowed = take(connection.lines, lines, linesPerSecond, now);
    const tooMany = lines - allowed;
    if (take(connection.excess, tooMany, linesPerSecond, now) === tooMany) return allowed;
    this.#carrier.close(connection, "rate", `far more than ${linesPerSecond} lines per second`);
    return undefined;
  }

  async #run(
    connection: Connection,
    begun: Promise<void> | undefined,
    frames: Waiting[] = [],
  ): Promise<void> {
    const queue: Queue = { frames, size: 0, lines: [], allowed: 0, next: 0 };
    this.#queues.set(connection, queue);
    try {
      if (begun) await begun;
      for (let line = this.#take(queue); line && !connection.closed; line = this.#take(queue)) {
        if (line.kind === "refused") this.#carrier.refuse(connection, line.refusal);
        else if (line.kind !== "empty") {
          const done = this.#carryOut(connection, this.#stepFrom(line, queue));
          if (done) await done;
        }
      }
    } finally {
      this.#drop(queue);
      this.#queues.delete(connection);
    }
  }

  #carryOut(connection: Connection, step: Step): Promise<void> | undefined {
    const refuse = (error: unknown) => this.#refuse(connection, step, error);
    try {
      return this.#carrier.carryOut(connection, step)?.catch(refuse);
    } catch (error) {
      refuse(error);
      return undefined;
    }
  }

  /** Refuses each command of a step. @throws what isn't a CommandError */
  #refuse(connection: Connection, step: Step, error: unknown): void {
    if (!(error instanceof CommandError)) throw error;
    const { code, message: why } = error;
    for (const argument of argumentsOf(step)) {
      this.#carrier.refuse(connection, { code, command: step.kind, argument, why });
    }
  }

  #stepFrom(line: Command, queue: Queue): Step {
    if (line.kind === "announce") return this.#withMore(line.channel, line.message, queue);
    return line.kind === "once" ? this.#withMoreOnce(line, queue) : line;
  }

  /** An announcement, and those that follow it on the same channel. */
  #withMore(channel: string, message: string, queue: Queue): Step {
    let lines = formatMessage(channel, message);
    let count = 1;
    for (;;) {
      const next = this.#peek(queue);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      queue.next += 1;
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return { kind: "announce", channel, lines, count };
  }

  /** The same of announcements that each have a key. */
  #withMoreOnce(first: Once, queue: Queue): Step {
    const { channel } = first;
    const messages = [first];
    for (;;) {
      const next = this.#peek(queue);
      if (next?.kind !== "once" || next.channel !== channel) break;
      queue.next += 1;
      messages.push(next);
    }
    return { kind: "once", channel, messages };
  }

  /** The next line, taken out; undefined when none waits. */
  #take(queue: Queue): ClientLine | undefined {
    const line = this.#peek(queue);
    queue.next += 1;
    return line;
  }

  #peek(queue: Queue): ClientLine | undefined {
    while (queue.next >= queue.lines.length) {
      const waiting = queue.frames.shift();
      if (!waiting) return undefined;
      queue.size -= waiting.size;
      this.#waiting -= waiting.size;
      queue.lines = linesOf(waiting.frame);
      queue.allowed = waiting.allowed;
      queue.next = 0;
    }
    return this.#read(queue.lines[queue.next], queue.next < queue.allowed);
  }

  #read(line: string | undefined, allowed: boolean): ClientLine {
    const { maxLineBytes, linesPerSecond } = this.#limits;
    if (line === "") return { kind: "empty" };
    if (line === undefined) return { kind: "refused", refusal: NOT_UTF8 };
    if (!allowed) return refuseLine(line, "rate", tooManyLines(linesPerSecond));
    if (isLongerThan(line, maxLineBytes)) return refuseLine(line, "limit", lineTooLong(maxLineBytes));
    return parseCommand(line);
  }
}

/** The channel or key of each command of a step; undefined for one that has neither. */
function argumentsOf(step: Step): (string | undefined)[] {
  if (step.kind === "once") return step.messages.map(({ key }) => key);
  if (step.kind === "announce") return Array.from({ length: step.count }, () => step.channel);
  return ["channel" in step ? step.channel : undefined];
}
