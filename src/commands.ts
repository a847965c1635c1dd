/** What clients' commands do; those of one connection strictly one after another. */
import type { Connection } from "./connections.ts";
import {
  type Command,
  formatError,
  formatMessage,
  formatTime,
  isLongerThan,
  parseCommand,
  refused,
} from "./protocol.ts";
import type { Settings } from "./settings.ts";

/** What the object does for a command. A promise ends when the command has taken effect everywhere. */
export interface Service {
  subscribe(connection: Connection, channel: string): Promise<void> | undefined;
  unsubscribe(connection: Connection, channel: string): void;
  /** Announces `count` messages, formatted as lines, next to each other. */
  announce(channel: string, lines: string, count: number): Promise<void> | undefined;
  info(): Promise<string>;
  pinged(): void;
  tell(connection: Connection, line: string): void;
  /** Closes a connection that sends commands faster than they can be carried out. */
  refuse(connection: Connection, reason: string): void;
  now(): number;
}

/** A command that cannot be carried out; the message says why, for the client to read. */
export class Refusal extends Error {}

type Frame = string | ArrayBuffer;

/** Frames of one connection that wait, and where in them it is. */
interface Inbox {
  /** The frames not yet begun. */
  frames: Frame[];
  /** The lines of the frame that is being carried out; undefined if it was not UTF-8. */
  lines: (string | undefined)[];
  next: number;
  /** Size of the frames not yet begun. */
  waiting: number;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Commands {
  readonly #service: Service;
  readonly #settings: Settings;
  /** Only connections whose commands are being carried out are here. */
  readonly #inboxes = new Map<Connection, Inbox>();

  constructor(service: Service, settings: Settings) {
    this.#service = service;
    this.#settings = settings;
  }

  /** Has everything that `connection` sends wait until `begun` has ended. */
  begin(connection: Connection, begun: Promise<void>): Promise<void> {
    return this.#run(connection, begun);
  }

  /** Takes a frame. Ends when its commands have been carried out, or they wait behind earlier ones. */
  receive(connection: Connection, frame: Frame): Promise<void> | undefined {
    const inbox = this.#inboxes.get(connection);
    if (!inbox) return this.#run(connection, undefined, frame);
    inbox.waiting += sizeOf(frame);
    if (inbox.waiting > this.#settings.maxBufferedBytes) {
      this.#service.refuse(connection, "too many commands are waiting to be carried out");
    } else inbox.frames.push(frame);
    return undefined;
  }

  async #run(connection: Connection, begun: Promise<void> | undefined, frame: Frame = ""): Promise<void> {
    const inbox: Inbox = { frames: [frame], lines: [], next: 0, waiting: sizeOf(frame) };
    this.#inboxes.set(connection, inbox);
    try {
      if (begun) await begun;
      for (let command = this.#take(inbox); command && !connection.closed; command = this.#take(inbox)) {
        try {
          const done = this.#carryOut(connection, command, inbox);
          if (done) await done;
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          this.#service.tell(connection, formatError(error.message));
        }
      }
    } finally {
      this.#inboxes.delete(connection);
    }
  }

  /** The next command, taken out; undefined when none waits. */
  #take(inbox: Inbox): Command | undefined {
    const command = this.#peek(inbox);
    inbox.next += 1;
    return command;
  }

  #peek(inbox: Inbox): Command | undefined {
    while (inbox.next >= inbox.lines.length) {
      const frame = inbox.frames.shift();
      if (frame === undefined) return undefined;
      inbox.waiting -= sizeOf(frame);
      inbox.lines = linesOf(frame);
      inbox.next = 0;
    }
    const line = inbox.lines[inbox.next];
    if (line === undefined) return refused("a frame was not UTF-8; nothing in it was carried out");
    const { maxLineBytes } = this.#settings;
    if (!isLongerThan(line, maxLineBytes)) return parseCommand(line);
    return refused(`a line has at most ${maxLineBytes} bytes; a longer one was ignored`);
  }

  #carryOut(connection: Connection, command: Command, inbox: Inbox): Promise<void> | undefined {
    const service = this.#service;
    switch (command.kind) {
      case "nothing":
        return undefined;
      case "refused":
        throw new Refusal(command.why);
      case "ping":
        service.pinged();
        service.tell(connection, formatTime(service.now()));
        return undefined;
      case "info":
        return service.info().then((lines) => service.tell(connection, lines));
      case "subscribe":
        return service.subscribe(connection, command.channel);
      case "unsubscribe":
        service.unsubscribe(connection, command.channel);
        return undefined;
      case "announce":
        return this.#announce(command.channel, command.message, inbox);
    }
  }

  /** Announcements in a row on one channel are one step: they get neighbouring places. */
  #announce(channel: string, message: string, inbox: Inbox): Promise<void> | undefined {
    let lines = formatMessage(channel, message);
    let count = 1;
    for (;;) {
      const next = this.#peek(inbox);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      inbox.next += 1;
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return this.#service.announce(channel, lines, count);
  }
}

/** What a waiting frame counts for, in characters or bytes, so that empty ones count too. */
function sizeOf(frame: Frame): number {
  return 1 + (typeof frame === "string" ? frame.length : frame.byteLength);
}

/** The lines of a frame; a single undefined one if it is not UTF-8. */
function linesOf(frame: Frame): (string | undefined)[] {
  if (typeof frame === "string") return frame.split("\n");
  try {
    return decoder.decode(frame).split("\n");
  } catch {
    return [undefined];
  }
}
