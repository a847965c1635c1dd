/** One subscription of a simulated program, which checks whatever it gets. */
import type { Gap, Message, SubscribeOptions, Subscription } from "../../../src/client/types.ts";
import { Breach } from "./environment.ts";
import { FLEETING, type Server } from "./server.ts";

export class Reader {
  readonly name: string;
  readonly channel: string;
  readonly #server: Server;
  readonly #options: { since?: number; last?: number };
  /** The channel's newest position when it subscribed. */
  readonly #before: number;
  readonly #orderBefore: number;
  /** Of the newest message or gap; undefined before the first. */
  at: number | undefined;
  /** The same where nothing is retained: in the order of all messages. */
  #order = -1;
  #hasGap = false;
  subscription: Subscription | undefined;
  error: Error | undefined;
  isEnded = false;
  wasSubscribed = false;
  /** Whether it has a position, and nothing since then. */
  #isFresh = false;
  /** A position that may be that of a message, or of one that was lacking. */
  #skipped = -1;
  /** Whether messages are read by a loop. */
  #iterates = false;
  count = 0;
  gaps = 0;

  /** @param known the newest position that its client knew */
  constructor(
    name: string,
    channel: string,
    server: Server,
    options: { since?: number; last?: number },
    known: number | undefined,
  ) {
    this.name = name;
    this.channel = channel;
    this.#server = server;
    this.#options = options;
    const { head } = server.channel(channel);
    this.#before = Math.min(known ?? head, head);
    this.#orderBefore = server.places.size;
    this.at = options.since;
  }

  optionsFor(iterates: boolean): SubscribeOptions {
    this.#iterates = iterates;
    return {
      ...this.#options,
      onGap: (gap) => this.#miss(gap),
      onPosition: (position) => this.#reach(position),
      onState: (state, _, error) => {
        if (this.isEnded) throw new Breach(`${this.name} is ${state} after its end`);
        if (state === "subscribed") this.wasSubscribed = true;
        if (state !== "unsubscribed") return;
        this.isEnded = true;
        this.error = error;
      },
    };
  }

  /** Takes a message out of a buffer: it is in order, though more may have happened since. */
  hearLater({ text, position }: Message): void {
    const place = this.#server.places.get(text);
    if (!place || place.channel !== this.channel) throw this.#breach(`reads '${text}'`);
    if (this.channel !== FLEETING && position !== place.position)
      throw this.#breach(`reads '${text}' at ${position}`);
    if (place.order <= this.#read) throw this.#breach(`reads '${text}' again, or too late`);
    this.#read = place.order;
    this.count += 1;
  }

  /** Of the newest message that a loop has read: in the order of all messages. */
  #read = -1;

  hear({ text, position, channel }: Message) {
    const place = this.#server.places.get(text);
    if (!place || channel !== this.channel || place.channel !== channel) throw this.#breach(`gets '${text}'`);
    this.count += 1;
    if (channel === FLEETING) return this.#hearFleeting(place.order, position);
    if (position !== place.position)
      throw this.#breach(`gets '${text}' at ${position}, not ${place.position}`);
    // One message may have been lacking where it begins.
    const isSecond = this.#isFresh && position === this.#skipped + 1;
    if (position !== (this.at ?? Number.NaN) + 1 && !isSecond)
      throw this.#breach(`gets ${position} after ${this.at}`);
    this.at = position;
    this.#isFresh = false;
  }

  #hearFleeting(order: number, position: number | undefined): void {
    if (position !== undefined) throw this.#breach("gets a position where nothing is retained");
    const missed = [...this.#server.places.values()].some(
      (place) => place.channel === FLEETING && place.order > this.#order && place.order < order,
    );
    if (this.#order >= order) throw this.#breach("gets a message again, or too late");
    if (missed && this.#order >= 0 && !this.#hasGap) throw this.#breach("misses messages in silence");
    this.#order = order;
    this.#hasGap = false;
  }

  /** Positions advance with each message, and by gaps. The first one is where the subscription begins. */
  #reach(position: number): void {
    if (this.at !== undefined) {
      // Where a loop reads, positions are what tells of messages at once.
      if (this.#isFresh && position === this.#skipped + 1) return;
      if (position === this.at + 1 && !this.#iterates) this.#skipped = position;
      else if (position === this.at + 1) this.at = position;
      // Fewer messages may be retained than it wanted.
      else if (this.#isFresh && position > this.at) this.at = this.#begin(position);
      return;
    }
    this.at = this.#begin(position);
  }

  #begin(position: number): number {
    const { last } = this.#options;
    const { head, log } = this.#server.channel(this.channel);
    const begins = this.#before - (last ?? 0);
    const ends = last === undefined ? head : Math.max(head - last, head - log.length);
    if (position < begins || position > ends) {
      throw this.#breach(`begins at ${position}, not between ${begins} and ${ends}`);
    }
    this.#isFresh = last !== undefined;
    return position;
  }

  #miss({ from, to }: Gap): void {
    this.gaps += 1;
    this.#hasGap = true;
    if (this.channel === FLEETING) return;
    if (from !== this.at || to === undefined)
      throw this.#breach(`misses what is after ${from}, and is at ${this.at}`);
    const { head, log } = this.#server.channel(this.channel);
    if (from !== undefined && from >= head - log.length && from <= head && to > from) {
      throw this.#breach(
        `is told of a gap from ${from} to ${to}, which is retained after ${head - log.length}`,
      );
    }
    this.at = to;
    this.#isFresh = false;
  }

  /** Everything has come to rest: it has all that it should have. */
  check(): void {
    if (this.isEnded) return;
    if (!this.wasSubscribed || this.subscription?.state !== "subscribed")
      throw this.#breach("is not subscribed");
    if (this.channel === FLEETING) return;
    const { head } = this.#server.channel(this.channel);
    if (this.at !== head) throw this.#breach(`is at ${this.at}, and the channel at ${head}`);
    if (this.subscription.position !== head)
      throw this.#breach(`says that it is at ${this.subscription.position}`);
  }

  #breach(what: string): Breach {
    return new Breach(`${this.name} on ${this.channel} (from ${this.#orderBefore}) ${what}`);
  }
}
