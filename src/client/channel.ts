/**
 * One client's state in one channel. The server sends each channel once, starting after one position. Each member (a
 * subscription of the program) has its own position and skips messages up to it. For a member that wants earlier
 * messages the client resubscribes from there, and the other members get nothing twice.
 */
import { isTemporary } from "../protocol/errors.ts";
import { type From, NOW } from "./address.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { after } from "./timing.ts";
import type { Outcome, Transport } from "./transport.ts";

/** A subscription, as used by its channel. */
export interface Member {
  /** The position of the newest message received; undefined until known, and if the channel retains no messages. */
  readonly position: number | undefined;
  /** The number of newest messages to start with, if it has no position. */
  readonly last: number;
  /** Whether it has received nothing yet, so that it can't have missed anything. */
  isFresh: boolean;
  message(text: string, position: number | undefined): void;
  gap(from: number | undefined, to: number | undefined): void;
  moveTo(position: number | undefined): void;
  become(state: "subscribing" | "subscribed"): void;
  end(error: Error | undefined): void;
}

export class Channel {
  readonly name: string;
  readonly members = new Set<Member>();
  readonly #environment: Environment;
  /**
   * `offline`: no connection. `subscribing`: waiting for the server to confirm the start. `held`: the server refused
   * temporarily; a retry is scheduled. `live`: messages go to the members.
   */
  #state: "offline" | "subscribing" | "held" | "live" = "offline";
  #transport: Transport | undefined;
  /** The start last requested from the server. */
  #requested: From = NOW;
  /** Whether a member without a position joined since that request, as the channel's end may have moved. */
  #isOutdated = true;
  /** The stream's position; undefined unless live, and if the channel retains no messages. */
  #cursor: number | undefined;
  #failures = 0;

  constructor(environment: Environment, name: string) {
    this.#environment = environment;
    this.name = name;
  }

  /** Whether members receive messages as they are announced. */
  get isLive(): boolean {
    return this.#state === "live";
  }

  get #positions(): number[] {
    return [...this.members].flatMap(({ position }) => position ?? []);
  }

  /** The newest position of any member. */
  get position(): number | undefined {
    const newest = Math.max(this.#cursor ?? -1, ...this.#positions);
    return newest < 0 ? undefined : newest;
  }

  /** The start to request. If members want different ones, the client first has to learn the channel's end. */
  get #wanted(): From {
    const wishes = new Set([...this.members].map(wishOf));
    const [wish = NOW] = wishes;
    return wishes.size > 1 ? NOW : wish;
  }

  /** Returns the start to request from the server; the reply covers all current members. */
  ask(): From {
    this.#isOutdated = false;
    this.#requested = this.#wanted;
    return this.#requested;
  }

  add(member: Member): void {
    const end = this.position;
    this.members.add(member);
    this.#isOutdated ||= member.position === undefined;
    if (this.#state === "live") this.#join(member, end);
    else if (this.#state === "subscribing") this.#requestAgain();
  }

  /** Removes a member; returns whether it was the last one. */
  remove(member: Member): boolean {
    if (!this.members.delete(member) || this.members.size > 0) return false;
    this.end();
    return true;
  }

  /** Uses a new connection. @param isRequested whether the result of `ask` was already requested on it */
  begin(transport: Transport, isRequested: boolean): void {
    this.#transport = transport;
    this.#state = "subscribing";
    if (isRequested) this.#requestAgain();
    else this.#request();
  }

  /** Handles the end of the connection. */
  end(): void {
    this.#state = "offline";
    this.#cursor = undefined;
    for (const member of this.members) member.become("subscribing");
  }

  /** Requests again if the pending request doesn't suit all members. */
  #requestAgain(): void {
    if (this.#isOutdated || (this.#requested !== NOW && this.#requested !== this.#wanted)) this.#request();
  }

  #request(from = this.ask()): void {
    this.#state = "subscribing";
    this.#cursor = undefined;
    this.#requested = from;
    this.#transport?.subscribe(this.name, from);
  }

  /**
   * Adds a member to a live channel; often it can join the stream as it is.
   * @param end the newest known position of the channel; the stream may lag behind it
   */
  #join(member: Member, end: number | undefined): void {
    if (member.position === undefined || end === undefined) place(member, end, true);
    const { position = 0 } = member;
    if (position > (end ?? 0)) this.#request(NOW);
    else if (position < (this.#cursor ?? 0)) this.#request(`since ${position}`);
    else live(member);
  }

  // --- replies and messages

  /** Handles the reply to a subscription: the position after which the stream continues, or a refusal. */
  subscribed(outcome: Outcome): void {
    if (this.#state === "offline") return;
    if (!(outcome instanceof Refused)) this.#continue(outcome);
    else if (outcome.code === "no-history") this.#continue(undefined);
    else if (isTemporary(outcome.code) || outcome.code === "uncertain") this.#hold();
    else this.fail(outcome);
  }

  /** Requests again later; until then, members may miss messages. */
  #hold(): void {
    const transport = this.#transport;
    if (!transport) return;
    this.#state = "held";
    this.#cursor = undefined;
    after(this.#environment, backoff(this.#environment, this.#failures), transport.signal, () => {
      if (this.#state === "held") this.#request();
    });
    this.#failures += 1;
    for (const member of this.members) member.become("subscribing");
  }

  /** @param position undefined if the channel retains no messages */
  #continue(position: number | undefined): void {
    this.#failures = 0;
    const before = this.#state;
    const requested = this.#requested;
    const start = before === "live" ? this.#cursor : Number(requested.replace("since ", ""));
    // The server may have lost messages and be behind the members.
    const isEnd = (before !== "live" && requested === NOW) || (position ?? 0) < (start ?? 0);
    for (const member of this.members) place(member, position, isEnd);
    // A listener may have added or removed members, or ended the connection.
    if (this.#state !== before || this.#requested !== requested) return;
    const earliest = Math.min(...this.#positions);
    if (position !== undefined && earliest < position) {
      this.#request(`since ${earliest}`);
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
      if (position === undefined || (member.position ?? position) < position) member.message(text, position);
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
 * Moves a member to a position, and reports a gap if it missed messages.
 * @param position undefined if the channel retains no messages
 * @param isEnd whether that is the channel's end, where new members start; otherwise the stream starts there
 */
function place(member: Member, position: number | undefined, isEnd: boolean): void {
  const { position: own, last } = member;
  const differs = own === undefined || position === undefined || (isEnd ? own > position : own < position);
  if (!differs) return;
  if (!member.isFresh) member.gap(own, position);
  const starts = isEnd && own === undefined && position !== undefined;
  member.isFresh = starts && last > 0;
  member.moveTo(starts ? Math.max(0, position - last) : position);
}

function live(member: Member): void {
  member.isFresh = false;
  member.become("subscribed");
}
