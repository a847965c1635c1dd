/** What clients send: frames, lines, and commands, those of one connection strictly one after another. */
import { assert } from "../assert.ts";
import type { ClosingCause } from "../protocol/close-codes.ts";
import { type ClientLine, type Command, parseCommand, refuseLine } from "../protocol/commands.ts";
import type { ErrorCode, Refusal } from "../protocol/errors.ts";
import { countLines, type Frame, isTooBig, lengthOf, sizeOf, textOf } from "../protocol/frames.ts";
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
  /** Returns how many characters of messages one step should have at most, but for its last message. */
  portionOf(channel: string): number;
  /** Tells a client that a command was refused. */
  refuse(connection: Connection, refusal: Refusal): void;
  /** Closes a connection that broke a limit. */
  close(connection: Connection, cause: ClosingCause, why: string): void;
  /**
   * Called between two steps of a connection.
   * @param work that the step before caused, in microseconds or so
   * @param needsRoom whether the next step should wait until everything announced before has been sent
   * @returns a promise that resolves when the next step may run; undefined if that's now
   */
  pause(connection: Connection, work: number, needsRoom: boolean): Promise<void> | undefined;
}

const NOT_UTF8: Refusal = {
  code: "invalid",
  command: "frame",
  why: "a frame is UTF-8; no line of this one was carried out",
};

/** Bytes of frames that wait or are being carried out, of all connections of an object: an eighth of its 128 MB. */
const MOST_WAITING = 16_000_000;

/** Announcements that each have a key, in one step: each is looked up and answered by itself. */
const MOST_ONCE = 500;

/**
 * Bytes of a frame that may have to wait in the middle for what it has announced to be sent. Of smaller ones, one comes
 * in whenever one has been carried out, so none pile up.
 */
const LARGE = 1_000_000;

/** Bytes that a frame takes besides its own. */
const FRAME_OVERHEAD = 100;

/** Work that a line causes, in microseconds or so, characters that cause as much, and a step that others have to answer. */
const LINE = 1;
const CHARACTERS = 100;
const ANSWER = 1_000;

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
  waiting: number;
  /** The frame that is being carried out; undefined if it was not UTF-8. */
  text: string | undefined;
  /** Where in it the next line begins; behind its end if there is none. */
  next: number;
  /** How many more of its lines are to be carried out. */
  allowed: number;
  /** Its size. */
  begun: number;
  /** Work caused since the last pause. */
  work: number;
  /** Whether the next step waits for nothing but a pause, which is not this client's fault. */
  isPaused: boolean;
}

export class Inbox {
  readonly #carrier: Carrier;
  readonly #limits: InboxLimits;
  readonly #now: () => number;
  /** Of the connections whose commands are being carried out. */
  readonly #queues = new Map<Connection, Queue>();
  /** Bytes that wait or are being carried out, of all connections. */
  #held = 0;

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
    const done = queue
      ? this.#wait(connection, queue, frame, allowed)
      : this.#begin(connection, frame, allowed);
    while (this.#held > MOST_WAITING) this.#closeForWaiting(this.#longest());
    return done;
  }

