/** All that is known of messages from outside: when they were announced, and which positions they have. */
import { Breach } from "./breach.ts";

export interface Announcement {
  channel: string;
  /** Whether it has a key, under which it may be announced again. */
  isKeyed: boolean;
  /** When it was sent to the server. */
  issued: number;
  /** When it was certainly in the order: the announcer's next ping was answered, and no error came; else undefined. */
  placed: () => number | undefined;
}

/** What a client knows of a channel in which it counts, over all its connections. */
export interface Counting {
  /** Of the newest message that it has. */
  position: number;
  /** When it asked for the position from which it counts, and when it got that. */
  asked: number;
  since: number;
  messages: Set<string>;
  /** When it was connected and subscribed last; undefined while it is. */
  left: number | undefined;
}

/** What the ledger has to know of the service. */
export interface Retention {
  /** For how long messages are retained, in milliseconds. */
  milliseconds: number;
  /** How many characters of a channel are, at least; infinite if that is more than any run announces. */
  characters: number;
  /** Whether messages may be forgotten for other reasons. */
  mayForget: boolean;
  /** Whether messages may get other numbers than the next ones, where storage refuses rows. */
  mayRenumber: boolean;
  /** How late a message may arrive that was announced while a client was subscribed, in milliseconds. */
  lateness: number;
}

export class Ledger {
  readonly #retention: Retention;
  readonly #now: () => number;
  /** By message. */
  readonly announced = new Map<string, Announcement>();
  /** Messages by their positions, and positions by their messages and keys. */
  readonly #found = new Map<string, { is: string | number; at: number }>();

  constructor(retention: Retention, now: () => number) {
    this.#retention = retention;
    this.#now = now;
  }

  /** A message is announced, for the first time. */
  announce(message: string, announcement: Announcement): void {
    this.announced.set(message, announcement);
  }

  /** A client has read a message that has a position, as it counts. */
  found(channel: string, position: number, message: string): void {
    this.#note(`${channel} ${position}`, message);
    this.#noteOfMessage(message, `${channel}:${message}`, position);
  }

  /** A client has been told the position of what was announced under a key; says whether that was known. */
  answeredOnce(key: string, position: number): boolean {
    const isKnown = this.#found.get(key)?.is === position;
    this.#noteOfMessage(key.slice(key.indexOf(":") + 1), key, position);
    return isKnown;
  }

  /** A message announced again after its key was forgotten has another position. */
  #noteOfMessage(message: string, what: string, position: number): void {
    if (this.mayRepeat(message)) this.#found.delete(what);
    this.#note(what, position);
  }

  #note(what: string, is: string | number): void {
    const known = this.#found.get(what) ?? { is, at: this.#now() };
    if (known.is !== is) throw new Breach(`${what} is ${known.is} and ${is}`);
    this.#found.set(what, known);
  }

  get #forgetsKeys(): boolean {
    const { mayForget, characters } = this.#retention;
    return mayForget || Number.isFinite(characters);
  }

  /** Checks a position that a client is told, which has counted; says whether it goes on from another one. */
  checkPosition(counted: number, told: number, what: string): boolean {
    if (counted === told) return false;
    if (told > counted && this.#retention.mayRenumber) return true;
    throw new Breach(`${what}, and is told ${told}`);
  }

  /** Whether a message may be read twice, because it was announced again. */
  mayRepeat(message: string): boolean {
    const { issued = 0, isKeyed = true } = this.announced.get(message) ?? {};
    if (!isKeyed || this.#forgetsKeys) return isKeyed;
    return this.#now() - issued >= this.#retention.milliseconds;
  }

  /** Whether a message may be announced again under its key, and is to be announced once: with time to spare. */
  isFresh({ issued, isKeyed }: Announcement): boolean {
    return isKeyed && !this.#forgetsKeys && this.#now() - issued < this.#retention.milliseconds / 4;
  }

  /**
   * Checks a gap that a client is told of: something is missing, or it has been away for too long.
   * @param counted what it knew when it was subscribed last
   */
  checkGap(channel: string, counted: Counting, gap: string): void {
    const { milliseconds, mayForget } = this.#retention;
    const now = this.#now();
    if (mayForget) return;
    const forgotten = now - milliseconds;
    if (counted.left !== undefined && counted.left <= forgotten) return;
    const unread = [...this.announced].filter(
      ([message, announcement]) =>
        announcement.channel === channel && isUnread(counted, message, announcement),
    );
    if (unread.some(([, { issued }]) => issued <= forgotten)) return;
    const characters = unread.reduce((sum, [message]) => sum + sizeOf(channel, message), 0);
    if (characters <= this.#retention.characters) throw new Breach(gap);
  }

  /** Checks a message that a client gets because it asked for missed ones at some time. */
  checkRetained(message: string, asked: number): void {
    const placed = this.announced.get(message)?.placed();
    if (placed === undefined) return;
    const age = asked - placed;
    if (age <= this.#retention.milliseconds + this.#retention.lateness) return;
    throw new Breach(`${message} was readable ${age} ms after it was announced`);
  }
}

/** Whether a client that counts may be missing a message: it has not read it, and that may come after its position. */
function isUnread({ messages, asked }: Counting, message: string, { placed }: Announcement): boolean {
  return !messages.has(message) && !((placed() ?? asked) < asked);
}

/** Characters that a message takes in storage: its line, and perhaps a key. */
function sizeOf(channel: string, message: string): number {
  return channel.length + message.length + 2 + (message.length + 20);
}
