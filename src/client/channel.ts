/**
 * Where a client is in one channel. The server sends a channel once, from one position on; each member (a subscription
 * of the program) has a position of its own, and skips what it has. So a member that wants earlier messages has the
 * channel sent again from there on, and the others get nothing twice.
 */
import { isTemporary } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import { backoff } from "./backoff.ts";
import type { Refused } from "./errors.ts";
import type { Cancel, World } from "./world.ts";

/** A subscription, as its channel sees it. */
export interface Member {
  /** Of the newest message that it has; undefined before it is known, and where nothing is retained. */
  readonly position: number | undefined;
  /** How many of the newest messages it wants first, where it has no position. */
  readonly last: number;
  /** Whether the server has sent something from its position on. */
  isChecked: boolean;
  /** Whether fewer messages than it wants are no gap. */
  mayLack: boolean;
  /** Whether it has ever been subscribed. */
  hasBeenLive: boolean;
  hear(text: string, position: number | undefined): void;
  miss(from: number | undefined, to: number | undefined): void;
  locate(position: number | undefined): void;
  become(state: "subscribing" | "subscribed"): void;
  end(error: Error | undefined): void;
}

/** The connection to the server. */
export interface Link {
  subscribe(channel: string, from: From): void;
  unsubscribe(channel: string): void;
}

const NOW: From = { since: "now" };

export class Channel {
  readonly name: string;
  readonly members = new Set<Member>();
  readonly #world: World;
  /**
   * `offline`: without a connection. `asked`: the server has yet to say from where on it sends. `held`: it refused that
   * for the moment. `live`: messages are for the members.
   */
  #state: "offline" | "asked" | "held" | "live" = "offline";
  #link: Link | undefined;
  /** What the server was asked for last. */
  #asked: From | undefined;
  /** Whether no member without a position has been added since. */
  #isAskedForAll = false;
  /** The position of the stream; undefined unless it is live, and where nothing is retained. */
  #cursor: number | undefined;
  /** Rises with each question to the server, and when the connection ends. */
  #turn = 0;
  #failures = 0;
  #cancelRetry: Cancel = () => {};
  #due = 0;
  readonly #noticed: () => void;

  /** @param noticed called when `hasReached` may have changed */
  constructor(world: World, name: string, noticed: () => void) {
    this.#world = world;
    this.name = name;
    this.#noticed = noticed;
  }

  /** The newest position that a member has. */
  get position(): number | undefined {
    let newest = this.#cursor;
    for (const { position } of this.members) {
      if (position !== undefined && position > (newest ?? -1)) newest = position;
    }
    return newest;
  }

  /** From where on the server should send the channel. */
  get wanted(): From {
    const lasts = new Set<number>();
    let base = Number.POSITIVE_INFINITY;
    for (const { position, last } of this.members) {
      if (position === undefined) lasts.add(last);
      else base = Math.min(base, position);
    }
    const [last, ...others] = lasts;
    // Of several wishes that depend on where the channel's end is, that has to be found out first.
    if (others.length > 0 || (last !== undefined && base !== Number.POSITIVE_INFINITY)) return NOW;
    if (last !== undefined) return last === 0 ? NOW : { last };
    // So it has for a position that may lie beyond the end.
    const isUnsure = [...this.members].some(({ isChecked, position = 0 }) => !isChecked && position > base);
    return isUnsure ? NOW : { since: base };
  }

  add(member: Member): void {
    this.members.add(member);
    this.#isAskedForAll &&= member.position !== undefined;
    if (this.#state === "live") this.#join(member);
    else if (this.#state === "asked") this.#askAnew();
  }

  /** Takes out a member; returns whether it was the last one. */
  remove(member: Member): boolean {
    if (!this.members.delete(member) || this.members.size > 0) return false;
    this.end();
    return true;
  }

  /** There is a connection, which has been asked for `asked` already if that is given. */
  begin(link: Link, asked: From | undefined): void {
    this.#link = link;
    this.#state = "asked";
    this.#asked = asked;
    if (!asked) this.#ask();
    else this.#askAnew();
  }

  /** The connection has ended. */
  end(): void {
    this.#cancelRetry();
    this.#turn += 1;
    this.#link = undefined;
    this.#state = "offline";
    this.#cursor = undefined;
    for (const member of this.members) member.become("subscribing");
    this.#noticed();
  }

  /** A message of this client has this position. */
  expect(position: number): void {
    this.#due = Math.max(this.#due, position);
  }

  /** The position of the newest message that this client announced. */
  get due(): number {
    return this.#due;
  }

  /** Whether it is live and messages up to a position were received, or nothing is subscribed any more. */
  hasReached(position: number): boolean {
    if (this.members.size === 0) return true;
    return this.#state === "live" && (this.#cursor ?? position) >= position;
  }

  /** Returns what a new connection should ask for, and `begin` is then told. */
  ask(): From {
    this.#isAskedForAll = true;
    return this.wanted;
  }

  /** Asks again if what is pending doesn't suit all members: the channel's end may have been another one then. */
  #askAnew(): void {
    if (!this.#isAskedForAll || !isSame(this.wanted, this.#asked)) this.#ask();
  }

  #ask(): void {
    this.#cancelRetry();
    this.#turn += 1;
    this.#state = "asked";
    this.#cursor = undefined;
    this.#asked = this.ask();
    this.#link?.subscribe(this.name, this.#asked);
  }

  /** A member joins a channel that is live: often it can join the stream as it is. */
  #join(member: Member): void {
    const cursor = this.#cursor;
    if (cursor === undefined) {
      this.#locateWithoutHistory(member);
      this.#live(member);
      return;
    }
    // The stream may be behind members that are sent something again.
    const end = this.#end(member);
    if (member.position === undefined) this.#begin(member, end);
    const { position = end } = member;
    if (position >= cursor && position <= end) this.#live(member);
    else this.#ask();
  }

