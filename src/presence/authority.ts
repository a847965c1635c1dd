/**
 * The root of a presence channel: it knows the members of a channel, and announces how they change. It applies the
 * reports of objects with connections when it flushes, so that changes share rows and positions.
 *
 * A failure may end an object's connections without anything that reports it. So after a start, this object asks those
 * that it hasn't heard from to report again, and also when a client asks for the members after a while.
 */
import { formatChange, type MemberChange, subjectOf } from "../protocol/members.ts";
import { formatMessage } from "../protocol/replies.ts";
import type { MembersAnswer, PresenceAnswer, PresenceReport, RestateRequest } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import type { Counters } from "../stats/counters.ts";
import { sizeOf } from "../tree/peers.ts";
import { earliestRetry, isDue, type PendingRetry, postpone } from "../tree/retry.ts";
import type { Router } from "../tree/router.ts";
import { MemberRows } from "./member-rows.ts";
import { MemberTable } from "./member-table.ts";

/** Most bytes of reports that are pending, of an object's 128 MB. */
const MAX_PENDING = 16_000_000;

/**
 * The shortest time between two rounds of questions, in milliseconds: for each object asked, after a start, and when a
 * client asks. Each question may wake an object.
 */
const INTERVAL_PER_OBJECT = 1_000;
const INTERVAL_OF_STARTS = 30_000;
const INTERVAL_OF_CLIENTS = 60_000;

/** How long objects are expected to report by themselves after a start, in milliseconds. */
const PATIENCE = 500;

/** How soon expired members are removed after storage refused that, in milliseconds. */
const RETRY_AFTER = 10_000;

export interface AuthorityParts extends CoreParts {
  readonly limits: Limits;
  readonly counters: Counters;
  readonly router: Router;
  /** The members with connections at this object. */
  readonly presence: { restate(request: RestateRequest): void };
}

interface PendingReport {
  report: PresenceReport;
  size: number;
  resolve: (answer: PresenceAnswer) => void;
  reject: (error: unknown) => void;
}

