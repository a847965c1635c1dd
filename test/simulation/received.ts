/** The messages that one client has received over all its connections, and the positions it has counted to. */

import type { CoverageGoal } from "./coverage.ts";
import type { Histories } from "./histories.ts";
import type { Counting, Ledger } from "./ledger.ts";
import { Violation } from "./violation.ts";

/** The service, as the record sees it. */
interface Service {
  readonly now: number;
  readonly ledger: Ledger;
  readonly histories: Histories;
  /** Whether objects may have lost, in a crash, what they could not store. */
  mayLose(channel: string): boolean;
  cover(goal: CoverageGoal): void;
}

export class Received {
  readonly #name: string;
  readonly #service: Service;
  /** Messages received on this connection, by channel. */
  readonly messages = new Map<string, string[]>();
  /** The channels that are being counted, and those where counting has stopped. */
  readonly counting = new Map<string, Counting>();
  readonly paused = new Map<string, Counting>();

  constructor(name: string, service: Service) {
    this.#name = name;
    this.#service = service;
  }

  /** Continues from what an earlier connection received. */
  reconnect({ paused, counting }: Received): void {
    for (const [channel, counted] of [...paused, ...counting]) {
      this.paused.set(channel, { ...counted, messages: new Set(counted.messages) });
    }
  }

  /** Ends the connection; the client can resume from the counted positions. */
  end(): void {
    for (const counted of this.counting.values()) counted.left ??= this.#service.now;
  }

  /** Stops counting a channel after an `unsubscribe`, which was sent at `left`. */
  pause(channel: string, left: number): void {
    const counted = this.counting.get(channel);
    if (!counted) return;
    counted.left = left;
    this.paused.set(channel, counted);
    this.counting.delete(channel);
  }

  /**
   * Records a message.
   * @param asked when this client subscribed to the channel
   */
  message(channel: string, message: string, asked: number): void {
    const messages = this.messages.get(channel) ?? [];
    this.messages.set(channel, messages);
    if (messages.includes(message) && !this.#service.ledger.mayRepeat(message)) {
      // A child that crashed and resumed from an old row delivers again, which spoils the count.
      if (!this.#service.mayLose(channel)) throw new Violation(`${this.#name} read ${message} twice`);
      this.counting.delete(channel);
      return;
    }
    this.#checkOrder(messages, message);
    this.#service.ledger.checkRetained(message, asked);
    messages.push(message);
    this.#count(channel, message);
  }

  /** Checks that the messages of one connection on a channel arrive in order. */
  #checkOrder(messages: string[], message: string): void {
    const [author = "", number = ""] = message.split(".");
    const before = messages.findLast((other) => other.startsWith(`${author}.`));
    if (!before || Number(before.split(".")[1]) <= Number(number)) return;
    if (this.#service.ledger.mayRepeat(message)) return;
    throw new Violation(`${this.#name} read ${message} after ${before}`);
  }

  #count(channel: string, message: string): void {
    const counted = this.counting.get(channel);
    if (!counted) return;
    counted.position += 1;
    counted.messages.add(message);
    this.#service.ledger.found(channel, counted.position, message);
    this.#service.histories.checkStored(channel, counted.position, message);
  }

  /**
   * Records a position, which must equal the counted one, or starts counting.
   * @param since the position that it asked to resume from, if any
   */
  position(channel: string, position: number, since: number | undefined): void {
    const counted = this.counting.get(channel) ?? (since === undefined ? undefined : this.paused.get(channel));
    this.paused.delete(channel);
    const began = { position, since: this.#service.now, messages: new Set<string>(), left: undefined };
    this.counting.set(channel, counted ?? began);
    if (!counted) return;
    counted.left = undefined;
    const what = `${this.#name} is at ${counted.position} of ${channel}`;
    const isOther = this.#service.ledger.checkPosition(counted.position, position, what);
    this.#service.cover(isOther ? "positions skipped" : "a position confirmed");
    counted.position = position;
  }

  /** Records a gap, after which counting goes on. */
  gap(channel: string, to: number): void {
    const counted = this.counting.get(channel) ?? this.paused.get(channel);
    this.#service.cover("a gap");
    if (!counted) return;
    counted.position = to;
    counted.since = this.#service.now;
  }
}
