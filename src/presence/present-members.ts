/** The members of one channel that have connections at this object, and what its authority knows of them. */
import type { GoneMember, PresenceReport, PresentMember } from "../runtime/calls.ts";
import type { Entered } from "../session/attachment.ts";
import type { Connection } from "../session/connection.ts";
import type { CommandError } from "../session/inbox.ts";
import type { PendingRetry } from "../tree/retry.ts";

/** Memory of a member besides its texts, and of a channel, in bytes. */
const OVERHEAD = 300;
const CHANNEL_OVERHEAD = 1_000;

/** Most members in one report that the authority can't know yet, and their most characters. */
const MAX_NEW = 1_000;
const MAX_NEW_SIZE = 200_000;

/** The number of changes that were carried out before this object hibernated. */
const OLD = 1;

interface Present {
  data: string;
  /** When the restored data was entered, in milliseconds since 1970. */
  at: number;
  /** The number of the first report with this data; 0 before there is one. */
  change: number;
  /** Whether the authority knows that the member is present here, and whether it may. */
  isKnown: boolean;
  mayBeKnown: boolean;
  readonly connections: Set<Connection>;
}

/** A report that the authority has carried out, and the number of connections at that time. */
export interface KeptReport {
  readonly number: number;
  readonly connections: number;
}

type Gone = Omit<GoneMember, "member">;

/** A command that waits until the authority knows the state of a member. */
export interface WaitingCommand {
  readonly member: string;
  /** Restores the state before the command; undefined if it has nothing to restore. */
  readonly undo: (() => void) | undefined;
  /** What the client is told if the authority doesn't answer, unless that is the cause. */
  readonly failure: CommandError | undefined;
  resolve: (received: Promise<void> | undefined) => void;
  reject: (error: CommandError) => void;
}

export class PresentMembers {
  readonly name: string;
  readonly #present = new Map<string, Present>();
  readonly #gone = new Map<string, Gone>();
  /** Members whose state the authority doesn't know. */
  readonly #changed = new Set<string>();
  /** The number of the newest report that the authority has carried out; undefined if the next one must list all members. */
  #answered: number | undefined;
  readonly #memory: { bytes: number };
  waiting: WaitingCommand[] = [];
  isReporting = false;
  /** Whether storage has the row that names this channel. */
  hasRow = false;
  /** Set while the authority can't be told. */
  pendingRetry: PendingRetry | undefined;

  /**
   * @param name of the channel
   * @param memory of the members of all channels
   */
  constructor(name: string, memory: { bytes: number }) {
    this.name = name;
    this.#memory = memory;
    memory.bytes += CHANNEL_OVERHEAD;
  }

  /** The number of members with connections here. */
  get size(): number {
    return this.#present.size;
  }

  /** The data of a member with connections here; undefined for others. */
  dataOf(member: string): string | undefined {
    return this.#present.get(member)?.data;
  }

  /** Whether there are changes that the authority doesn't know. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether the authority knows the state of a member. */
  knows(member: string): boolean {
    return !this.#changed.has(member);
  }

  /** The state that lets the next report after hibernation list only changes; undefined if it must list all members. */
  get answeredReport(): KeptReport | undefined {
    if (this.#answered === undefined || this.#changed.size > 0) return undefined;
    return { number: this.#answered, connections: this.#connections };
  }

  /** The number of connections of all members. */
  get #connections(): number {
    let connections = 0;
    for (const present of this.#present.values()) connections += present.connections.size;
    return connections;
  }

  /**
   * Restores the report after which this object hibernated.
   * @returns whether there are as many connections as then
   */
  restoreAnswered(report: KeptReport): boolean {
    this.#answered = report.number;
    return report.connections === this.#connections;
  }

  /** Whether the authority knows everything. */
  get isKnown(): boolean {
    return this.#answered !== undefined && this.#changed.size === 0;
  }

  /** Whether the report with a number was the last one, and nothing has changed since. */
  isKnownAt(number: number): boolean {
    return this.isKnown && this.#answered === number;
  }

  // --- changes

  /** Restores the member of a connection that hibernated: the authority knew it. The latest data counts. */
  restore(connection: Connection, { member, data, at }: Entered): void {
    const present = this.#present.get(member) ?? this.#begin(member, data);
    present.connections.add(connection);
    if (at >= present.at) this.#replaceData(present, data);
    present.at = Math.max(present.at, at);
    present.change = OLD;
    present.isKnown = present.mayBeKnown = true;
  }

  /**
   * Adds a connection of a member, or changes its data.
   * @returns the data that the member had here before; undefined if it had no connections here
   */
  add(connection: Connection, member: string, data: string): string | undefined {
    const before = this.dataOf(member);
    const wasGone = this.#forgetGone(member);
    const present = this.#present.get(member) ?? this.#begin(member, data);
    present.connections.add(connection);
    present.mayBeKnown ||= wasGone;
    // Even the same data may be a change: elsewhere, the member may have got other data since.
    this.#setData(member, present, data);
    return before;
  }

  /** Undoes a change of a member's data, unless it has been changed again. */
  restoreData(member: string, data: string, before: string | undefined): void {
    const present = this.#present.get(member);
    if (present?.data === data && before !== undefined) this.#setData(member, present, before);
  }

  #replaceData(present: Present, data: string): void {
    this.#memory.bytes += data.length - present.data.length;
    present.data = data;
  }

  #setData(member: string, present: Present, data: string): void {
    this.#replaceData(present, data);
    present.change = 0;
    this.#changed.add(member);
  }

