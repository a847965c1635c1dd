/**
 * Revokes tokens. The root of `all` stores which subjects are revoked, and passes that down the tree of `all`: every
 * object with connections ends those of revoked tokens. Objects that don't answer are told later. An object that links to
 * `all` later asks for the revocations that it has missed.
 */
import { assert } from "../assert.ts";
import type { Grants } from "../auth/grants.ts";
import { type Revocation, Revocations } from "../auth/revocations.ts";
import { EVERYONE } from "../protocol/channels.ts";
import type { RevokeAnswer, RevokedAnswer } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import { isBoolean, isNumber, rowOf, shape } from "../runtime/rows.ts";
import type { TokenParts, Tokens } from "../session/tokens.ts";
import { isDue, type PendingRetry, postpone, retry, retryAt } from "../tree/retry.ts";

const ROW = "revoked:";

/** Most subjects that are revoked at a time: newcomers' checks fetch them all. */
const MAX_REVOKED = 10_000;

/** How long tokens stay revoked that may be valid forever, in milliseconds: ten years. */
const FOREVER = 10 * 365 * 24 * 3_600_000;

/** Seconds for which tokens are accepted after they have expired. */
const CLOCK_TOLERANCE = 5;

/** When the alarm goes off after a revocation, in milliseconds: it passes on what a crash has held up. */
const CRASH_CHECK = 10_000;

const isRow = shape({
  before: isNumber,
  until: isNumber,
  number: isNumber,
  /** Whether some objects may not know it. */
  pending: isBoolean,
});

interface RevocationParts extends TokenParts {
  readonly tokens: Tokens;
}

