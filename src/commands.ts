/** What clients' commands do; those of one connection strictly one after another. */
import { take } from "./bucket.ts";
import { type Connection, POLICY, TOO_BIG } from "./connections.ts";
import { countLines, type Data, isTooBig, linesOf, sizeOf } from "./frame.ts";
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
  announce(connection: Connection, channel: string, lines: string, count: number): Promise<void> | undefined;
  /** Has a new token take the place of the one that a connection came with. */
  renew(connection: Connection, token: string): Promise<void>;
  info(): Promise<string>;
  pinged(): void;
  tell(connection: Connection, line: string): void;
  /** Closes a connection that broke a limit, with a WebSocket close code. */
  refuse(connection: Connection, code: number, reason: string): void;
  now(): number;
}

/** A command that cannot be carried out; the message says why, for the client to read. */
export class Refusal extends Error {}

interface Frame {
  data: Data;
  /** How many of its lines, from the first, are to be carried out. The others are too many. */
  allowed: number;
  /** Bytes that it counts for while it waits. */
  size: number;
}

/** Frames of one connection that wait, and where in them it is. */
interface Inbox {
  /** The frames not yet begun. */
  frames: Frame[];
  /** Their size together. */
  waiting: number;
  /** The lines of the frame that is being carried out; undefined if it was not UTF-8. */
  lines: (string | undefined)[];
  allowed: number;
  next: number;
}

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
  receive(connection: Connection, data: Data): Promise<void> | undefined {
    const allowed = this.#allowed(connection, data);
    if (allowed === undefined) return undefined;
    const inbox = this.#inboxes.get(connection);
    if (!inbox) return this.#run(connection, undefined, [{ data, allowed, size: 0 }]);
    const size = sizeOf(data);
    inbox.waiting += size;
    if (inbox.waiting > this.#settings.maxBufferedBytes) {
      this.#service.refuse(connection, POLICY, "too many commands are waiting to be carried out");
    } else inbox.frames.push({ data, allowed, size });
    return undefined;
  }

  /** How many lines of a frame are to be carried out; undefined if the connection had to be closed. */
  #allowed(connection: Connection, data: Data): number | undefined {
    const { maxBufferedBytes, linesPerSecond } = this.#settings;
    if (isTooBig(data, maxBufferedBytes)) {
      this.#service.refuse(connection, TOO_BIG, `a frame has at most ${maxBufferedBytes} bytes`);
      return undefined;
    }
    const lines = countLines(data);
    const now = this.#service.now();
    const allowed = take(connection.lines, lines, linesPerSecond, now);
    const tooMany = lines - allowed;
    if (take(connection.refusals, tooMany, linesPerSecond, now) === tooMany) return allowed;
    this.#service.refuse(connection, POLICY, `far more than ${linesPerSecond} lines a second`);
    return undefined;
  }

  async #run(connection: Connection, begun: Promise<void> | undefined, frames: Frame[] = []): Promise<void> {
    const inbox: Inbox = { frames, waiting: 0, lines: [], allowed: 0, next: 0 };
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
      if (!frame) return undefined;
      inbox.waiting -= frame.size;
      inbox.lines = linesOf(frame.data);
      inbox.allowed = frame.allowed;
      inbox.next = 0;
    }
    return this.#read(inbox.lines[inbox.next], inbox.next < inbox.allowed);
  }

  #read(line: string | undefined, allowed: boolean): Command {
    const { maxLineBytes, linesPerSecond } = this.#settings;
    if (line === "") return { kind: "nothing" };
    if (!allowed) return refused(`more than ${linesPerSecond} lines a second; this one was ignored`);
    if (line === undefined) return refused("a frame was not UTF-8; nothing in it was carried out");
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
        return this.#announce(connection, command.channel, command.message, inbox);
      case "token":
        return service.renew(connection, command.token);
    }
  }

  /** Announcements in a row on one channel are one step: they get neighbouring places. */
  #announce(
    connection: Connection,
    channel: string,
    message: string,
    inbox: Inbox,
  ): Promise<void> | undefined {
    let lines = formatMessage(channel, message);
    let count = 1;
    for (;;) {
      const next = this.#peek(inbox);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      inbox.next += 1;
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return this.#service.announce(connection, channel, lines, count);
  }
}
