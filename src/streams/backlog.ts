/** Lines on their way to readers that don't take them at once, within a memory budget for a whole Worker. */

/** Characters in one piece: what a reader is given at a time, unless one frame has more. */
const PIECE = 65_536;

/** Characters that a pending frame counts for besides its own. */
const FRAME_OVERHEAD = 64;

/** How long a reader may take nothing while something is pending, in milliseconds. */
export const STALLED_AFTER = 60_000;

/** Most pending characters. */
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

  /** Notes that the size of a backlog has changed by so many characters. */
  note(backlog: Backlog, characters: number): void {
    this.#size += characters;
    if (backlog.size > 0) this.#pending.add(backlog);
    else this.#pending.delete(backlog);
  }

  /**
   * Sheds backlogs until the rest are within the budget: first those whose readers have stalled, as requests that the
   * runtime has given up look the same; then the largest.
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
  /** The beginning of a line whose end hasn't arrived. */
  #unfinished = "";
  #size = 0;
  #isShed = false;
  #takenAt: number;

  constructor(budget: Budget, now: number) {
    this.#budget = budget;
    this.#takenAt = now;
  }

  /** Pending characters, and those of overhead. */
  get size(): number {
    return this.#size;
  }

  /** Whether there are whole lines to take. */
  get hasLines(): boolean {
    return this.#frames.length > 0;
  }

  /** Whether lines were dropped as too many were pending: what follows them must not be given to the reader either. */
  get isShed(): boolean {
    return this.#isShed;
  }

  /** Whether the reader has taken nothing for long, though something is pending. */
  isStalled(now: number): boolean {
    return this.#size > 0 && now - this.#takenAt >= STALLED_AFTER;
  }

  /** Appends text, cut anywhere. If too much is pending then, this backlog or another one is shed. */
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

  /** Takes whole lines, one piece at most; returns "" if there are none. */
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

  /** Drops the beginning of a line, because its end won't arrive. */
  finish(): void {
    const rest = this.#size - this.#unfinished.length;
    this.#unfinished = "";
    this.#resize(this.#frames.length === 0 ? 0 : rest);
  }

  /** Drops everything that is pending because it is too much. */
  shed(): void {
    this.#isShed = true;
    this.drop();
  }

  /** Drops everything that is pending. */
  drop(): void {
    this.#frames = [];
    this.#unfinished = "";
    this.#resize(0);
  }

  /** How many frames make a piece, and their characters. */
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