export class Authority {
  readonly #parts: AuthorityParts;
  readonly #channel: string;
  readonly #table: MemberTable;
  readonly #rows: MemberRows;
  #pending: PendingReport[] = [];
  #pendingSize = 0;
  /** Objects that haven't reported since they had to be asked, and when they are; infinite if none is left. */
  #unheard = new Set<string>();
  #askAt = Number.POSITIVE_INFINITY;
  #isAsking = false;
  #failed: PendingRetry | undefined;
  /** When to remove members again after storage has refused to, in milliseconds since 1970. */
  #retryAt = 0;

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
    this.#channel = subjectOf(parts.runtime.name) ?? "";
    this.#table = new MemberTable(parts.limits, parts.runtime.now());
    this.#rows = new MemberRows(parts.runtime.store, this.#table);
  }

  /** Restores the members. */
  start(): void {
    this.#rows.restore();
    if (this.#table.size === 0) return;
    const { schedule, runtime } = this.#parts;
    this.#askSoon(PATIENCE, INTERVAL_OF_STARTS);
    schedule.stay();
    // An alarm for the past would go off again.
    if (this.dueAt > runtime.now()) schedule.due(this.dueAt);
    else schedule.flush();
  }

  /** The number of members. */
  get size(): number {
    return this.#table.size;
  }

  // --- reports

  /** Applies a report with the next flush; resolves when the changes are stored and have their positions. */
  async report(report: PresenceReport): Promise<PresenceAnswer> {
    if (this.#parts.limits.historySeconds === 0) return { none: true };
    const size = sizeOf(report);
    if (this.#pendingSize + size > MAX_PENDING) throw new Error("too many reports of members are pending");
    this.#pendingSize += size;
    this.#parts.schedule.flush();
    return new Promise((resolve, reject) => this.#pending.push({ report, size, resolve, reject }));
  }

  /** Applies pending reports, removes members whose grace period is over, and announces all changes. */
  flush(): void {
    const reports = this.#pending.splice(0);
    this.#pendingSize = 0;
    try {
      this.#carryOut(reports);
    } catch (error) {
      this.#table.rollback();
      for (const { reject } of reports) reject(error);
      throw error;
    }
  }

  #carryOut(reports: PendingReport[]): void {
    const now = this.#parts.runtime.now();
    const answers = reports.map(({ report }) => this.#apply(report, now));
    if (now >= this.#retryAt) this.#table.expire(now);
    const before = this.#parts.router.channel.position ?? 0;
    const isStored = this.#commit();
    const position = this.#parts.router.channel.position ?? 0;
    const isNew = position !== before;
    for (const [i, { resolve }] of reports.entries()) {
      const answer = answers[i];
      if (!answer || !isStored) resolve({ full: true });
      else resolve("refused" in answer ? { ...answer, position, isNew } : answer);
    }
  }

  #apply(
    report: PresenceReport,
    now: number,
  ): { refused: string[] } | { newer: number; known: number } | { behind: true } {
    const least = this.#table.leastNumberOf(report.from);
    const known = this.#table.numberOf(report.from);
    if (report.number <= least) return { newer: least, known };
    if (report.after !== undefined && report.after !== known) return { behind: true };
    this.#unheard.delete(report.from);
    return { refused: this.#table.apply(report, now) };
  }

  /** Stores and announces the changes; returns whether storage accepted them. */
  #commit(): boolean {
    if (!this.#table.hasChanged) {
      this.#table.commit();
      return true;
    }
    if (!this.#rows.store()) {
      this.#table.rollback();
      this.#retryAt = this.#parts.runtime.now() + RETRY_AFTER;
      this.#parts.schedule.due(this.dueAt);
      return false;
    }
    this.#announce(this.#table.commit());
    this.#parts.schedule.due(this.dueAt);
    return true;
  }

  #announce(changes: MemberChange[]): void {
    if (changes.length === 0) return;
    const { runtime, router, counters } = this.#parts;
    const lines = changes.map((change) => formatMessage(runtime.name, formatChange(change))).join("");
    router.append({ lines, count: changes.length });
    // Positions are final when they are stored.
    router.channel.store();
    for (const { kind } of changes) counters.note(`members.${kind}`);
  }

  // --- members

  /** Returns the members at the newest position. */
  members(): MembersAnswer {
    const { limits, router, schedule } = this.#parts;
    if (limits.historySeconds === 0) return { none: true };
    if (this.#askAt === Number.POSITIVE_INFINITY && this.#table.size > 0) {
      this.#askSoon(0, INTERVAL_OF_CLIENTS);
      schedule.stay();
    }
    const position = router.channel.locate() ?? 0;
    return { position, members: this.#table.list() };
  }

  // --- asking

  /** Has all objects asked to report again, after a time, unless they were asked lately. */
  #askSoon(after: number, interval: number): void {
    const now = this.#parts.runtime.now();
    const objects = this.#table.objects;
    const next = Math.min(this.#rows.asked, now) + Math.max(interval, INTERVAL_PER_OBJECT * objects.length);
    if (interval === INTERVAL_OF_CLIENTS && now < next) return;
    this.#unheard = new Set(objects);
    this.#askAt = Math.max(now + after, next);
  }

  /** Asks objects to report again, if that is due. */
  #ask(): void {
    const { runtime } = this.#parts;
    if (this.#isAsking || runtime.now() < this.#askAt) return;
    if (this.#failed && !isDue(this.#failed, runtime.now())) return;
    this.#isAsking = true;
    runtime.keep(
      this.#askAll().finally(() => {
        this.#isAsking = false;
      }),
    );
  }

  async #askAll(): Promise<void> {
    const { runtime, schedule } = this.#parts;
    if (this.#unheard.size > 0) {
      this.#rows.asked = runtime.now();
      this.#rows.store();
    }
    const asked = [...this.#unheard].map(async (object) => {
      const request = { channel: this.#channel, number: this.#table.numberOf(object) };
      if (object === runtime.name) this.#parts.presence.restate(request);
      else await runtime.call(object, "restate", request);
      this.#unheard.delete(object);
    });
    const outcomes = await Promise.allSettled(asked);
    if (outcomes.every(({ status }) => status === "fulfilled")) {
      this.#askAt = Number.POSITIVE_INFINITY;
      this.#failed = undefined;
    } else {
      this.#failed ??= { since: runtime.now(), next: undefined };
      postpone(this.#failed, runtime.now());
      schedule.due(this.dueAt);
    }
  }

  // --- upkeep

  /** When the alarm has something to do here, in milliseconds since 1970; infinite if nothing. */
  get dueAt(): number {
    const now = this.#parts.runtime.now();
    return Math.min(Math.max(this.#table.dueAt, this.#retryAt), this.#askingDueAt(now));
  }

  #askingDueAt(now: number): number {
    if (this.#failed) return earliestRetry([this.#failed], now);
    return this.#asksSoon(now) ? Number.POSITIVE_INFINITY : this.#askAt;
  }

  /** Whether the object stays in memory to ask, which saves setting the alarm. */
  #asksSoon(now: number): boolean {
    return this.#isAsking || (this.#failed === undefined && this.#askAt <= now + PATIENCE);
  }

  /** Handles the alarm. */
  alarmed(): void {
    if (this.#table.dueAt <= this.#parts.runtime.now()) this.flush();
    this.#ask();
  }

  /**
   * Handles the passing of a second.
   * @returns whether the object must stay in memory for another one
   */
  proceed(): boolean {
    const now = this.#parts.runtime.now();
    if (this.#table.dueAt <= now) this.#parts.schedule.flush();
    this.#ask();
    return this.#asksSoon(now);
  }
}
