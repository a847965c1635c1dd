/**
 * Stores the members of a channel, at the root of its presence channel. The head row has what changed since the base, a
 * copy of the whole table in other rows. So a commit writes one row, whatever the size of the table, and small tables
 * have no base. A base is complete when the head names it: its rows alternate between two sets of names.
 */
import { type Checked, isNumber, isRecord, isString, listOf, optional, rowOf, shape } from "../runtime/rows.ts";
import type { Store } from "../runtime/runtime.ts";
import { bytesOf, type MemberRecord, type MemberTable } from "./member-table.ts";

const PREFIX = "members:";
const HEAD = `${PREFIX}head`;

/** Bytes of changes that the head may have; beyond that, a new base is written. */
const MAX_HEAD = 64_000;
/** Bytes of one row of a base; rows have at most 2 MB, and a byte may take two. */
const MAX_PART = 500_000;

type HeadRow = Checked<typeof isHeadRow>;

const isMemberRecord = shape({ data: isString, objects: listOf(isString), until: optional(isNumber) });

const isHeadRow = shape({
  /** The number of the base, and of its rows; 0 for no base. */
  base: isNumber,
  parts: isNumber,
  /** When objects were last asked to report again, in milliseconds since 1970. */
  asked: isNumber,
  members: listOf(isEntry),
  numbers: listOf(isNumberEntry),
});

const isPartRow = shape({ members: listOf(isEntry), numbers: listOf(isNumberEntry) });

function isEntry(value: unknown): value is [member: string, record: MemberRecord | undefined] {
  if (!Array.isArray(value) || !isString(value[0])) return false;
  return value[1] === undefined || (isRecord(value[1]) && isMemberRecord(value[1]));
}

function isNumberEntry(value: unknown): value is [object: string, number: number | undefined] {
  return Array.isArray(value) && isString(value[0]) && optional(isNumber)(value[1]);
}

export class MemberRows {
  readonly #store: Store;
  readonly #table: MemberTable;
  #base = 0;
  #parts = 0;
  /** When objects were last asked to report again, in milliseconds since 1970. */
  asked = 0;
  /** What changed since the base. */
  #members = new Map<string, MemberRecord | undefined>();
  #numbers = new Map<string, number | undefined>();
  #hasHead = false;

  constructor(store: Store, table: MemberTable) {
    this.#store = store;
    this.#table = table;
  }

  /** Restores the table. */
  restore(): void {
    const head = rowOf(this.#store.get(HEAD), isHeadRow);
    if (!head) return;
    this.#hasHead = true;
    this.#base = head.base;
    this.#parts = head.parts;
    this.asked = head.asked;
    this.#members = new Map(head.members);
    this.#numbers = new Map(head.numbers);
    for (let part = 0; part < head.parts; part++) {
      this.#restore(rowOf(this.#store.get(keyOf(head.base, part)), isPartRow) ?? { members: [], numbers: [] });
    }
    this.#restore(head);
  }

  #restore({ members, numbers }: Pick<HeadRow, "members" | "numbers">): void {
    for (const [member, record] of members) this.#table.restore(member, record);
    for (const [object, number] of numbers) this.#table.restoreNumber(object, number);
  }

  /** Stores the table's changes since its last commit; returns whether storage accepted them. */
  store(): boolean {
    if (this.#table.size === 0) return this.#deleteAll();
    const { members, numbers } = this.#table.delta;
    const allMembers = new Map([...this.#members, ...members]);
    const allNumbers = new Map([...this.#numbers, ...numbers]);
    const isStored =
      headSize(allMembers, allNumbers) > MAX_HEAD
        ? this.#putBase()
        : this.#putHead(this.#base, this.#parts, allMembers, allNumbers);
    return isStored;
  }

  #putHead(base: number, parts: number, members: HeadMembers, numbers: HeadNumbers): boolean {
    const row: HeadRow = { base, parts, asked: this.asked, members: [...members], numbers: [...numbers] };
    if (!this.#store.put(HEAD, row)) return false;
    this.#base = base;
    this.#parts = parts;
    this.#members = members;
    this.#numbers = numbers;
    this.#hasHead = true;
    return true;
  }

  /** Writes the whole table as a new base, then an empty head that names it. */
  #putBase(): boolean {
    const base = this.#base + 1;
    const parts = partsOf([...this.#table.records]);
    const numbers = [...this.#table.numbers];
    for (const [i, members] of parts.entries()) {
      if (!this.#store.put(keyOf(base, i), { members, numbers: i === 0 ? numbers : [] })) return false;
    }
    return this.#putHead(base, parts.length, new Map(), new Map());
  }

  /** Deletes all rows, because the channel has no members. */
  #deleteAll(): boolean {
    if (!this.#hasHead) return true;
    if (!this.#store.delete(HEAD)) return false;
    this.#hasHead = false;
    this.#base = this.#parts = 0;
    this.#members = new Map();
    this.#numbers = new Map();
    for (const [key] of [...this.#store.list(PREFIX)]) this.#store.delete(key);
    return true;
  }
}

type HeadMembers = Map<string, MemberRecord | undefined>;
type HeadNumbers = Map<string, number | undefined>;

/** Returns the key of one row of a base. Two bases in a row have different keys. */
function keyOf(base: number, part: number): string {
  return `${PREFIX}${base % 2}:${part}`;
}

function headSize(members: HeadMembers, numbers: HeadNumbers): number {
  let bytes = 0;
  for (const [member, record] of members) bytes += record ? bytesOf(member, record) : member.length;
  for (const object of numbers.keys()) bytes += object.length;
  return bytes;
}

/** Splits members into rows. */
function partsOf(members: [string, MemberRecord][]): [string, MemberRecord][][] {
  const parts: [string, MemberRecord][][] = [[]];
  let bytes = 0;
  for (const entry of members) {
    bytes += bytesOf(...entry);
    if (bytes > MAX_PART) {
      parts.push([]);
      bytes = bytesOf(...entry);
    }
    parts.at(-1)?.push(entry);
  }
  return parts;
}
