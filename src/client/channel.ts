/**
 * Where a client is in one channel. The server sends a channel once, from one position on; each member (a subscription
 * of the program) has a position of its own, and skips what it has. So a member that wants earlier messages has the
 * channel sent again from there on, and the others get nothing twice.
 */
import { isTemporary } from "../protocol/errors.ts";
import { type From, NOW } from "./address.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { after } from "./timing.ts";
import type { Outcome, Transport } from "./transport.ts";

/** A subscription, as its channel sees it. */
export interface Member {
  /** Of the newest message that it has; undefined before it is known, and where nothing is retained. */
  readonly position: number | undefined;
  /** How many of the newest messages it wants first, where it has no position. */
  readonly last: number;
  /** Whether it has nothing yet that it could miss messages after. */
  isFresh: boolean;
  hear(text: string, position: number | undefined): void;
  miss(from: number | undefined, to: number | undefined): void;
  locate(position: number | undefined): void;
  become(state: "subscribing" | "subscribed"): void;
  end(error: Error | undefined): void;
}

export class Channel {
  readonly name: string;
  readonly members = new Set<Member>();
  readonly #environment: Environment;
  /**
   * `offline`: without a connection. `asked`: the server has yet to say from where on it sends. `held`: it refused that
   * for the moment. `live`: messages are for the members.
   */
  #state: "offline" | "asked" | "held" | "live" = "offline";
  #link: Transport | undefined;
  /** What the server was asked for last. */
  #asked: From = NOW;
  /** Whether a member without a position has been added since: the channel's end may have been another one then. */
  #isOutdated = true;
  /** The position of the stream; undefined unless it is live, and where nothing is retained. */
  #cursor: number | undefined;
  #failures = 0;

  constructor(environment: Environment, name: string) {
    this.#environment = environment;
    this.name = name;
  }

  /** Whether the members get messages, as soon as there are any. */
  get isLive(): boolean {
    return this.#state === "live";
  }

  get #positions(): number[] {
    return [...this.members].flatMap(({ position }) => position ?? []);
  }

  /** The newest position that a member has. */
  get position(): number | undefined {
    const newest = Math.max(this.#cursor ?? -1, ...this.#positions);
    return newest < 0 ? undefined : newest;
  }

  /** From where on the server should send the channel. Where wishes differ, the channel's end has to be found out first. */
  get #wanted(): From {
    const wishes = new Set([...this.members].map(wishOf));
    const [wish = NOW] = wishes;
    return wishes.size > 1 ? NOW : wish;
  }

  /** Returns what the server is to be asked for; whatever it replies is for all members so far. */
  ask(): From {
    this.#isOutdated = false;
    this.#asked = this.#wanted;
    return this.#asked;
  }

  add(member: Member): void {
    const end = this.position;
    this.members.add(member);
    this.#isOutdated ||= member.position === undefined;
    if (this.#state === "live") this.#join(member, end);
    else if (this.#state === "asked") this.#askAnew();
  }

  /** Takes out a member; returns whether it was the last one. */
  remove(member: Member): boolean {
    if (!this.members.delete(member) || this.members.size > 0) return false;
    this.end();
    return true;
  }

  /** There is a connection, which has been asked for what `ask` returned if `isAsked`. */
  begin(link: Transport, isAsked: boolean): void {
    this.#link = link;
    this.#state = "asked";
    if (isAsked) this.#askAnew();
    else this.#ask();
  }

  /** The connection has ended. */
  end(): void {
    this.#state = "offline";
    this.#cursor = undefined;
    for (const member of this.members) member.become("subscribing");
  }

  /** Asks again if what is pending doesn't suit all members. */
  #askAnew(): void {
    if (this.#isOutdated || (this.#asked !== NOW && this.#asked !== this.#wanted)) this.#ask();
  }

  #ask(from = this.ask()): void {
    this.#state = "asked";
    this.#cursor = undefined;
    this.#asked = from;
    this.#link?.subscribe(this.name, from);
  }

  /**
   * A member joins a channel that is live: often it can join the stream as it is.
   * @param end the channel's; the stream may be behind it
   */
  #join(member: Member, end: number | undefined): void {
    if (member.position === undefined || end === undefined) locate(member, end, true);
    const { position = 0 } = member;
    if (position > (end ?? 0)) this.#ask(NOW);
    else if (position < (this.#cursor ?? 0)) this.#ask(`since ${position}`);
    else live(member);
  }

  // --- what the server says

  /** The stream goes on after a position, or is refused. */
  located(outcome: Outcome): void {
    if (this.#state === "offline") return;
    if (!(outcome instanceof Refused)) this.#goOn(outcome);
    else if (outcome.code === "no-history") this.#goOn(undefined);
    else if (isTemporary(outcome.code) || outcome.code === "uncertain") this.#hold();
    else this.fail(outcome);
  }

  #hold(): void {
    const link = this.#link;
    if (!link) return;
    this.#state = "held";
    this.#cursor = undefined;
    after(this.#environment, backoff(this.#environment, this.#failures), link.signal, () => {
      if (this.#state === "held") this.#ask();
    });
    this.#failures += 1;
  }

  /** @param position undefined where nothing is retained */
  #goOn(position: number | undefined): void {
    this.#failures = 0;
    const before = this.#state;
    const asked = this.#asked;
    const start = before === "live" ? this.#cursor : Number(asked.replace("since ", ""));
    // The server may also have less than anyone believed.
    const isEnd = (before !== "live" && asked === NOW) || (position ?? 0) < (start ?? 0);
    for (const member of this.members) locate(member, position, isEnd);
    // A listener may have changed what is wanted, or ended the connection.
    if (this.#state !== before || this.#asked !== asked) return;
    const earliest = Math.min(...this.#positions);
    if (position !== undefined && earliest < position) {
      this.#ask(`since ${earliest}`);
      return;
    }
    this.#state = "live";
    this.#cursor = position;
    for (const member of this.members) if (this.isLive) live(member);
  }

  message(text: string): void {
    if (this.#state !== "live") return;
    if (this.#cursor !== undefined) this.#cursor += 1;
    const position = this.#cursor;
    for (const member of this.members) {
      if (position === undefined || (member.position ?? position) < position) member.hear(text, position);
    }
  }

  /** Ends all subscriptions, with an error if there is one. */
  fail(error: Error | undefined): void {
    for (const member of this.members) member.end(error);
  }
}

function wishOf({ position, last }: Member): From {
  if (position !== undefined) return `since ${position}`;
  return last > 0 ? `last ${last}` : NOW;
}

/**
 * Takes a member to where it goes on, with a gap if it lacks messages.
 * @param position undefined where nothing is retained
 * @param isEnd whether that is the channel's end, from which members begin; else it is where the stream begins
 */
function locate(member: Member, position: number | undefined, isEnd: boolean): void {
  const { position: own, last } = member;
  const lacks = own === undefined || position === undefined || (isEnd ? own > position : own < position);
  if (!lacks) return;
  if (!member.isFresh) member.miss(own, position);
  const begins = isEnd && own === undefined && position !== undefined;
  member.isFresh = begins && last > 0;
  member.locate(begins ? Math.max(0, position - last) : position);
}

function live(member: Member): void {
  member.isFresh = false;
  member.become("subscribed");
}
