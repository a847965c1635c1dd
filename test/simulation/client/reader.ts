/** One subscription of the simulated program; checks everything it receives. */
import type { Gap, Message, SubscribeOptions, Subscription } from "../../../src/client/types.ts";
import { Breach } from "./environment.ts";
import { FLEETING, type Server } from "./server.ts";

export class Reader {
  readonly name: string;
  readonly channel: string;
  readonly #server: Server;
  readonly #options: { since?: number; last?: number };
  /** The channel's newest position at the time of subscribing. */
  readonly #before: number;
  readonly #orderBefore: number;
  /** The position after the newest message or gap; undefined before the first. */
  at: number | undefined;
  /** The same for channels without history, in the server's global order. */
  #order = -1;
  #hasGap = false;
  subscription: Subscription | undefined;
  error: Error | undefined;
  isEnded = false;
  wasSubscribed = false;
  /** Whether it has a starting position, but no messages yet. */
  #isFresh = false;
  /** A position that was either a message's, or that of one missing at the start. */
  #skipped = -1;
  /** Whether a loop reads the messages. */
  #iterates = false;
  count = 0;
  gaps = 0;

  /** @param known the newest position known to the client */
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
    this.#orderBefore = server.announced.size;
    this.at = options.since;
  }

  optionsFor(iterates: boolean): SubscribeOptions {
    this.#iterates = iterates;
    return {
      ...this.#options,
      onGap: (gap) => this.#gap(gap),
      onPosition: (position) => this.#advance(position),
      onState: (state, _, error) => {
        if (this.isEnded) throw new Breach(`${this.name} is ${state} after its end`);
        if (state === "subscribed") this.wasSubscribed = true;
        if (state !== "unsubscribed") return;
        this.isEnded = true;
        this.error = error;
      },
    };
  }

  /** Handles a message read from a buffer: it must be in order, though later events may have been reported. */
  readBuffered({ text, position }: Message): void {
    const announced = this.#server.announced.get(text);
    if (!announced || announced.channel !== this.channel) throw this.#breach(`reads '${text}'`);
    if (this.channel !== FLEETING && position !== announced.position)
      throw this.#breach(`reads '${text}' at ${position}`);
    if (announced.order <= this.#lastRead) throw this.#breach(`reads '${text}' again, or out of order`);
    this.#lastRead = announced.order;
    this.count += 1;
  }

  /** The newest message read by a loop, in the server's global order. */
  #lastRead = -1;

  receive({ text, position, channel }: Message) {
    const announced = this.#server.announced.get(text);
    if (!announced || channel !== this.channel || announced.channel !== channel) throw this.#breach(`gets '${text}'`);
    this.count += 1;
    if (channel === FLEETING) return this.#receiveFleeting(announced.order, position);
    if (position !== announced.position) throw this.#breach(`gets '${text}' at ${position}, not ${announced.position}`);
    // One message may have been missing at the start.
    const isSecond = this.#isFresh && position === this.#skipped + 1;
    if (position !== (this.at ?? Number.NaN) + 1 && !isSecond) throw this.#breach(`gets ${position} after ${this.at}`);
    this.at = position;
    this.#isFresh = false;
  }

  #receiveFleeting(order: number, position: number | undefined): void {
    if (position !== undefined) throw this.#breach("gets a position on a channel without history");
    const wasMissed = [...this.#server.announced.values()].some(
      (announced) => announced.channel === FLEETING && announced.order > this.#order && announced.order < order,
    );
    if (this.#order >= order) throw this.#breach("gets a message again, or out of order");
    if (wasMissed && this.#order >= 0 && !this.#hasGap) throw this.#breach("misses messages without a gap");
    this.#order = order;
    this.#hasGap = false;
  }

  /** Handles a position: the start, or the next after a message or gap. */
  #advance(position: number): void {
    if (this.at !== undefined) {
      // With a loop, positions are the immediate signs of messages.
      if (this.#isFresh && position === this.#skipped + 1) return;
      if (position === this.at + 1 && !this.#iterates) this.#skipped = position;
      else if (position === this.at + 1) this.at = position;
      // The server may retain fewer messages than requested.
      else if (this.#isFresh && position > this.at) this.at = this.#start(position);
      return;
    }
    this.at = this.#start(position);
  }

  #start(position: number): number {
    const { last } = this.#options;
    const { head, log } = this.#server.channel(this.channel);
    const earliest = this.#before - (last ?? 0);
    const latest = last === undefined ? head : Math.max(head - last, head - log.length);
    if (position < earliest || position > latest) {
      throw this.#breach(`starts at ${position}, not between ${earliest} and ${latest}`);
    }
    this.#isFresh = last !== undefined;
    return position;
  }

  #gap({ from, to }: Gap): void {
    this.gaps += 1;
    this.#hasGap = true;
    if (this.channel === FLEETING) return;
    if (from !== this.at || to === undefined) throw this.#breach(`has a gap after ${from}, but is at ${this.at}`);
    const { head, log } = this.#server.channel(this.channel);
    if (from !== undefined && from >= head - log.length && from <= head && to > from) {
      throw this.#breach(`gets a gap from ${from} to ${to}, though messages are retained after ${head - log.length}`);
    }
    this.at = to;
    this.#isFresh = false;
  }

  /** Checks, when everything has settled, that it has everything. */
  check(): void {
    if (this.isEnded) return;
    if (!this.wasSubscribed || this.subscription?.state !== "subscribed") throw this.#breach("is not subscribed");
    if (this.channel === FLEETING) return;
    const { head } = this.#server.channel(this.channel);
    if (this.at !== head) throw this.#breach(`is at ${this.at}, and the channel at ${head}`);
    if (this.subscription.position !== head) throw this.#breach(`reports position ${this.subscription.position}`);
  }

  #breach(what: string): Breach {
    return new Breach(`${this.name} on ${this.channel} (from ${this.#orderBefore}) ${what}`);
  }
}
