/** Everything the clients know of messages: when they were announced, and their positions. */
import { Violation } from "./violation.ts";

export interface Announcement {
  channel: string;
  /** Whether it has a key, so that it may be announced again. */
  isKeyed: boolean;
  /** When it was sent to the server. */
  issued: number;
  /** When it was certainly in the order, because the publisher's next ping was answered without an error; else undefined. */
  placed: () => number | undefined;
  /** Whether a client has announced it again: if its key had expired by then, that was a new announcement. */
  isRepeated?: boolean;
}

/** What a client knows of a channel that it counts, over all its connections. */
export interface Counting {
  /** The position of the newest message it has received. */
  position: number;
  /** When it asked for the position where counting began, and when it got that. */
  asked: number;
  since: number;
  messages: Set<string>;
  /** When it was last connected and subscribed; undefined while it is. */
  left: number | undefined;
}

/** What the service retains, and what it may lose. */
export interface Retention {
  /** How long messages are retained, in milliseconds. */
  milliseconds: number;
  /** How many characters of a channel are retained at least; infinite if no run announces as many. */
  characters: number;
  /** Whether messages may be dropped for other reasons. */
  mayForget: boolean;
  /** Whether positions may skip numbers, because storage refuses rows. */
  mayRenumber: boolean;
  /** How late a message may come that was announced while a client was subscribed, in milliseconds. */
  lateness: number;
}

export class Ledger {
  readonly #retention: Retention;
  readonly #now: () => number;
  /** By message. */
  readonly announced = new Map<string, Announcement>();
  /** Messages by position, and positions by message and by key. */
  readonly #found = new Map<string, { is: string | number; at: number }>();

  constructor(retention: Retention, now: () => number) {
    this.#retention = retention;
    this.#now = now;
  }

  /** Records the first announcement of a message. */
  announce(message: string, announcement: Announcement): void {
    this.announced.set(message, announcement);
  }

  /** Records that a message is announced again under its key, which may take effect much later. */
  repeat(message: string): void {
    const announcement = this.announced.get(message);
    if (announcement) announcement.isRepeated = true;
  }

  /** Records the position of a message that a client received, by the client's count. */
  found(channel: string, position: number, message: string): void {
    this.#note(`${channel} ${position}`, message);
    this.#noteOfMessage(message, `${channel}:${message}`, position);
  }

  /** Records the position in the reply to a keyed announcement; returns whether that position was known. */
  answeredOnce(key: string, position: number): boolean {
    const isKnown = this.#found.get(key)?.is === position;
    this.#noteOfMessage(key.slice(key.indexOf(":") + 1), key, position);
    return isKnown;
  }

  /** A message announced again after its key expired has another position. */
  #noteOfMessage(message: string, what: string, position: number): void {
    if (this.mayRepeat(message)) this.#found.delete(what);
    this.#note(what, position);
  }

  #note(what: string, is: string | number): void {
    const known = this.#found.get(what) ?? { is, at: this.#now() };
    if (known.is !== is) throw new Violation(`${what} is both ${known.is} and ${is}`);
    this.#found.set(what, known);
  }

  get #forgetsKeys(): boolean {
    const { mayForget, characters } = this.#retention;
    return mayForget || Number.isFinite(characters);
  }

  /** Checks a position sent to a client against its count; returns whether numbers were skipped. */
  checkPosition(counted: number, reported: number, what: string): boolean {
    if (counted === reported) return false;
    if (reported > counted && this.#retention.mayRenumber) return true;
    throw new Violation(`${what}, but the server says ${reported}`);
  }

  /** Whether a message may come twice, because it may have been announced again. */
  mayRepeat(message: string): boolean {
    const { issued = 0, isKeyed = true } = this.announced.get(message) ?? {};
    if (!isKeyed || this.#forgetsKeys) return isKeyed;
    return this.#now() - issued >= this.#retention.milliseconds;
  }

  /** Whether a message's key is certainly still known, so that announcing it again must not repeat it. */
  isFresh({ issued, isKeyed }: Announcement): boolean {
    return isKeyed && !this.#forgetsKeys && this.#now() - issued < this.#retention.milliseconds / 4;
  }

  /**
   * Checks a gap reported to a client: a message must be missing, or the client must have been away for too long.
   * @param counted what the client knew when it was last subscribed
   */
  checkGap(channel: string, counted: Counting, gap: string): void {
    const { milliseconds, mayForget } = this.#retention;
    const now = this.#now();
    if (mayForget) return;
    const forgotten = now - milliseconds;
    if (counted.left !== undefined && counted.left <= forgotten) return;
    const unread = [...this.announced].filter(
      ([message, announcement]) => announcement.channel === channel && isUnread(counted, message, announcement),
    );
    if (unread.some(([, { issued }]) => issued <= forgotten)) return;
    const characters = unread.reduce((sum, [message]) => sum + sizeOf(channel, message), 0);
    if (characters <= this.#retention.characters) throw new Violation(gap);
  }

  /** Checks that a message sent to a resuming client had not expired when the client asked. */
  checkRetained(message: string, asked: number): void {
    const announcement = this.announced.get(message);
    const placed = announcement?.placed();
    if (placed === undefined || (announcement?.isRepeated && this.mayRepeat(message))) return;
    const age = asked - placed;
    if (age <= this.#retention.milliseconds + this.#retention.lateness) return;
    throw new Violation(`${message} was readable ${age} ms after it was announced`);
  }
}

/** Whether a client that counts may be missing a message: it has not received it, and it may lie after its position. */
function isUnread({ messages, asked }: Counting, message: string, { placed }: Announcement): boolean {
  return !messages.has(message) && !((placed() ?? asked) < asked);
}

/** Characters that a message takes in storage: its line, and possibly a key. */
function sizeOf(channel: string, message: string): number {
  return channel.length + message.length + 2 + (message.length + 20);
}
