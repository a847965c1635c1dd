/**
 * The members with connections at this object. It reports them to the authority of each channel, the object
 * `presence/<channel>`, by one call at a time for each channel, which takes along all that has changed.
 *
 * The row `present:<channel>` says that the authority may know members of this object. If their connections are gone when
 * the object starts, it reports that they have ended.
 */
import { assert } from "../assert.ts";
import type { Refusal } from "../protocol/errors.ts";
import { presenceOf } from "../protocol/members.ts";
import { NO_PRESENCE, tooManyMembers } from "../protocol/refusals.ts";
import type { Member, MembersAnswer, PresenceAnswer, PresenceReport, RestateRequest } from "../runtime/calls.ts";
import { isNumber, isString, listOf, optional, rowOf, shape } from "../runtime/rows.ts";
import { CRASH_CHECK } from "../runtime/schedule.ts";
import type { Entered } from "../session/attachment.ts";
import type { Connection } from "../session/connection.ts";
import type { Connections } from "../session/connections.ts";
import { CommandError } from "../session/inbox.ts";
import { newBucket, take } from "../session/rate.ts";
import { earliestRetry, isDue, postpone, retry } from "../tree/retry.ts";
import type { Router, RouterParts } from "../tree/router.ts";
import type { Authority } from "./authority.ts";
import { MemberLists } from "./member-lists.ts";
import { type KeptReport, PresentMembers } from "./present-members.ts";

const ROW = "present:";

const isRow = shape({
  /** Since when the authority couldn't be told of changes, in milliseconds since 1970. */
  since: optional(isNumber),
});

/** Most channels whose reports are remembered through hibernation: those of typical objects. */
const MAX_KEPT = 20;

const isKeptReport = shape({ number: isNumber, connections: isNumber });

const areReports = listOf((value: unknown): value is [channel: string, report: KeptReport] => {
  return Array.isArray(value) && isString(value[0]) && isKeptReport(value[1]);
});

/** Most commands about members per second: of one connection, and of an object. */
const MAX_CHANGES = 20;
const MAX_CHANGES_HERE = 5_000;

/** Most memory of the members of an object, in bytes: an eighth of its 128 MB. */
const MAX_MEMORY = 16_000_000;

const UNANNOUNCED = "you have left, but that can't be announced now; it will be later";
const STORAGE_FULL = "the server's storage takes no more rows; try again";

export interface PresenceParts extends RouterParts {
  readonly connections: Connections;
  readonly router: Router;
  /** Only at the root of a presence channel. */
  readonly authority: Authority | undefined;
  readonly commands: { refuse(connection: Connection, refusal: Refusal): void };
}

