/** What one client knows of a channel's members, over all its connections: from lists, and from the changes that follow. */
import { type MemberChange, parseChange } from "../../src/protocol/members.ts";
import type { Member } from "../../src/runtime/calls.ts";
import type { CoverageGoal } from "./coverage.ts";
import { apply, areSame, type Members, show } from "./members-log.ts";
import type { MembersTruth } from "./members-truth.ts";
import { check } from "./violation.ts";

/** The service, as watching clients see it. */
export interface WatchedService {
  now(): number;
  readonly members: MembersTruth;
  /** How long messages are retained, in milliseconds. */
  readonly retention: number;
  /** How late a change may come that was announced while a client was subscribed, in milliseconds. */
  readonly lateness: number;
  /** Whether messages may be dropped for other reasons. */
  readonly mayForget: boolean;
  /** Whether positions may skip numbers, because storage refuses rows. */
  readonly mayRenumber: boolean;
  cover(goal: CoverageGoal): void;
}

/** Where a client is in the changes of a channel. */
interface Place {
  position: number;
  /** The members at that position, if the client has had a list since. */
  members: Members | undefined;
  /** When it was last connected and subscribed; undefined while it is. */
  left: number | undefined;
}

export class Watching {
  readonly #name: string;
  readonly #channel: string;
  readonly #service: WatchedService;
  /** Where the client counts changes. */
  counting: Place | undefined;
  /** Where it could resume. */
  paused: Place | undefined;
  /** The changes that it has received since it subscribed without a position. */
  #received: MemberChange[] = [];

  /** @param channel the channel with these members */
  constructor(name: string, channel: string, service: WatchedService) {
    this.#name = name;
    this.#channel = channel;
    this.#service = service;
  }

  get #what(): string {
    return `${this.#name} watches ${this.#channel}`;
  }

  /** Continues from what an earlier connection received. */
  reconnect({ counting, paused }: Watching): void {
    const place = counting ?? paused;
    this.paused = place && { ...place, members: place.members && new Map(place.members) };
  }

  /** Ends the connection; the client can resume. */
  end(): void {
    if (this.counting) this.counting.left ??= this.#service.now();
  }

  /** Stops counting after an `unsubscribe`, which was sent at `left`. */
  pause(left: number): void {
    this.#received = [];
    if (!this.counting) return;
    this.paused = { ...this.counting, left };
    this.counting = undefined;
  }

  /** Records a list of members: the client can follow the changes after it. */
  listed(position: number, list: Member[]): void {
    const members: Members = new Map(list.map(({ member, data }) => [member, data]));
    const { counting } = this;
    if (!counting) this.paused = { position, members, left: this.#service.now() };
    // A list is of all changes that were announced before, but the client may already have received later ones.
    else if (counting.position === position) {
      if (counting.members) this.#checkSame(counting.members, members, position);
      counting.members = members;
    }
  }

  #checkSame(counted: Members, listed: Members, position: number): void {
    const what = () => `${this.#what} and knows ${show(counted)}, but ${show(listed)} are listed at ${position}`;
    check(areSame(counted, listed), what);
  }

  /**
   * Records a change.
   * @param asked when this client subscribed to the channel
   */
  message(text: string, asked: number): void {
    const change = parseChange(text);
    check(change !== undefined, () => `${this.#what} and receives '${text}'`);
    const { counting } = this;
    const { members, retention, lateness } = this.#service;
    members.scan();
    this.#received.push(change);
    if (!counting) return;
    counting.position += 1;
    const what = `${this.#what} and receives '${text}' at ${counting.position}`;
    const { at } = members.log(this.#channel).received(counting.position, change, this.#service.now(), what);
    check(asked - at <= retention + lateness, () => `${what}, ${asked - at} ms after it was announced`);
    if (counting.members) apply(counting.members, change, what);
  }

  /**
   * Records a position, which must equal the counted one, or starts counting.
   * @param since the position that it asked to resume from, if any
   */
  position(position: number, since: number | undefined): void {
    const counted = this.counting ?? (since === undefined ? undefined : this.paused);
    this.paused = undefined;
    this.counting = counted ?? { position, members: undefined, left: undefined };
    if (!counted) return;
    const isOther = counted.position !== position;
    const mayDiffer = this.#service.mayRenumber && position > counted.position;
    check(!isOther || mayDiffer, () => `${this.#what} at ${counted.position}, but the server says ${position}`);
    if (counted.left !== undefined && counted.members) this.#service.cover("members followed");
    counted.left = undefined;
    counted.position = position;
    // Changes may have been lost with the skipped positions.
    if (isOther) counted.members = undefined;
  }

  /** Records a gap, after which the client needs another list. */
  gap(to: number): void {
    const counted = this.counting ?? this.paused;
    this.#service.cover("a gap of members");
    if (!counted) return;
    counted.position = to;
    counted.members = undefined;
  }

  /** Checks, when all is quiet, that the client has received all changes. */
  checkComplete(isSubscribed: boolean): void {
    const { members, mayForget, mayRenumber } = this.#service;
    if (!isSubscribed || mayForget || mayRenumber) return;
    const log = members.log(this.#channel);
    const { counting } = this;
    if (counting) {
      check(log.newest <= counting.position, () => `${this.#what} up to ${counting.position}, not ${log.newest}`);
      if (counting.members) this.#checkSame(counting.members, log.members, counting.position);
    }
    const newest = log.all.slice(log.all.length - this.#received.length).map(({ change }) => JSON.stringify(change));
    const received = this.#received.map((change) => JSON.stringify(change));
    check(newest.join() === received.join(), () => `${this.#what} and received ${received}, not ${newest}`);
  }
}