  #begin(connection: Connection, frame: Frame, allowed: number): Promise<void> {
    const size = lengthOf(frame) + FRAME_OVERHEAD;
    this.#held += size;
    return this.#run(connection, undefined, [{ frame, allowed, size }]);
  }

  #wait(connection: Connection, queue: Queue, frame: Frame, allowed: number): undefined {
    const size = sizeOf(frame) + FRAME_OVERHEAD;
    if (queue.waiting + size > this.#limits.maxBufferedBytes && !queue.isPaused) {
      this.#closeForWaiting(connection);
      return;
    }
    queue.frames.push({ frame, allowed, size });
    queue.waiting += size;
    this.#held += size;
  }

  /** The connection that holds most. */
  #longest(): Connection {
    const [first, ...others] = this.#queues;
    assert(first !== undefined, "what waits does so in a queue");
    return others.reduce(
      (longest, other) => (heldBy(other[1]) > heldBy(longest[1]) ? other : longest),
      first,
    )[0];
  }

  #closeForWaiting(connection: Connection): void {
    this.#drop(this.#queues.get(connection));
    this.#carrier.close(connection, "waiting", "too many commands are pending");
  }

  /** Forgets what waits in a queue, and the rest of what is being carried out. */
  #drop(queue: Queue | undefined): void {
    if (!queue) return;
    this.#held -= heldBy(queue);
    queue.frames = [];
    queue.text = "";
    queue.next = 1;
    queue.waiting = queue.begun = 0;
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
    const [{ size: waiting } = { size: 0 }] = frames;
    const queue: Queue = {
      frames,
      waiting,
      text: "",
      next: 1,
      allowed: 0,
      begun: 0,
      work: 0,
      isPaused: false,
    };
    this.#queues.set(connection, queue);
    try {
      if (begun) await begun;
      for (let line = this.#take(queue); line && !connection.closed; line = this.#take(queue)) {
        const done = this.#carryOutLine(connection, line, queue);
        if (done) {
          await done;
          queue.work += ANSWER;
        }
        const pause = this.#carrier.pause(connection, queue.work, queue.begun > LARGE || isOver(queue));
        queue.work = 0;
        queue.isPaused = pause !== undefined;
        if (pause) await pause;
        queue.isPaused = false;
      }
    } finally {
      this.#drop(queue);
      this.#queues.delete(connection);
    }
  }

  #carryOutLine(connection: Connection, line: ClientLine, queue: Queue): Promise<void> | undefined {
    if (line.kind === "refused") this.#carrier.refuse(connection, line.refusal);
    else if (line.kind !== "empty") return this.#carryOut(connection, this.#stepFrom(line, queue));
    return undefined;
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

  /** An announcement, and those that follow it on the same channel, while they aren't too much for one step. */
  #withMore(channel: string, message: string, queue: Queue): Step {
    let lines = formatMessage(channel, message);
    let count = 1;
    const most = this.#carrier.portionOf(channel);
    while (lines.length < most) {
      const next = this.#peek(queue);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      this.#advance(queue);
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return { kind: "announce", channel, lines, count };
  }

  /** The same of announcements that each have a key. */
  #withMoreOnce(first: Once, queue: Queue): Step {
    const { channel } = first;
    const messages = [first];
    const most = this.#carrier.portionOf(channel);
    for (let length = 0; length < most && messages.length < MOST_ONCE; ) {
      const next = this.#peek(queue);
      if (next?.kind !== "once" || next.channel !== channel) break;
      this.#advance(queue);
      messages.push(next);
      length += next.message.length;
    }
    return { kind: "once", channel, messages };
  }

  /** The next line, taken out; undefined when none waits. */
  #take(queue: Queue): ClientLine | undefined {
    const line = this.#peek(queue);
    if (line) this.#advance(queue);
    return line;
  }

  #peek(queue: Queue): ClientLine | undefined {
    while (isOver(queue)) {
      const waiting = queue.frames.shift();
      this.#held -= queue.begun;
      queue.begun = 0;
      if (!waiting) return undefined;
      queue.begun = waiting.size;
      queue.waiting -= waiting.size;
      queue.text = textOf(waiting.frame);
      queue.allowed = waiting.allowed;
      queue.next = 0;
    }
    if (queue.text === undefined) return { kind: "refused", refusal: NOT_UTF8 };
    return this.#read(queue.text.slice(queue.next, endOf(queue)), queue.allowed > 0);
  }

  /** Goes on to the line after the next one. */
  #advance(queue: Queue): void {
    const end = endOf(queue);
    queue.work += LINE + (end - queue.next) / CHARACTERS;
    queue.next = end + 1;
    queue.allowed -= 1;
  }

  #read(line: string, allowed: boolean): ClientLine {
    const { maxLineBytes, linesPerSecond } = this.#limits;
    if (line === "") return { kind: "empty" };
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

/** Where the next line of a frame ends. */
function endOf({ text = "", next }: Queue): number {
  const end = text.indexOf("\n", next);
  return end < 0 ? text.length : end;
}

/** Whether all lines of the frame have been taken out. */
function isOver({ text = "", next }: Queue): boolean {
  return next > text.length;
}

/** Bytes that a queue counts for. */
function heldBy({ waiting, begun }: Queue): number {
  return waiting + begun;
}
