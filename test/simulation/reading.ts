/** What one client has read, over all its connections, and what it knows of positions: it counts. */
import { Breach } from "./breach.ts";
import type { Counting, Ledger } from "./ledger.ts";
import type { Rarity } from "./rarities.ts";

/** What a reader needs of its surroundings. */
interface Around {
  readonly now: number;
  readonly ledger: Ledger;
  /** Whether objects may have forgotten, in a crash, what they could not store. */
  readonly mayLose: boolean;
  meet(rarity: Rarity): void;
}

export class Reading {
  readonly #name: string;
  readonly #around: Around;
  /** Messages read on this connection, by channel. */
  readonly heard = new Map<string, string[]>();
  /** The channels in which it counts, and those in which it has stopped. */
  readonly counting = new Map<string, Counting>();
  readonly paused = new Map<string, Counting>();

  constructor(name: string, around: Around) {
    this.#name = name;
    this.#around = around;
  }

  /** Goes on after what an earlier connection has read. */
  comeBack({ paused, counting }: Reading): void {
    for (const [channel, counted] of [...paused, ...counting]) {
      this.paused.set(channel, { ...counted, messages: new Set(counted.messages) });
    }
  }

  /** The connection has ended: what was counted until then can be gone on with. */
  end(): void {
    for (const counted of this.counting.values()) counted.left ??= this.#around.now;
  }

  /** A subscription ends, at the command of this client; `left` is when that was sent. */
  pause(channel: string, left: number): void {
    const counted = this.counting.get(channel);
    if (!counted) return;
    counted.left = left;
    this.paused.set(channel, counted);
    this.counting.delete(channel);
  }

  /**
   * Reads a message.
   * @param asked when this client subscribed to the channel
   */
  hear(channel: string, message: string, asked: number): void {
    const heard = this.heard.get(channel) ?? [];
    this.heard.set(channel, heard);
    if (heard.includes(message) && !this.#around.ledger.mayRepeat(message)) {
      // A child of a tree that crashed, and went on from an old row, delivers again; then counts are off.
      if (!this.#around.mayLose) throw new Breach(`${this.#name} read ${message} twice`);
      this.counting.delete(channel);
      return;
    }
    this.#checkOrder(heard, message);
    this.#around.ledger.checkRetained(message, asked);
    heard.push(message);
    this.#count(channel, message);
  }

  /** What one connection announces on a channel keeps its order. */
  #checkOrder(heard: string[], message: string): void {
    const [author = "", number = ""] = message.split(".");
    const before = heard.findLast((other) => other.startsWith(`${author}.`));
    if (!before || Number(before.split(".")[1]) <= Number(number)) return;
    if (this.#around.ledger.mayRepeat(message)) return;
    throw new Breach(`${this.#name} read ${message} after ${before}`);
  }

  #count(channel: string, message: string): void {
    const counted = this.counting.get(channel);
    if (!counted) return;
    counted.position += 1;
    counted.messages.add(message);
    this.#around.ledger.found(channel, counted.position, message);
  }

  /**
   * A position holds where it comes: it is what has been counted, or where counting begins.
   * @param asked when this client asked for it
   * @param since the position from which on it asked for messages, if it did
   */
  locate(channel: string, position: number, asked: number, since: number | undefined): void {
    const counted =
      this.counting.get(channel) ?? (since === undefined ? undefined : this.paused.get(channel));
    this.paused.delete(channel);
    const began = { position, asked, since: this.#around.now, messages: new Set<string>(), left: undefined };
    this.counting.set(channel, counted ?? began);
    if (!counted) return;
    counted.left = undefined;
    const what = `${this.#name} is at ${counted.position} of ${channel}`;
    const isOther = this.#around.ledger.checkPosition(counted.position, position, what);
    this.#around.meet(isOther ? "new positions" : "a position told again");
    counted.position = position;
  }

  /** Some messages are not there any more: counting begins anew. */
  miss(channel: string, from: number, to: number): void {
    const counted = this.counting.get(channel) ?? this.paused.get(channel);
    this.counting.delete(channel);
    this.paused.delete(channel);
    this.#around.meet("a gap");
    if (!counted) return;
    const gap = `${this.#name} is told of a gap of ${channel}, from ${from} to ${to}`;
    this.#around.ledger.checkGap(channel, counted, gap);
  }
}