export class Presence {
  readonly #parts: PresenceParts;
  readonly #channels = new Map<string, PresentMembers>();
  readonly #memory = { bytes: 0 };
  readonly #rate = newBucket();
  readonly #lists = new MemberLists((name) => this.#ask(name));
  #newest = 0;
  /** Whether an attachment has reports. */
  #hasKept = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  flush(): void {
    this.#parts.authority?.flush();
  }

  /** Restores the members of connections that hibernated, and reports those whose connections are gone. */
  start(): void {
    const { runtime, connections } = this.#parts;
    const { kept } = connections;
    const isUntold = kept !== undefined && "untold" in kept && kept.untold === true;
    for (const connection of connections) {
      for (const [channel, entered] of connection.entered) this.#channel(channel).restore(connection, entered);
    }
    const reports = this.#keptReports();
    this.#hasKept = reports !== undefined && reports.size > 0;
    for (const [key, value] of [...runtime.store.list(ROW)]) {
      const channel = this.#channel(key.slice(ROW.length));
      channel.hasRow = true;
      const since = rowOf(value, isRow)?.since;
      if (since !== undefined) channel.pendingRetry = { since, next: undefined };
      const isComplete = reports !== undefined && channel.restoreAnswered(reports.get(channel.name));
      if (since === undefined && !isUntold && channel.size > 0 && isComplete) continue;
      channel.doubt();
      this.#report(channel);
    }
    if (isUntold) connections.keep({ untold: undefined });
  }

  /**
   * Returns which reports were answered before this object hibernated; undefined if that has gone with the connection
   * whose attachment had it.
   */
  #keptReports(): Map<string, KeptReport> | undefined {
    const { kept } = this.#parts.connections;
    const reports = kept && "reports" in kept ? kept.reports : undefined;
    return areReports(reports) ? new Map(reports) : undefined;
  }

  /** Has the answered reports survive hibernation, if they are few, so that this object doesn't have to list all members again. */
  settle(): void {
    const channels = [...this.#channels.values()].slice(0, MAX_KEPT);
    const reports = channels.flatMap(({ name, answeredReport }) => (answeredReport ? [[name, answeredReport]] : []));
    if (reports.length > 0 || this.#hasKept) this.#parts.connections.keep({ reports });
    this.#hasKept = reports.length > 0;
  }

  /** The channels that have members with connections here. */
  get channels(): string[] {
    return [...this.#channels.values()].filter(({ size }) => size > 0).map(({ name }) => name);
  }

  /** The number of members with connections here. */
  get size(): number {
    let size = 0;
    for (const channel of this.#channels.values()) size += channel.size;
    return size;
  }

  // --- commands

  /**
   * Makes a connection present in a channel.
   * @returns a promise that resolves when the change has been announced; undefined if nothing changes
   * @throws CommandError, at once or later, if it isn't carried out
   */
  enter(connection: Connection, name: string, member: Member): Promise<void> | undefined {
    const entered = { ...member, at: this.#parts.runtime.now() };
    const before = connection.entered.get(name);
    if (before?.member === entered.member && before.data === entered.data) {
      const known = this.#channel(name);
      if (known.dataOf(entered.member) === entered.data) return this.#whenKnown(known, entered.member);
    }
    this.checkRate(connection);
    this.#checkRoom(connection, name, entered);
    const channel = this.#channelToEnter(name);
    const dataBefore = channel.add(connection, entered.member, entered.data);
    this.#parts.connections.setEntered(connection, name, entered);
    const undo = () => {
      channel.restoreData(entered.member, entered.data, dataBefore);
      this.#undo(connection, channel, entered, before);
    };
    const known = this.#whenKnown(channel, entered.member, undo);
    if (!before || before.member === entered.member) return known;
    // The new name may be refused, and must not cost the old one.
    return this.#rename(connection, channel, before.member, known);
  }

  /** Ends the presence under the old name once that under the new one is announced. */
  async #rename(connection: Connection, channel: PresentMembers, old: string, known: Promise<void> | undefined) {
    await known;
    this.#remove(connection, channel, old, !connection.closed);
    // The new name is announced. If the end of the old one can't be announced now, it is announced later.
    await this.#whenKnown(channel, old)?.catch(() => {});
  }

  /** Restores what a connection had entered before. */
  #undo(connection: Connection, channel: PresentMembers, entered: Entered, before: Entered | undefined): void {
    const isRename = before?.member !== entered.member;
    if (connection.closed || connection.entered.get(channel.name) !== entered) {
      if (before && isRename) this.#remove(connection, channel, before.member, !connection.closed);
      return;
    }
    if (isRename) channel.remove(connection, entered.member, true);
    // In the meantime, others may have taken the place of the name before.
    const isPresent = before && channel.has(connection, before.member);
    this.#parts.connections.setEntered(connection, channel.name, isPresent ? before : undefined);
  }

  /**
   * Ends a connection's presence in a channel, if there is any. Resolves when that has been announced.
   * @throws CommandError, at once or later, if it can't be announced now
   */
  leave(connection: Connection, name: string): Promise<void> | undefined {
    const before = connection.entered.get(name);
    if (!before) return undefined;
    this.checkRate(connection);
    const channel = this.#channel(name);
    channel.remove(connection, before.member, true);
    this.#parts.connections.setEntered(connection, name, undefined);
    return this.#whenKnown(channel, before.member, undefined, new CommandError("uncertain", UNANNOUNCED));
  }

  /** Ends the presence of a connection that is about to be removed. Its members may come back for a while. */
  end(connection: Connection): void {
    this.#withdraw(connection, () => true, false);
  }

  /** Ends the presence of a connection where its grants no longer allow it. */
  endWhere(connection: Connection, isDenied: (channel: string, member: string) => boolean): void {
    this.#withdraw(connection, isDenied, true);
  }

  #withdraw(connection: Connection, isOver: (channel: string, member: string) => boolean, left: boolean): void {
    for (const [name, { member }] of [...connection.entered]) {
      if (!isOver(name, member)) continue;
      this.#parts.connections.setEntered(connection, name, undefined);
      this.#remove(connection, this.#channel(name), member, left);
    }
  }

  #remove(connection: Connection, channel: PresentMembers, member: string, left: boolean): void {
    channel.remove(connection, member, left);
    if (!channel.knows(member)) this.#report(channel);
  }

  #checkRoom(connection: Connection, name: string, entered: Member): void {
    const { connections, limits } = this.#parts;
    if (limits.historySeconds === 0) throw new CommandError("no-history", NO_PRESENCE);
    if (!connections.canEnter(connection, name, entered)) {
      throw new CommandError("limit", "the names of this connection's channels and members are too long together");
    }
    if (this.#memory.bytes > MAX_MEMORY) {
      throw new CommandError("unavailable", "this object has no memory for more members; connect again");
    }
  }

  /** Returns a channel whose row is stored, so that a crash can't make this object forget it. */
  #channelToEnter(name: string): PresentMembers {
    const channel = this.#channel(name);
    channel.hasRow ||= this.#parts.runtime.store.put(ROW + name, {});
    if (channel.hasRow) return channel;
    this.#forget(channel);
    throw new CommandError("unavailable", STORAGE_FULL);
  }

  /**
   * Resolves when the authority knows the state of a member, and this object has received the announcement; undefined if
   * that is so.
   * @param undo restores the state before the member was entered, if the authority refuses it or doesn't answer
   * @param failure what the client is told if the authority doesn't answer, unless that is the cause
   */
  #whenKnown(
    channel: PresentMembers,
    member: string,
    undo?: () => void,
    failure?: CommandError,
  ): Promise<void> | undefined {
    if (channel.knows(member)) return undefined;
    const known = new Promise<void>((resolve, reject) => {
      channel.waiting.push({ member, undo, failure, resolve, reject });
    });
    this.#report(channel);
    return known;
  }

  /**
   * Charges a connection for a command about members.
   * @throws CommandError if there are too many
   */
  checkRate(connection: Connection): void {
    const now = this.#parts.runtime.now();
    if (take(connection.presenceRate, 1, MAX_CHANGES, now) === 0) {
      throw new CommandError(
        "rate",
        `a connection enters, leaves and lists members at most ${MAX_CHANGES} times per second; try again`,
      );
    }
    if (take(this.#rate, 1, MAX_CHANGES_HERE, now) === 0) {
      throw new CommandError("rate", "too many members enter and leave at once; try again");
    }
  }

  // --- reports

  #channel(name: string): PresentMembers {
    const known = this.#channels.get(name) ?? new PresentMembers(name, this.#memory);
    this.#channels.set(name, known);
    return known;
  }

  /** Reports what the authority doesn't know, unless that is under way. */
  #report(channel: PresentMembers): void {
    const { runtime, schedule } = this.#parts;
    if (channel.hasChanged) schedule.due(runtime.now() + CRASH_CHECK);
    schedule.stay();
    if (channel.isReporting) return;
    channel.isReporting = true;
    runtime.keep(this.#reportAll(channel));
  }

  async #reportAll(channel: PresentMembers): Promise<void> {
    const { schedule } = this.#parts;
    try {
      while (!channel.isKnown) {
        // Commands until then share the call.
        schedule.flush();
        await schedule.flushed;
        await this.#reportOnce(channel);
      }
      this.#finish(channel);
    } catch (error) {
      this.#fail(channel, error);
    } finally {
      channel.isReporting = false;
      schedule.stay();
    }
  }

  async #reportOnce(channel: PresentMembers): Promise<void> {
    const answered = await retry(this.#parts.runtime, () => this.#attempt(channel));
    assert(answered !== undefined, "a report is repeated until it is answered");
    const { report, answer } = answered;
    if ("newer" in answer) {
      this.#newest = Math.max(this.#newest, answer.newer);
      // The newest report that was carried out is from before this object woke.
      if (answer.known > report.number) channel.renumber();
      if (answer.known === report.number) channel.doubt();
    } else if ("behind" in answer) channel.doubt();
    else if ("full" in answer) throw new CommandError("unavailable", STORAGE_FULL);
    else if ("none" in answer) throw new CommandError("no-history", NO_PRESENCE);
    else this.#answered(channel, report, answer);
  }

  async #attempt(channel: PresentMembers) {
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const report = channel.report(this.#parts.runtime.name, this.#newest);
    try {
      return { report, answer: await this.#send(channel.name, report) };
    } catch (error) {
      // The authority may have carried it out.
      channel.doubt();
      throw error;
    }
  }

  async #send(channel: string, report: PresenceReport): Promise<PresenceAnswer> {
    const authority = presenceOf(channel);
    if (authority !== this.#parts.runtime.name) return this.#parts.runtime.call(authority, "present", report);
    return this.#own.report(report);
  }

  #answered(
    channel: PresentMembers,
    report: PresenceReport,
    { refused, position, isNew }: Extract<PresenceAnswer, { refused: string[] }>,
  ) {
    const most = this.#parts.limits.membersPerChannel;
    channel.answered(report, refused);
    for (const { undo, reject } of channel.takeRefused(refused)) {
      undo?.();
      reject(new CommandError("limit", tooManyMembers(most)));
    }
    for (const member of refused) this.#end(channel, member);
    for (const { resolve } of channel.takeDone()) resolve(this.#received(channel.name, position, isNew));
  }

  /** Ends the presence of connections whose member is refused later: others had taken its place in the meantime. */
  #end(channel: PresentMembers, member: string): void {
    const { connections, commands, limits } = this.#parts;
    const why = tooManyMembers(limits.membersPerChannel);
    for (const connection of channel.refusedConnectionsOf(member)) {
      channel.remove(connection, member, true);
      // It may be changing its name.
      if (connection.entered.get(channel.name)?.member !== member) continue;
      connections.setEntered(connection, channel.name, undefined);
      commands.refuse(connection, { code: "limit", command: "enter", argument: channel.name, why });
    }
  }

  /** Resolves when this object has received the announcement; undefined if it has, or isn't linked to the presence channel. */
  #received(name: string, position: number, isNew: boolean): Promise<void> | undefined {
    const { upstream } = this.#parts.router;
    const channel = presenceOf(name);
    // After hibernation, an object doesn't know whether it has received earlier announcements.
    return isNew || !upstream.isUnlocated(channel) ? upstream.reached(channel, position) : undefined;
  }

  /** The authority knows everything: without members, nothing is left to do. */
  #finish(channel: PresentMembers): void {
    const { store } = this.#parts.runtime;
    const wasPending = channel.pendingRetry !== undefined;
    channel.pendingRetry = undefined;
    // The last report may have been refused as late. Members that were never reported, and are gone, need no other one.
    for (const { resolve } of channel.takeDone()) resolve(undefined);
    if (channel.size === 0) this.#forget(channel);
    else if (wasPending) store.put(ROW + channel.name, {});
  }

  #forget(channel: PresentMembers): void {
    if (channel.size > 0) return;
    if (channel.hasRow && !this.#parts.runtime.store.delete(ROW + channel.name)) return;
    if (this.#channels.delete(channel.name)) channel.end();
  }

  /** The authority doesn't answer, or refuses: undoes the commands that wait, and tells it later. */
  #fail(channel: PresentMembers, error: unknown): void {
    const why = "the members of this channel can't be reached now; try again";
    const cause = error instanceof CommandError ? error : new CommandError("unavailable", why);
    for (const { undo, reject, failure } of channel.takeAll()) {
      undo?.();
      reject(failure ?? cause);
    }
    channel.doubt();
    if (cause.code === "no-history") this.#forget(channel);
    else this.#postpone(channel);
  }

  /** Notes in storage that the authority has to be told, or in an attachment if storage refuses that. */
  #postpone(channel: PresentMembers): void {
    const { runtime, schedule, connections } = this.#parts;
    channel.pendingRetry ??= { since: runtime.now(), next: undefined };
    postpone(channel.pendingRetry, runtime.now());
    const row = { since: channel.pendingRetry.since };
    if (channel.hasRow && !runtime.store.put(ROW + channel.name, row)) connections.keep({ untold: true });
    schedule.due(this.dueAt);
  }

  /** Reports all members of a channel again, unless the authority knows this object's newest report. */
  restate({ channel: name, number }: RestateRequest): void {
    const channel = this.#channel(name);
    if (channel.isKnownAt(number)) return;
    channel.doubt();
    this.#report(channel);
  }

  // --- lists

  /**
   * Returns the members of a channel, as of after this call.
   * @throws if the authority doesn't answer
   */
  members(name: string): Promise<MembersAnswer> {
    return this.#lists.of(name);
  }

  async #ask(name: string): Promise<MembersAnswer> {
    const authority = presenceOf(name);
    if (authority !== this.#parts.runtime.name) return this.#parts.runtime.call(authority, "members", undefined);
    return this.#own.members();
  }

  get #own(): Authority {
    const { authority } = this.#parts;
    assert(authority !== undefined, "the root of a presence channel is its authority");
    return authority;
  }

  // --- upkeep

  /** When to call `retry`, in milliseconds since 1970; infinite if nothing is left to report. */
  get dueAt(): number {
    const retries = [...this.#channels.values()].flatMap(({ pendingRetry }) => pendingRetry ?? []);
    return earliestRetry(retries, this.#parts.runtime.now());
  }

  /** Makes the reports again that are due. Called by the alarm, which is set again while others are under way. */
  retry(): void {
    const { runtime, schedule } = this.#parts;
    const now = runtime.now();
    for (const channel of this.#channels.values()) {
      if (channel.isReporting) schedule.due(now + CRASH_CHECK);
      else if (channel.pendingRetry && isDue(channel.pendingRetry, now)) this.#report(channel);
    }
  }
}
