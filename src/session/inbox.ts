/** Splits the frames of clients into commands, and executes the commands of each connection strictly in order. */
import { assert } from "../assert.ts";
import type { ClosingCause } from "../protocol/close-codes.ts";
import { type ClientLine, type Command, parseCommand, refuseLine } from "../protocol/commands.ts";
import type { ErrorCode, Refusal } from "../protocol/errors.ts";
import { countLines, type Frame, isTooBig, lengthOf, sizeOf, textOf } from "../protocol/frames.ts";
import { lineTooLong, tooManyLines } from "../protocol/refusals.ts";
import { formatMessage } from "../protocol/replies.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Limits } from "../runtime/limits.ts";
import type { Connection } from "./connection.ts";
import { take } from "./rate.ts";

type Once = Extract<Command, { kind: "once" }>;

/** A command, or consecutive announcements on one channel. */
export type Step =
  | Exclude<Command, { kind: "announce" | "once" }>
  /** `count` messages, as lines, which get consecutive positions. */
  | { kind: "announce"; channel: string; lines: string; count: number }
  | { kind: "once"; channel: string; messages: Pick<Once, "key" | "message">[] };

/** The failure of a command; the message is sent to the client. */
export class CommandError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string) {
    super(why);
    this.code = code;
  }
}

export interface CommandHandler {
  /**
   * Executes a step. The promise, if any, resolves when the step has taken effect everywhere.
   * @throws CommandError if the command fails
   */
  execute(connection: Connection, step: Step): Promise<unknown> | undefined;
  /** Returns after how many characters a step should get no more messages. */
  portionSize(channel: string): number;
  /** Sends a client an error reply. */
  refuse(connection: Connection, refusal: Refusal): void;
  /** Closes a connection that exceeds a limit. */
  close(connection: Connection, cause: ClosingCause, why: string): void;
  /**
   * Called between two steps of a connection.
   * @param work of the previous step, in microseconds or so
   * @param needsRoom whether the next step should wait until all published lines are sent
   * @returns a promise that resolves when the next step may run; undefined if that's now
   */
  pause(connection: Connection, work: number, needsRoom: boolean): Promise<void> | undefined;
}

const NOT_UTF8: Refusal = {
  code: "invalid",
  command: "frame",
  why: "a frame must be UTF-8; none of its lines were executed",
};

/** Most bytes of frames that an object holds for all its connections: an eighth of its 128 MB. */
const MAX_HELD = 16_000_000;

/** Most keyed announcements in one step, because each needs its own look-up and reply. */
const MAX_KEYED = 2_000;

/**
 * Bytes above which a frame may pause between its commands until its messages are sent. Smaller frames pause only at
 * their end; they can't pile up, as the next frame is received only then.
 */
const LARGE_FRAME = 1_000_000;

/** Memory of a frame besides its text, in bytes. */
const FRAME_OVERHEAD = 100;

/** Work per line and per asynchronous step, in microseconds or so; and how many characters cause one unit of work. */
const LINE_WORK = 1;
const ASYNC_WORK = 1_000;
const CHARACTERS_PER_WORK = 100;

export type InboxLimits = Pick<Limits, "maxLineBytes" | "maxBufferedBytes" | "linesPerSecond">;

interface PendingFrame {
  frame: Frame;
  /** How many of its lines may be executed; the rate limit refuses the others. */
  allowed: number;
  /** Bytes, with overhead. */
  size: number;
}

/** The frames of one connection, and how far they have been executed. */
class Queue {
  pending: PendingFrame[];
  pendingBytes: number;
  /** The current frame; undefined if it is not UTF-8. */
  text: string | undefined = "";
  /** Where its next line begins; its end or beyond after the last line. */
  next = 1;
  /** How many more of its lines may be executed. */
  allowed = 0;
  /** Size of the current frame. */
  currentBytes = 0;
  /** Work since the last pause. */
  work = 0;
  /** Whether the object itself delays the next step, which is not the client's fault. */
  isPaused = false;

