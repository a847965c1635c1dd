/**
 * The members of one channel, at the root of its presence channel. Changes become final with `commit`, or are undone by
 * `rollback`.
 */
import type { MemberChange } from "../protocol/members.ts";
import { utf8Length } from "../protocol/text.ts";
import type { GoneMember, Member, PresenceReport, PresentMember } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";

/** A member, as stored. Records are replaced, never changed. */
export interface MemberRecord {
  readonly data: string;
  /** The objects where it has connections. */
  readonly objects: readonly string[];
  /** Without connections: when it leaves, in milliseconds since 1970. */
  readonly until?: number | undefined;
}

/** The changes of one commit; undefined stands for a deletion. */
export interface TableDelta {
  readonly members: ReadonlyMap<string, MemberRecord | undefined>;
  /** By object, the number of its newest report. */
  readonly numbers: ReadonlyMap<string, number | undefined>;
}

/** Most bytes of a channel's members before others are refused: names, data and the names of their objects. */
const MAX_BYTES = 2_000_000;
/** Bytes of a member besides its texts. */
const OVERHEAD = 40;

/** Most objects without members whose reports are remembered. */
const MAX_DEPARTED = 1_000;

/** The age of the report that may have started this object, in milliseconds; earlier ones are late. */
const MAX_AGE = 5_000;

/** Time that an enter may take to arrive, in milliseconds: members without connections stay so much longer. */
const SLACK = 1_000;

export type TableLimits = Pick<Limits, "membersPerChannel" | "presenceGraceSeconds">;

export class MemberTable {
  readonly #limits: TableLimits;
  readonly #members = new Map<string, MemberRecord>();
  /** By object, the members that have connections there. */
  readonly #present = new Map<string, Set<string>>();
  /** By object, the number of its newest report. */
  readonly #numbers = new Map<string, number>();
  /** The numbers of the newest reports of objects without members, while they are remembered: reports may be repeated. */
  readonly #departed = new Map<string, number>();
  /** What the number of any report must exceed: reports were made before that time, and have been repeated since. */
  readonly #since: number;
  /** The latest time at which a restored member leaves: clocks and settings may have changed since it was stored. */
  readonly #latest: number;
  /** What the number of a report must exceed if its object isn't in `#numbers`. */
  #floor: number;
  /** See `dueAt`; undefined while it isn't known. */
  #dueAt: number | undefined;
  #bytes = 0;
  /** What changed since the last commit, as it was before. */
  readonly #before = new Map<string, MemberRecord | undefined>();
  readonly #numbersBefore = new Map<string, number | undefined>();
  /** Objects whose numbers aren't stored, because their reports changed nothing: the next row has them. */
  readonly #unstored = new Set<string>();
  #changes: MemberChange[] = [];

  /** @param now when this table is restored, in milliseconds since 1970 */
  constructor(limits: TableLimits, now: number) {
    this.#limits = limits;
    this.#since = this.#floor = now - MAX_AGE;
    this.#latest = now + limits.presenceGraceSeconds * 1_000 + SLACK;
  }

  /** Restores a stored record. */
  restore(member: string, record: MemberRecord | undefined): void {
    const isLate = record?.until !== undefined && record.until > this.#latest;
    this.#set(member, isLate ? { ...record, until: this.#latest } : record);
  }

  /** Restores the number of an object's newest stored report. */
  restoreNumber(object: string, number: number | undefined): void {
    this.#setNumber(object, number);
  }

  /** The number of members, including those that have no connections but may still return. */
  get size(): number {
    return this.#members.size;
  }

