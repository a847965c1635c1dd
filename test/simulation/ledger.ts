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
  /** When counting began, or went on after a gap. */
  since: number;
  messages: Set<string>;
  /** When it was last connected and subscribed; undefined while it is. */
  left: number | undefined;
}

/** What the service retains, and what it may lose. */
export interface Retention {
  /** How long messages are retained, in milliseconds. */
  milliseconds: number;
  /** Whether messages and their keys may be dropped for other reasons. */
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

  /** Checks a position sent to a client against its count; returns whether numbers were skipped. */
  checkPosition(counted: number, reported: number, what: string): boolean {
    if (counted === reported) return false;
    if (reported > counted && this.#retention.mayRenumber) return true;
    throw new Violation(`${what}, but the server says ${reported}`);
  }

  /** Whether a message may come twice, because it may have been announced again. */
  mayRepeat(message: string): boolean {
    const { issued = 0, isKeyed = true } = this.announced.get(message) ?? {};
    if (!isKeyed || this.#retention.mayForget) return isKeyed;
    return this.#now() - issued >= this.#retention.milliseconds;
  }

  /** Whether a message's key is certainly still known, so that announcing it again must not repeat it. */
  isFresh({ issued, isKeyed }: Announcement): boolean {
    return isKeyed && !this.#retention.mayForget && this.#now() - issued < this.#retention.milliseconds / 4;
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