  constructor(pending: PendingFrame[]) {
    this.pending = pending;
    this.pendingBytes = pending[0]?.size ?? 0;
  }

  push(frame: PendingFrame): undefined {
    this.pending.push(frame);
    this.pendingBytes += frame.size;
  }

  get heldBytes(): number {
    return this.pendingBytes + this.currentBytes;
  }

  /** The end of the next line. */
  get end(): number {
    const { text = "", next } = this;
    const end = text.indexOf("\n", next);
    return end < 0 ? text.length : end;
  }

  /** Whether no lines of the current frame are left. */
  get isOver(): boolean {
    return this.next >= (this.text?.length ?? 1);
  }
}

export class Inbox {
  readonly #handler: CommandHandler;
  readonly #limits: InboxLimits;
  readonly #now: () => number;
  /** Queues of the connections that are executing commands. */
  readonly #queues = new Map<Connection, Queue>();
  /** Bytes of pending and current frames, of all connections. */
  #heldBytes = 0;

  constructor(handler: CommandHandler, limits: InboxLimits, now: () => number) {
    this.#handler = handler;
    this.#limits = limits;
    this.#now = now;
  }

  /**
   * Receives a frame.
   * @returns a promise that resolves when its commands have been executed; undefined if they are queued behind earlier
   * ones, or the connection had to be closed
   */
  receive(connection: Connection, frame: Frame): Promise<void> | undefined {
    const allowed = this.#allowedLines(connection, frame);
    if (allowed === undefined) return undefined;
    const queue = this.#queues.get(connection);
    const size = (queue ? sizeOf(frame) : lengthOf(frame)) + FRAME_OVERHEAD;
    if (queue && !queue.isPaused && queue.pendingBytes + size > this.#limits.maxBufferedBytes) {
      this.#closeTooMany(connection);
      return undefined;
    }
    const pending = { frame, allowed, size };
    this.#heldBytes += size;
    const done = queue ? queue.push(pending) : this.begin(connection, undefined, [pending]);
    while (this.#heldBytes > MAX_HELD) this.#closeTooMany(this.#largest());
    return done;
  }

  /** The connection with the most held bytes. */
  #largest(): Connection {
    const [first, ...others] = this.#queues;
    assert(first !== undefined, "held bytes belong to a queue");
    return others.reduce((largest, other) => (other[1].heldBytes > largest[1].heldBytes ? other : largest), first)[0];
  }