  /** The newest position that others than a member have. */
  #end(member: Member): number {
    let end = this.#cursor ?? 0;
    for (const other of this.members) {
      if (other !== member && other.position !== undefined) end = Math.max(end, other.position);
    }
    return end;
  }

  #live(member: Member): void {
    member.isChecked = true;
    member.hasBeenLive = true;
    member.become("subscribed");
  }

  /** Gives a member without a position its place before the channel's end. */
  #begin(member: Member, end: number): void {
    member.mayLack = member.last > 0;
    member.isChecked = true;
    member.locate(Math.max(0, end - member.last));
  }

  // --- what the server says

  /** The stream goes on after a position; undefined where nothing is retained. */
  located(position: number | undefined): void {
    if (this.#state === "offline" || (this.#state === "live" && position === this.#cursor)) return;
    this.#cancelRetry();
    this.#failures = 0;
    const turn = this.#turn;
    const floor = this.#floor;
    for (const member of this.members) {
      if (position === undefined) this.#locateWithoutHistory(member);
      else this.#locate(member, position, floor);
      // A listener has changed what is wanted.
      if (turn !== this.#turn) return;
    }
    if (position !== undefined && this.#lacksBefore(position)) {
      this.#ask();
      return;
    }
    this.#state = "live";
    this.#cursor = position;
    for (const member of this.members) this.#live(member);
    this.#noticed();
  }

  /** The position after which the stream has to go on, at least; "now" for the channel's end, wherever it is. */
  get #floor(): number | "now" {
    if (this.#state === "live") return this.#cursor ?? 0;
    return this.#asked && "since" in this.#asked ? this.#asked.since : 0;
  }

  /** Whether a member needs messages from before a position. */
  #lacksBefore(position: number): boolean {
    for (const member of this.members) if ((member.position ?? position) < position) return true;
    return false;
  }

  #locate(member: Member, position: number, floor: number | "now"): void {
    const isEnd = floor === "now";
    const { position: own, mayLack } = member;
    member.isChecked = true;
    if (!isEnd) member.mayLack = false;
    if (own === undefined) {
      // What it may have missed while the channel retained nothing isn't known.
      if (member.hasBeenLive) member.miss(undefined, position);
      if (isEnd) this.#begin(member, position);
      else member.locate(position);
    } else if (own < position && !isEnd) {
      if (!mayLack) member.miss(own, position);
      member.locate(position);
    } else if (own > position && (isEnd || position < floor)) {
      // The server has less than it had, or than somebody believed.
      member.miss(own, position);
      member.locate(position);
    }
  }

  #locateWithoutHistory(member: Member): void {
    if (member.position !== undefined || member.hasBeenLive) member.miss(member.position, undefined);
    member.locate(undefined);
  }

  message(text: string): void {
    if (this.#state !== "live") return;
    if (this.#cursor === undefined) {
      for (const member of this.members) member.hear(text, undefined);
      return;
    }
    this.#cursor += 1;
    const position = this.#cursor;
    for (const member of this.members) {
      if (member.position !== undefined && member.position < position) member.hear(text, position);
    }
    this.#noticed();
  }

  /** The server doesn't send the channel: for the moment, or at all. */
  refused(error: Refused): void {
    if (this.#state === "offline") return;
    if (!isTemporary(error.code) && error.code !== "uncertain") {
      this.fail(error);
      return;
    }
    this.#state = "held";
    this.#cursor = undefined;
    this.#cancelRetry();
    const wait = backoff(this.#world, this.#failures);
    this.#failures += 1;
    this.#cancelRetry = this.#world.later(wait, () => this.#ask());
  }

  /** Ends all subscriptions, with an error if there is one. */
  fail(error: Error | undefined): void {
    for (const member of [...this.members]) member.end(error);
  }
}

function isSame(one: From, other: From | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