  #begin(member: string, data: string): Present {
    const present = { data, at: 0, change: 0, isKnown: false, mayBeKnown: false, connections: new Set<Connection>() };
    this.#present.set(member, present);
    this.#memory.bytes += OVERHEAD + member.length + data.length;
    return present;
  }

  /**
   * Removes a connection of a member.
   * @param left whether the client has said so; otherwise its connection has ended
   */
  remove(connection: Connection, member: string, left: boolean): void {
    const present = this.#present.get(member);
    if (!present?.connections.delete(connection) || present.connections.size > 0) return;
    this.#present.delete(member);
    this.#memory.bytes -= OVERHEAD + member.length + present.data.length;
    if (!present.mayBeKnown) {
      this.#changed.delete(member);
      return;
    }
    this.#gone.set(member, { left, change: 0 });
    this.#memory.bytes += OVERHEAD + member.length;
    this.#changed.add(member);
  }

  /** Returns whether a member was gone, and the authority not told. */
  #forgetGone(member: string): boolean {
    if (!this.#gone.delete(member)) return false;
    this.#memory.bytes -= OVERHEAD + member.length;
    return true;
  }

  /** Releases the memory of a channel without members. */
  end(): void {
    this.#memory.bytes -= CHANNEL_OVERHEAD;
  }

  // --- reports

  /** Has the next report list all members: the authority may not know what this object believes that it knows. */
  doubt(): void {
    this.#answered = undefined;
  }

  /** Returns the next report. */
  report(from: string, number: number): PresenceReport {
    const isFull = this.#answered === undefined;
    const present: PresentMember[] = [];
    for (const [member, each] of this.#listed(isFull)) {
      each.change ||= number;
      each.mayBeKnown = true;
      present.push({ member, data: each.data, change: each.change });
    }
    const gone: GoneMember[] = [];
    for (const [member, each] of this.#gone) {
      each.change ||= number;
      gone.push({ member, ...each });
    }
    return { from, number, after: this.#answered, present, gone };
  }

  /** The members to list: all that the authority may know, or only the changed ones, and some that it can't know yet. */
  *#listed(isFull: boolean): Generator<[string, Present]> {
    let count = 0;
    let size = 0;
    const members = isFull ? [...this.#present.keys()] : this.#changed;
    for (const member of members) {
      const present = this.#present.get(member);
      if (!present) continue;
      if (!present.mayBeKnown) {
        count += 1;
        size += member.length + present.data.length;
        if (count > MAX_NEW || size > MAX_NEW_SIZE) continue;
      }
      yield [member, present];
    }
  }

  /**
   * Notes that the authority has carried out a report.
   * @param refused the members that it has refused
   */
  answered({ number, present, gone }: PresenceReport, refused: string[]): void {
    this.#answered = number;
    for (const { member, change } of present) this.#notePresent(member, change, refused.includes(member));
    for (const { member, change } of gone) {
      if (this.#gone.get(member)?.change !== change) continue;
      this.#forgetGone(member);
      this.#changed.delete(member);
    }
  }

  #notePresent(member: string, change: number, isRefused: boolean): void {
    const present = this.#present.get(member);
    if (!present) return;
    if (isRefused) present.mayBeKnown = false;
    present.isKnown = !isRefused;
    if (present.change !== change) return;
    this.#changed.delete(member);
    // The authority may forget the number of a report that changed nothing there.
    if (!isRefused) present.change = OLD;
  }

  /** Notes that no report of this object was carried out since it woke: its changes are new to the authority. */
  renumber(): void {
    for (const member of this.#changed) {
      const changed = this.#present.get(member) ?? this.#gone.get(member);
      if (changed) changed.change = 0;
    }
  }

  /** Whether a connection is present as a member. */
  has(connection: Connection, member: string): boolean {
    return this.#present.get(member)?.connections.has(connection) === true;
  }

  /** The connections of a member that the authority has refused; none if it knows the member. */
  refusedConnectionsOf(member: string): Connection[] {
    const present = this.#present.get(member);
    return present && !present.isKnown && !this.#changed.has(member) ? [...present.connections] : [];
  }

  /** Removes and returns the commands that entered as one of the refused members, the newest first. */
  takeRefused(refused: string[]): WaitingCommand[] {
    return this.#take(({ undo, member }) => undo !== undefined && refused.includes(member)).reverse();
  }

  /** Removes and returns the commands whose changes the authority knows. */
  takeDone(): WaitingCommand[] {
    return this.#take(({ member }) => this.knows(member));
  }

  /** Removes and returns all commands, the newest first. */
  takeAll(): WaitingCommand[] {
    return this.#take(() => true).reverse();
  }

  #take(isTaken: (command: WaitingCommand) => boolean): WaitingCommand[] {
    const { taken = [], left = [] } = Object.groupBy(this.waiting, (command) => (isTaken(command) ? "taken" : "left"));
    this.waiting = left;
    return taken;
  }
}