  /** All members, in the order of their names. */
  list(): Member[] {
    const members = [...this.#members].map(([member, { data }]) => ({ member, data }));
    return members.sort((a, b) => (a.member < b.member ? -1 : 1));
  }

  /** All records. */
  get records(): ReadonlyMap<string, MemberRecord> {
    return this.#members;
  }

  /** The numbers of the newest reports, by object. */
  get numbers(): ReadonlyMap<string, number> {
    return this.#numbers;
  }

  /** The objects that have reported members. */
  get objects(): string[] {
    return [...this.#present.keys()];
  }

  /** The number of an object's newest report; 0 for none, or if it is forgotten. */
  numberOf(object: string): number {
    return this.#numbers.get(object) ?? this.#departed.get(object) ?? 0;
  }

  /** The number that an object's next report must exceed. */
  leastNumberOf(object: string): number {
    return Math.max(this.#numbers.get(object) ?? this.#floor, this.#since);
  }

  /** When the next member leaves, in milliseconds since 1970; infinite if all have connections. */
  get dueAt(): number {
    if (this.#dueAt !== undefined) return this.#dueAt;
    let first = Number.POSITIVE_INFINITY;
    for (const { until } of this.#members.values()) if (until !== undefined) first = Math.min(first, until);
    this.#dueAt = first;
    return first;
  }

  // --- changes

  /**
   * Applies a report.
   * @returns the members that are refused
   */
  apply({ from, number, after, present, gone }: PresenceReport, now: number): string[] {
    const known = this.numberOf(from);
    const named = new Set([...present, ...gone].map(({ member }) => member));
    const unnamed = after === undefined ? [...(this.#present.get(from) ?? [])].filter((each) => !named.has(each)) : [];
    for (const member of unnamed) this.#end({ member, left: false, change: number }, from, now);
    // A repeated report has changes that were carried out before.
    for (const each of gone) if (each.change > known) this.#end(each, from, now);
    const refused = present.filter((each) => !this.#isAccepted(each, from, each.change > known));
    this.#noteNumber(from, number);
    return refused.map(({ member }) => member);
  }

  /** Records the number of a report. It isn't stored without members. */
  #noteNumber(object: string, number: number): void {
    const isNeeded = this.#present.has(object);
    if (!isNeeded) this.#noteDeparted(object, number);
    if (!this.#numbersBefore.has(object)) this.#numbersBefore.set(object, this.#numbers.get(object));
    this.#setNumber(object, isNeeded ? number : undefined);
  }

  #noteDeparted(object: string, number: number): void {
    this.#floor = Math.max(this.#floor, number);
    this.#departed.delete(object);
    this.#departed.set(object, number);
    const [oldest] = this.#departed.keys();
    if (this.#departed.size > MAX_DEPARTED && oldest !== undefined) this.#departed.delete(oldest);
  }

  #isAccepted({ member, data }: PresentMember, from: string, isChange: boolean): boolean {
    const known = this.#members.get(member);
    const objects = known?.objects.includes(from) ? known.objects : [...(known?.objects ?? []), from];
    const record = { data: known && !isChange ? known.data : data, objects };
    if (known?.objects === objects && known.data === record.data) return true;
    // A member that is present at this object stays so, whatever its data.
    if (known?.objects !== objects && this.#isTooMuch(member, known, record)) return false;
    this.#replace(member, record);
    if (!known) this.#changes.push({ kind: "enter", member, data });
    else if (known.data !== record.data) this.#changes.push({ kind: "update", member, data });
    return true;
  }

  #isTooMuch(member: string, known: MemberRecord | undefined, record: MemberRecord): boolean {
    if (!known && this.size >= this.#limits.membersPerChannel) return true;
    return this.#bytes + bytesOf(member, record) - bytesOf(member, known) > MAX_BYTES;
  }

  /** Ends the connections of a member at an object. */
  #end({ member, left }: GoneMember, from: string, now: number): void {
    const known = this.#members.get(member);
    if (!known || !(left || known.objects.includes(from))) return;
    const objects = known.objects.filter((object) => object !== from);
    const grace = left ? 0 : this.#limits.presenceGraceSeconds * 1_000;
    if (objects.length === 0 && grace === 0) this.#leave(member);
    else if (objects.length > 0) this.#replace(member, { data: known.data, objects });
    else this.#replace(member, { data: known.data, objects, until: now + grace + SLACK });
  }

  /** Removes the members whose grace period is over. */
  expire(now: number): void {
    if (now < this.dueAt) return;
    for (const [member, { until }] of [...this.#members]) {
      if (until !== undefined && until <= now) this.#leave(member);
    }
  }

  #leave(member: string): void {
    this.#replace(member, undefined);
    this.#changes.push({ kind: "leave", member });
  }

  // --- commits

  /** Whether anything that is stored has changed since the last commit. */
  get hasChanged(): boolean {
    return this.#before.size > 0;
  }

  /** What the next commit changes. */
  get delta(): TableDelta {
    return {
      members: new Map([...this.#before.keys()].map((member) => [member, this.#members.get(member)])),
      numbers: new Map(
        [...this.#unstored, ...this.#numbersBefore.keys()].map((object) => [object, this.#numbers.get(object)]),
      ),
    };
  }

  /** Makes the changes final, and returns those to announce. Unless anything `hasChanged`, nothing has to be stored. */
  commit(): MemberChange[] {
    const changes = this.#changes;
    if (this.hasChanged) this.#unstored.clear();
    else for (const object of this.#numbersBefore.keys()) this.#unstored.add(object);
    this.#clear();
    return changes;
  }

  /** Undoes all changes since the last commit. */
  rollback(): void {
    for (const [member, record] of this.#before) this.#set(member, record);
    for (const [object, number] of this.#numbersBefore) this.#setNumber(object, number);
    this.#clear();
  }

  #clear(): void {
    this.#before.clear();
    this.#numbersBefore.clear();
    this.#changes = [];
  }

  #replace(member: string, record: MemberRecord | undefined): void {
    if (!this.#before.has(member)) this.#before.set(member, this.#members.get(member));
    this.#set(member, record);
  }

  #set(member: string, record: MemberRecord | undefined): void {
    const known = this.#members.get(member);
    this.#dueAt = undefined;
    this.#bytes += bytesOf(member, record) - bytesOf(member, known);
    for (const object of known?.objects ?? []) this.#unindex(member, object);
    for (const object of record?.objects ?? []) this.#index(member, object);
    if (record) this.#members.set(member, record);
    else this.#members.delete(member);
  }

  #setNumber(object: string, number: number | undefined): void {
    if (number === undefined) this.#numbers.delete(object);
    else this.#numbers.set(object, number);
  }

  #index(member: string, object: string): void {
    const members = this.#present.get(object);
    if (members) members.add(member);
    else this.#present.set(object, new Set([member]));
  }

  #unindex(member: string, object: string): void {
    const members = this.#present.get(object);
    members?.delete(member);
    if (members?.size === 0) this.#present.delete(object);
  }
}

/** Returns the size of a record, in bytes; 0 for none. */
export function bytesOf(member: string, record: MemberRecord | undefined): number {
  if (!record) return 0;
  const objects = record.objects.reduce((bytes, object) => bytes + utf8Length(object) + OVERHEAD, 0);
  return OVERHEAD + utf8Length(member) + utf8Length(record.data) + objects;
}
