/** One subscription of a program; checks everything that it receives. */
import type { Gap, Message, SubscribeOptions, Subscription } from "../../../src/client/types.ts";
import { Violation } from "../violation.ts";
import type { Truth } from "./truth.ts";

export class Reader {
  readonly name: string;
  readonly channel: string;
  readonly #truth: Truth;
  readonly #hasHistory: boolean;
  readonly #last: number;
  /** The newest position that it may start after, as known when it subscribed; less with `last`. */
  readonly #earliest: number;
  /** The position of the newest message or gap; undefined before the first. */
  at: number | undefined;
  /** Whether it has received nothing, so that its start may still move to what the server retains. */
  #isFresh = true;
  /** Messages received without positions, by publisher: the number of the newest. */
  readonly #numbers = new Map<string, number>();
  /** The newest position that a loop has read. */
  #read = 0;
  subscription: Subscription | undefined;
  error: Error | undefined;
  isEnded = false;
  isLoopOver = true;
  count = 0;

  /** @param known the newest position that its client knew */
  constructor(
    name: string,
    channel: string,
    truth: Truth,
    options: { since?: number; last?: number },
    { known, hasHistory }: { known: number | undefined; hasHistory: boolean },
  ) {
    this.name = name;
    this.channel = channel;
    this.#truth = truth;
    this.#hasHistory = hasHistory;
    this.#last = options.last ?? 0;
    const newest = truth.newest(channel);
    this.#earliest = Math.min(known ?? newest, newest);
    this.at = hasHistory ? options.since : undefined;
    if (this.at !== undefined) this.#isFresh = false;
  }

  /** @param iterates whether a loop reads the messages; their positions then show that they have come */
  callbacks(iterates: boolean): SubscribeOptions {
    return {
      onPosition: (position) => this.#advance(position),
      onGap: (gap) => this.#miss(gap),
      onState: (state, _, error) => {
        if (this.isEnded) throw this.#violation(`is ${state} after its end`);
        if (state !== "unsubscribed") return;
        this.isEnded = true;
        this.error = error;
      },
      ...(iterates ? {} : { onMessage: (message) => this.#receive(message) }),
    };
  }

  #receive(message: Message): void {
    this.read(message);
    if (!this.#hasHistory || message.position === undefined) return;
    // `onPosition` comes first.
    if (message.position !== this.at) throw this.#violation(`gets ${message.position}, but is at ${this.at}`);
  }

  /** Checks a message, which may come from a loop's buffer. */
  read({ channel, text, position }: Message): void {
    this.count += 1;
    const { publisher, number } = this.#truth.message(channel, text, this.name);
    if (channel !== this.channel) throw this.#violation(`gets '${text}' of ${channel}`);
    if (this.#hasHistory !== (position !== undefined)) throw this.#violation(`gets '${text}' at ${position}`);
    if (position === undefined) {
      if (number <= (this.#numbers.get(publisher) ?? -1)) throw this.#violation(`gets '${text}' again, or too late`);
      this.#numbers.set(publisher, number);
      return;
    }
    if (position <= this.#read) throw this.#violation(`reads ${position} after ${this.#read}`);
    this.#read = position;
    this.#truth.found(channel, position, text, this.name);
  }

  /** Handles a position: where it starts, or that of the next message. */
  #advance(position: number): void {
    if (!this.#hasHistory) throw this.#violation("has a position");
    const { at } = this;
    if (position === at) return;
    if (at === undefined) {
      const earliest = this.#earliest - this.#last;
      if (position < earliest) throw this.#violation(`starts at ${position}, not at ${earliest} or later`);
    } else if (position === at + 1) this.#isFresh = false;
    // The server may retain fewer messages than `last`.
    else if (!(this.#isFresh && this.#last > 0 && position > at)) {
      throw this.#violation(`is at ${position} after ${at}`);
    }
    this.at = position;
  }

  #miss({ from, to }: Gap): void {
    if (!this.#hasHistory) return;
    if (from === undefined || to === undefined || from !== this.at) {
      throw this.#violation(`has a gap from ${from} to ${to}, but is at ${this.at}`);
    }
    this.#truth.missed(this.name, this.channel, from, to);
    this.at = to;
    this.#isFresh = false;
  }

  /** Checks, when everything has settled, that it has everything. @param head the channel's newest position, if any */
  check(head: number | undefined): void {
    if (this.isEnded && !this.isLoopOver) throw this.#violation("has a loop that doesn't end");
    if (this.isEnded) {
      if (this.error) throw this.#violation(`failed: ${this.error.message}`);
      return;
    }
    const { state, position } = this.subscription ?? {};
    if (state !== "subscribed") throw this.#violation(`is ${state}`);
    if (!this.#hasHistory) return;
    if (this.at !== head) throw this.#violation(`is at ${this.at}, but the channel at ${head}`);
    if (position !== head) throw this.#violation(`reports ${position}, but the channel is at ${head}`);
  }

  #violation(what: string): Violation {
    return new Violation(`${this.name} of ${this.channel} ${what}`);
  }
}
