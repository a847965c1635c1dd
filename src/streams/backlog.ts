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
  /** Pending characters. */
  size = 0;
  readonly #pending = new Set<Backlog>();

  constructor(limits: BacklogLimits) {
    this.limits = limits;
  }

  /** Records that the size of a backlog changed by a number of characters. */
  note(backlog: Backlog, characters: number): void {
    this.size += characters;
    if (backlog.size > 0) this.#pending.add(backlog);
    else this.#pending.delete(backlog);
  }

  /**
   * Sheds backlogs until the rest are within the budget: first those of stalled readers, because requests that the
   * runtime has abandoned look like them; then the largest.
   */
  enforce(now: number): void {
    if (this.size <= this.limits.forAll) return;
    for (const backlog of this.#pending) if (backlog.isStalled(now)) backlog.shed();
    const largestOf = (one: Backlog, other: Backlog) => (other.size > one.size ? other : one);
    while (this.size > this.limits.forAll) [...this.#pending].reduce(largestOf).shed();
  }
}

/** The pending lines of one reader. */
export class Backlog {
  /** Pending characters, with their overhead. */
  size = 0;
  /** Whether lines were dropped because too many were pending: the reader must not receive any later ones either. */
  isShed = false;
  readonly #budget: Budget;
  /** Whole lines. */
  #frames: string[] = [];
  /** The start of a line whose end hasn't been received. */
  #unfinished = "";
  #takenAt: number;

  constructor(budget: Budget, now: number) {
    this.#budget = budget;
    this.#takenAt = now;
  }

  /** Whether there are whole lines to take. */
  get hasLines(): boolean {
    return this.#frames.length > 0;
  }

  isStalled(now: number): boolean {
    return this.size > 0 && now - this.#takenAt >= STALLED_AFTER;
  }

  /** Appends text, which may end within a line. If too much is pending then, this backlog or another one is shed. */
  push(text: string, now: number): void {
    if (this.isShed) return;
    if (this.size === 0) this.#takenAt = now;
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0) this.#unfinished += text;
    else {
      this.#frames.push(this.#unfinished + (end === text.length ? text : text.slice(0, end)));
      this.#unfinished = text.slice(end);
    }
    this.#resize(this.size + text.length + FRAME_OVERHEAD);
    if (this.size > this.#budget.limits.forOne) this.shed();
    else this.#budget.enforce(now);
  }

  /** Takes whole lines, at most one piece; returns "" if none are pending. */
  take(now: number): string {
    let count = 0;
    let length = 0;
    for (const frame of this.#frames) {
      if (count > 0 && length + frame.length > PIECE) break;
      count += 1;
      length += frame.length;
    }
    if (count === 0) return "";
    this.#takenAt = now;
    const piece = this.#frames.splice(0, count).join("");
    this.#resize(this.hasLines ? this.size - length - count * FRAME_OVERHEAD : this.#unfinished.length);
    return piece;
  }

  /** Drops an unfinished line, because no more text will follow. */
  finish(): void {
    this.#resize(this.hasLines ? this.size - this.#unfinished.length : 0);
    this.#unfinished = "";
  }

  /** Drops everything because too much is pending. */
  shed(): void {
    this.isShed = true;
    this.drop();
  }

  /** Drops everything. */
  drop(): void {
    this.#frames = [];
    this.#unfinished = "";
    this.#resize(0);
  }

  #resize(size: number): void {
    const change = size - this.size;
    this.size = size;
    this.#budget.note(this, change);
  }
}
