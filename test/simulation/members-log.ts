/** The changes of one channel's members, by position, as the root of its presence channel has stored them. */
import { isSegmentRow, SEGMENT, type SegmentRow } from "../../src/channel/history-rows.ts";
import { type MemberChange, parseChange, presenceOf } from "../../src/protocol/members.ts";
import type { Member } from "../../src/runtime/calls.ts";
import { check } from "./violation.ts";

/** The member that enters and leaves at the end of a run, so that something is announced. */
export const VISITOR = "zoe";

/** Members and their data. */
export type Members = Map<string, string>;

/** A change that has been announced. */
export interface AnnouncedChange {
  position: number;
  change: MemberChange;
  /** When it was stored, or first received. */
  at: number;
}

/** A position, and the members there. */
interface Base {
  position: number;
  members: Members;
}

export interface LogRules {
  /** Whether every change is stored, so that the log has all of them. */
  isComplete: boolean;
  /** Whether storage refuses rows, so that changes that follow one another may not have all been stored. */
  mayRenumber: boolean;
}

export class MembersLog {
  readonly channel: string;
  readonly #isComplete: boolean;
  readonly #mayRenumber: boolean;
  readonly #changes: AnnouncedChange[] = [];
  /** Positions where the members are known, if the log may be incomplete. */
  readonly #bases: Base[] = [];
  /** The rows that have been read. */
  readonly #read = new Set<unknown>();
  /** The members after the newest change; only if the log is complete. */
  readonly members: Members = new Map();
  /** By time, the number of members from then on. */
  readonly #sizes: { at: number; size: number }[] = [{ at: 0, size: 0 }];

  constructor(channel: string, { isComplete, mayRenumber }: LogRules) {
    this.channel = channel;
    this.#isComplete = isComplete;
    this.#mayRenumber = mayRenumber;
  }

  /** Whether the visitor at the end of the run could enter. */
  get isUsed(): boolean {
    return this.#changes.some(({ change }) => change.member === VISITOR);
  }

  /** The position of the newest change; 0 before there is one. */
  get newest(): number {
    return this.#changes.at(-1)?.position ?? 0;
  }

  /** The messages of all changes, oldest first. */
  get all(): readonly AnnouncedChange[] {
    return this.#changes;
  }

  /** The most members at any time since `time`. */
  mostSince(time: number): number {
    const before = this.#sizes.findLast(({ at }) => at < time)?.size ?? 0;
    return Math.max(before, ...this.#sizes.filter(({ at }) => at >= time).map(({ size }) => size));
  }

  /** Whether a member has left since `time`. */
  hasLeftSince(member: string, time: number): boolean {
    return this.#changes.some(({ change, at }) => at >= time && change.kind === "leave" && change.member === member);
  }

  /** Reads the rows of the presence channel's root, and returns the new changes in order. */
  scan(rows: Map<string, unknown>, now: number): AnnouncedChange[] {
    const unread = [...rows].filter(([key, row]) => key.startsWith(SEGMENT) && !this.#read.has(row));
    const segments = unread.flatMap(([, row]) => {
      this.#read.add(row);
      return isSegmentRow(row) ? [row] : [];
    });
    const found = segments.flatMap((row) => changesIn(row, presenceOf(this.channel), now));
    found.sort((a, b) => a.position - b.position);
    return found.filter((each) => this.#add(each));
  }

  /** Records a change that a client has received at a position. */
  received(position: number, change: MemberChange, now: number, what: string): AnnouncedChange {
    const known = this.at(position);
    check(known !== undefined || !this.#isComplete, () => `${what} before it was stored`);
    const each = { position, change, at: now };
    this.#add(each);
    return known ?? each;
  }

  at(position: number): AnnouncedChange | undefined {
    return this.#changes.find((each) => each.position === position);
  }

  /** Adds a change; returns whether it is new. */
  #add(each: AnnouncedChange): boolean {
    const { position, change } = each;
    const known = this.at(position);
    const text = JSON.stringify(change);
    if (known) {
      const before = JSON.stringify(known.change);
      check(before === text, () => `${position} of the members of ${this.channel} is both ${before} and ${text}`);
      return false;
    }
    if (this.#isComplete) this.#append(each);
    else {
      this.#changes.push(each);
      this.#changes.sort((a, b) => a.position - b.position);
    }
    return true;
  }

  #append(each: AnnouncedChange): void {
    const { position, change, at } = each;
    const before = this.newest;
    check(position > before, () => `position ${position} of the members of ${this.channel} comes after ${before}`);
    apply(this.members, change, `${this.channel} at ${position}`);
    this.#changes.push(each);
    this.#sizes.push({ at, size: this.members.size });
  }

  /** Returns the members at a position; undefined if they aren't known. */
  replay(position: number): Members | undefined {
    const base = this.#isComplete
      ? { position: 0, members: new Map() }
      : this.#bases.findLast((each) => each.position <= position);
    if (!base || this.#mayRenumber) return undefined;
    const members = new Map(base.members);
    let last = base.position;
    for (const each of this.#changes) {
      if (each.position <= base.position || each.position > position) continue;
      if (!this.#isComplete && each.position !== last + 1) return undefined;
      last = each.position;
      apply(members, each.change, `${this.channel} at ${last}`);
    }
    return this.#isComplete || last === position ? members : undefined;
  }

  /** Checks a list of members against the changes up to its position. */
  checkList(position: number, list: Member[], what: string): void {
    const expected = this.replay(position);
    const found = new Map(list.map(({ member, data }) => [member, data]));
    if (expected) {
      check(areSame(expected, found), () => `${what} lists ${show(found)}, but its changes give ${show(expected)}`);
    } else {
      this.#bases.push({ position, members: found });
      this.#bases.sort((a, b) => a.position - b.position);
    }
  }
}

/** Applies a change to members, which must allow it. */
export function apply(members: Members, change: MemberChange, where: string): void {
  const { kind, member } = change;
  const before = members.get(member);
  const isAllowed = kind === "enter" ? before === undefined : before !== undefined;
  check(isAllowed, () => `${where}: '${kind} ${member}' changes ${show(members)}`);
  if (kind === "leave") {
    members.delete(member);
    return;
  }
  check(before !== change.data, () => `${where}: '${kind} ${member}' changes nothing`);
  members.set(member, change.data);
}

export function areSame(one: Members, other: Members): boolean {
  return one.size === other.size && [...one].every(([member, data]) => other.get(member) === data);
}

/** Formats members for messages. */
export function show(members: Members): string {
  const all = [...members].sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${all.map(([member, data]) => (data === "" ? member : `${member} ${data}`)).join(", ")}}`;
}

/** Returns the changes in a row. */
function changesIn({ after, lines }: SegmentRow, channel: string, at: number): AnnouncedChange[] {
  const start = `${channel}!`;
  const each = lines.split("\n").slice(0, -1);
  return each.map((line, i) => {
    const change = line.startsWith(start) ? parseChange(line.slice(start.length)) : undefined;
    check(change !== undefined, () => `'${line}' is stored on ${channel}`);
    return { position: after + i + 1, change, at };
  });
}
