/** Lines buffered for slow readers, within a memory budget that all readers of a Worker share. */

/** Most characters in one piece, which is what a reader receives at a time; a larger frame is a piece by itself. */
const PIECE = 65_536;

/** Overhead of a pending frame, in characters. */
const FRAME_OVERHEAD = 64;

/** Time after which a reader that takes nothing of its pending lines has stalled, in milliseconds. */
export const STALLED_AFTER = 60_000;

/** Most pending characters, of one reader and of all. */
export interface BacklogLimits {
  forOne: number;
  forAll: number;
}

/** The pending lines of all readers of a Worker. */
export class Budget {
  readonly limits: BacklogLimits;
  readonly #pending = new Set<Backlog>();
  #size = 0;

  constructor(limits: BacklogLimits) {
    this.limits = limits;
  }

  /** Pending characters. */
  get size(): number {
    return this.#size;
  }

  /** Records that the size of a backlog changed by a number of characters. */
  note(backlog: Backlog, characters: number): void {
    this.#size += characters;
    if (backlog.size > 0) this.#pending.add(backlog);
    else this.#pending.delete(backlog);
  }

  /**
   * Sheds backlogs until the rest are within the budget: first those of stalled readers, because requests that the
   * runtime has abandoned look like them; then the largest.
   */
  enforce(now: number): void {
    if (this.#size <= this.limits.forAll) return;
    for (const backlog of this.#pending) if (backlog.isStalled(now)) backlog.shed();
    while (this.#size > this.limits.forAll) this.#largest()?.shed();
  }

  #largest(): Backlog | undefined {
    let largest: Backlog | undefined;
    for (const backlog of this.#pending) if (backlog.size > (largest?.size ?? 0)) largest = backlog;
    return largest;
  }
}

/** The pending lines of one reader. */
export class Backlog {
  readonly #budget: Budget;
  /** Whole lines. */
  #frames: string[] = [];
  /** The start of a line whose end hasn't been received. */
  #unfinished = "";
  #size = 0;
  #isShed = false;
  #takenAt: number;

  constructor(budget: Budget, now: number) {
    this.#budget = budget;
    this.#takenAt = now;
  }

  /** Pending characters, with their overhead. */
  get size(): number {
    return this.#size;
  }

  /** Whether there are whole lines to take. */
  get hasLines(): boolean {
    return this.#frames.length > 0;
  }

  /** Whether lines were dropped because too many were pending: the reader must not receive any later ones either. */
  get isShed(): boolean {
    return this.#isShed;
  }

  isStalled(now: number): boolean {
    return this.#size > 0 && now - this.#takenAt >= STALLED_AFTER;
  }

  /** Appends text, which may end within a line. If too much is pending then, this backlog or another one is shed. */
  push(text: string, now: number): void {
    if (this.#isShed) return;
    if (this.#size === 0) this.#takenAt = now;
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0) this.#unfinished += text;
    else {
      this.#frames.push(this.#unfinished + (end === text.length ? text : text.slice(0, end)));
      this.#unfinished = text.slice(end);
    }
    this.#resize(this.#size + text.length + FRAME_OVERHEAD);
    if (this.#size > this.#budget.limits.forOne) this.shed();
    else this.#budget.enforce(now);
  }

  /** Takes whole lines, at most one piece; returns "" if none are pending. */
  take(now: number): string {
    const { count, length } = this.#piece();
    if (count === 0) return "";
    this.#takenAt = now;
    const frames = this.#frames;
    this.#frames = frames.slice(count);
    const isAll = count === frames.length;
    this.#resize(isAll ? this.#unfinished.length : this.#size - length - count * FRAME_OVERHEAD);
    return count === 1 ? (frames[0] ?? "") : frames.slice(0, count).join("");
  }

  /** Drops an unfinished line, because no more text will follow. */
  finish(): void {
    const rest = this.#size - this.#unfinished.length;
    this.#unfinished = "";
    this.#resize(this.#frames.length === 0 ? 0 : rest);
  }

  /** Drops everything because too much is pending. */
  shed(): void {
    this.#isShed = true;
    this.drop();
  }

  /** Drops everything. */
  drop(): void {
    this.#frames = [];
    this.#unfinished = "";
    this.#resize(0);
  }

  /** Returns how many frames make the next piece, and their characters. */
  #piece(): { count: number; length: number } {
    let count = 0;
    let length = 0;
    for (const frame of this.#frames) {
      if (count > 0 && length + frame.length > PIECE) break;
      count += 1;
      length += frame.length;
    }
    return { count, length };
  }

  #resize(size: number): void {
    const change = size - this.#size;
    this.#size = size;
    this.#budget.note(this, change);
  }
}