  #closeTooMany(connection: Connection): void {
    this.#discard(this.#queues.get(connection));
    this.#handler.close(connection, "waiting", "too many commands are pending");
  }

  /** Discards the pending frames of a queue, and the rest of the current one. */
  #discard(queue: Queue | undefined): void {
    if (!queue) return;
    this.#heldBytes -= queue.heldBytes;
    queue.pending = [];
    queue.text = "";
    queue.next = 1;
    queue.pendingBytes = queue.currentBytes = 0;
  }

  /** Returns how many lines of a frame may be executed; undefined if the connection had to be closed. */
  #allowedLines(connection: Connection, frame: Frame): number | undefined {
    const { maxBufferedBytes, linesPerSecond } = this.#limits;
    if (isTooBig(frame, maxBufferedBytes)) {
      this.#handler.close(connection, "frame", `a frame has at most ${maxBufferedBytes} bytes`);
      return undefined;
    }
    const lines = countLines(frame);
    const now = this.#now();
    const allowed = take(connection.lineRate, lines, linesPerSecond, now);
    const tooMany = lines - allowed;
    if (take(connection.excessRate, tooMany, linesPerSecond, now) === tooMany) return allowed;
    this.#handler.close(connection, "rate", `far more than ${linesPerSecond} lines per second`);
    return undefined;
  }

  /** Waits for `ready`, then executes the pending frames of `connection` and those that arrive during that. */
  async begin(connection: Connection, ready: Promise<void> | undefined, pending: PendingFrame[] = []): Promise<void> {
    const queue = new Queue(pending);
    this.#queues.set(connection, queue);
    try {
      if (ready) await ready;
      for (let line = this.#take(queue); line && !connection.closed; line = this.#take(queue)) {
        const done = this.#execute(connection, line, queue);
        if (done) {
          await done;
          queue.work += ASYNC_WORK;
        }
        const needsRoom = queue.currentBytes > LARGE_FRAME || queue.isOver;
        const pause = this.#handler.pause(connection, queue.work, needsRoom);
        queue.work = 0;
        queue.isPaused = pause !== undefined;
        if (pause) await pause;
        queue.isPaused = false;
      }
    } finally {
      this.#discard(queue);
      this.#queues.delete(connection);
    }
  }

  #execute(connection: Connection, line: ClientLine, queue: Queue): Promise<unknown> | undefined {
    if (line.kind === "refused") this.#handler.refuse(connection, line.refusal);
    if (line.kind === "refused" || line.kind === "empty") return undefined;
    const step = this.#stepFrom(line, queue);
    const refuse = (error: unknown) => this.#refuse(connection, step, error);
    try {
      return this.#handler.execute(connection, step)?.catch(refuse);
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
      this.#handler.refuse(connection, { code, command: step.kind, argument, why });
    }
  }

  #stepFrom(line: Command, queue: Queue): Step {
    if (line.kind === "announce") return this.#combine(line.channel, line.message, queue);
    return line.kind === "once" ? this.#combineKeyed(line, queue) : line;
  }

  /** Combines consecutive announcements on one channel, up to the size of a step. */
  #combine(channel: string, message: string, queue: Queue): Step {
    let lines = formatMessage(channel, message);
    let count = 1;
    const most = this.#handler.portionSize(channel);
    while (lines.length < most) {
      const next = this.#peek(queue);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      this.#advance(queue);
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return { kind: "announce", channel, lines, count };
  }

  /** The same for keyed announcements. */
  #combineKeyed(first: Once, queue: Queue): Step {
    const { channel } = first;
    const messages = [first];
    const most = this.#handler.portionSize(channel);
    for (let length = 0; length < most && messages.length < MAX_KEYED; ) {
      const next = this.#peek(queue);
      if (next?.kind !== "once" || next.channel !== channel) break;
      this.#advance(queue);
      messages.push(next);
      length += next.message.length;
    }
    return { kind: "once", channel, messages };
  }

  /** Removes and returns the next line; undefined if none is pending. */
  #take(queue: Queue): ClientLine | undefined {
    const line = this.#peek(queue);
    if (line) this.#advance(queue);
    return line;
  }

  #peek(queue: Queue): ClientLine | undefined {
    while (queue.isOver) {
      const pending = queue.pending.shift();
      this.#heldBytes -= queue.currentBytes;
      queue.currentBytes = 0;
      if (!pending) return undefined;
      queue.currentBytes = pending.size;
      queue.pendingBytes -= pending.size;
      queue.text = textOf(pending.frame);
      queue.allowed = pending.allowed;
      queue.next = 0;
    }
    if (queue.text === undefined) return { kind: "refused", refusal: NOT_UTF8 };
    return this.#read(queue.text.slice(queue.next, queue.end), queue.allowed > 0);
  }

  /** Removes the next line. */
  #advance(queue: Queue): void {
    const end = queue.end;
    queue.work += LINE_WORK + (end - queue.next) / CHARACTERS_PER_WORK;
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

/** Returns the channel or key of each command of a step; undefined for a command without either. */
function argumentsOf(step: Step): (string | undefined)[] {
  if (step.kind === "once") return step.messages.map(({ key }) => key);
  if (step.kind === "announce") return Array.from({ length: step.count }, () => step.channel);
  return ["channel" in step ? step.channel : undefined];
}