export class RevokedTokens {
  readonly #parts: RevocationParts;
  /** At the root of `all`, all revocations. */
  readonly #revoked = new Map<string, Revocation>();
  /** Those that some objects may not know. */
  #pending: Revocation[] = [];
  /** The objects that didn't answer. */
  #unreachable = new Set<string>();
  #pendingRetry: PendingRetry | undefined;
  #isRetrying = false;
  /** What this object knows. */
  readonly #known: Revocations;
  #refreshing: Promise<void> | undefined;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.#known = new Revocations((after) => this.#fetch(after), parts.runtime.now);
  }

  async #fetch(after: number): Promise<Revocation[]> {
    if (this.#isRoot) return this.listAfter(after);
    return (await this.#parts.runtime.call(EVERYONE, "revocations", { after })).revocations;
  }

  get #isRoot(): boolean {
    return this.#parts.runtime.name === EVERYONE;
  }

  /** Restores the revocations at the root of `all`, and passes on those that a crash may have held up. */
  start(): void {
    if (!this.#isRoot) return;
    for (const [key, value] of this.#parts.runtime.store.list(ROW)) {
      const row = rowOf(value, isRow);
      if (!row) continue;
      const { pending, ...revocation } = { ...row, sub: key.slice(ROW.length) };
      this.#revoked.set(revocation.sub, revocation);
      if (pending) this.#pending.push(revocation);
    }
    if (this.#pending.length > 0) this.#parts.runtime.keep(this.#passOn(this.#pending));
  }

  // --- at the root of `all`

  /**
   * Revokes the tokens of a subject; resolves when all objects have been told that answer.
   * @throws Error if storage refuses that
   */
  async revoke(sub: string): Promise<RevokeAnswer> {
    assert(this.#isRoot, "tokens are revoked at the root of `all`");
    const { runtime, guard, schedule } = this.#parts;
    const now = runtime.now();
    this.#expire(now);
    if (this.#revoked.size >= MAX_REVOKED && !this.#revoked.has(sub)) return { limit: MAX_REVOKED };
    const until = now + (guard?.maxSeconds === undefined ? FOREVER : (guard.maxSeconds + CLOCK_TOLERANCE) * 1_000);
    const newest = Math.max(0, ...[...this.#revoked.values()].map(({ number }) => number));
    const revocation = { sub, before: Math.floor(now / 1_000), until, number: Math.max(newest + 1, now) };
    if (!this.#write(revocation, true)) throw new Error("the server's storage takes no more rows");
    this.#revoked.set(sub, revocation);
    this.#pending.push(revocation);
    schedule.due(now + CRASH_CHECK);
    const { objects, unreachable } = await this.#passOn([revocation]);
    return { revocation, objects, unreachable: unreachable.length };
  }

  /** Returns the revocations after a number. */
  listAfter(after: number): Revocation[] {
    this.#expire(this.#parts.runtime.now());
    return [...this.#revoked.values()].filter(({ number }) => number > after);
  }

  #write({ sub, ...revocation }: Revocation, pending: boolean): boolean {
    return this.#parts.runtime.store.put(ROW + sub, { ...revocation, pending });
  }

  /** Forgets revocations whose tokens have expired. */
  #expire(now: number): void {
    for (const { sub, until } of this.#revoked.values()) {
      if (until <= now && this.#parts.runtime.store.delete(ROW + sub)) this.#revoked.delete(sub);
    }
  }

  /** Passes revocations on to all objects, and later to those that don't answer. */
  async #passOn(revocations: Revocation[]): Promise<RevokedAnswer> {
    const answer = await this.apply(revocations);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#settle(revocations);
    return answer;
  }

  #settle(revocations: Revocation[]): void {
    const { runtime, schedule } = this.#parts;
    if (this.#unreachable.size === 0) {
      for (const revocation of revocations) this.#write(revocation, false);
      this.#pending = this.#pending.filter((pending) => !revocations.includes(pending));
      this.#pendingRetry = undefined;
      return;
    }
    this.#pendingRetry ??= { since: runtime.now(), next: undefined };
    postpone(this.#pendingRetry, runtime.now());
    schedule.due(this.dueAt);
    schedule.stay();
  }

  /** When to call `proceed`, in milliseconds since 1970; infinite if nothing is due. */
  get dueAt(): number {
    const { runtime } = this.#parts;
    let dueAt = this.#pendingRetry ? retryAt(this.#pendingRetry, runtime.now()) : Number.POSITIVE_INFINITY;
    for (const { until } of this.#revoked.values()) dueAt = Math.min(dueAt, until);
    return dueAt;
  }

  /** Handles the alarm: tells objects again that didn't answer, and forgets what has expired. */
  proceed(): void {
    const { runtime } = this.#parts;
    this.#expire(runtime.now());
    if (this.#isRetrying || !this.#pendingRetry || !isDue(this.#pendingRetry, runtime.now())) return;
    this.#isRetrying = true;
    runtime.keep(this.#retry());
  }

  async #retry(): Promise<void> {
    const revocations = [...this.#pending];
    const objects = [...this.#unreachable];
    const answer = await this.#tell(objects, revocations);
    for (const object of objects) this.#unreachable.delete(object);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#isRetrying = false;
    this.#settle(revocations);
  }

  // --- everywhere

  /** Ends the connections of revoked tokens, here and at the objects below this one in the tree of `all`. */
  async apply(revocations: Revocation[]): Promise<RevokedAnswer> {
    const { runtime, router } = this.#parts;
    this.#known.add(revocations);
    this.#close();
    const below = channelOf(runtime.name) === EVERYONE ? [...router.downstream.objects] : [];
    const { objects, unreachable } = await this.#tell(below, revocations);
    return { objects: objects + 1, unreachable };
  }

  async #tell(objects: string[], revocations: Revocation[]): Promise<RevokedAnswer> {
    const { runtime } = this.#parts;
    const answers = await Promise.all(
      objects.map((object) =>
        retry(runtime, () => runtime.call(object, "revoked", { revocations })).catch(() => undefined),
      ),
    );
    const reached = answers.filter((answer) => answer !== undefined);
    return {
      objects: reached.reduce((sum, answer) => sum + answer.objects, 0),
      unreachable: [
        ...objects.filter((_, i) => answers[i] === undefined),
        ...reached.flatMap(({ unreachable }) => unreachable),
      ],
    };
  }

  #close(): void {
    this.#parts.tokens.closeRevoked((grants) => this.#known.isRevoked(grants));
  }

  /** Whether a token is revoked, as far as this object knows. */
  isRevoked(grants: Grants): boolean {
    return this.#known.isRevoked(grants);
  }

  /** Learns of revocations before a token is judged. While the root of `all` doesn't answer, those known count. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#known
      .refresh()
      .catch(() => {})
      .finally(() => {
        this.#refreshing = undefined;
      });
    await this.#refreshing;
  }

  /** This object has linked to `all`: connections may have been revoked that it had before. */
  linked(): void {
    const hasSubjects = [...this.#parts.connections].some(({ grants }) => grants?.sub !== undefined);
    if (!hasSubjects || this.#isRoot) return;
    const fetched = retry(this.#parts.runtime, () => this.#known.fetch());
    this.#parts.runtime.keep(fetched.then(() => this.#close()).catch(() => {}));
  }
}
