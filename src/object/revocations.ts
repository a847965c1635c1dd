/**
 * Revokes tokens. The root of `all` stores which subjects are revoked, and sends that down the tree of `all`: every object
 * with connections closes those of revoked tokens. The root retries objects that don't answer. An object that links to
 * `all` afterwards requests the revocations.
 */
import { assert } from "../assert.ts";
import type { Grants } from "../auth/grants.ts";
import { type Revocation, Revocations } from "../auth/revocations.ts";
import { EVERYONE } from "../protocol/channels.ts";
import type { RevokeAnswer, RevokedAnswer } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import { isBoolean, isNumber, rowOf, shape } from "../runtime/rows.ts";
import { CRASH_CHECK } from "../runtime/schedule.ts";
import type { TokenParts, Tokens } from "../session/tokens.ts";
import { isDue, type PendingRetry, postpone, retry, retryAt } from "../tree/retry.ts";

const ROW = "revoked:";

/** Most subjects that are revoked at a time: newcomers' checks fetch them all. */
const MAX_REVOKED = 10_000;

/** How long tokens stay revoked that may be valid forever, in milliseconds: ten years. */
const FOREVER = 10 * 365 * 24 * 3_600_000;

/** Seconds for which tokens are accepted after they have expired. */
const CLOCK_TOLERANCE = 5;

const isRow = shape({
  before: isNumber,
  until: isNumber,
  number: isNumber,
  /** Whether some objects may not have it. */
  pending: isBoolean,
});

interface RevocationParts extends TokenParts {
  readonly tokens: Tokens;
}

export class RevokedTokens {
  readonly #parts: RevocationParts;
  /** At the root of `all`, all revocations. */
  readonly #revoked = new Map<string, Revocation>();
  /** Those that some objects may not have. */
  #pending: Revocation[] = [];
  /** The objects that didn't answer. */
  #unreachable = new Set<string>();
  #pendingRetry: PendingRetry | undefined;
  #isRetrying = false;
  /** The revocations that this object has received. */
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

  /** Restores the revocations at the root of `all`, and sends those again that were pending before a crash. */
  start(): void {
    const { kept } = this.#parts.connections;
    if (kept && "missesRevocations" in kept && kept.missesRevocations === true) this.linked();
    if (!this.#isRoot) return;
    for (const [key, value] of this.#parts.runtime.store.list(ROW)) {
      const row = rowOf(value, isRow);
      if (!row) continue;
      const { pending, ...revocation } = { ...row, sub: key.slice(ROW.length) };
      this.#revoked.set(revocation.sub, revocation);
      if (pending) this.#pending.push(revocation);
    }
    if (this.#pending.length === 0) return;
    this.#parts.schedule.due(this.#parts.runtime.now() + CRASH_CHECK);
    this.#parts.runtime.keep(this.#send(this.#pending));
  }

  // --- at the root of `all`

  /**
   * Revokes the tokens of a subject; resolves when all reachable objects have closed its connections.
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
    const { objects, unreachable } = await this.#send([revocation]);
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

  /** Deletes revocations whose tokens have expired. */
  #expire(now: number): void {
    for (const { sub, until } of this.#revoked.values()) {
      if (until <= now && this.#parts.runtime.store.delete(ROW + sub)) this.#revoked.delete(sub);
    }
  }

  /** Sends revocations to all objects, and retries those that don't answer. */
  async #send(revocations: Revocation[]): Promise<RevokedAnswer> {
    const answer = await this.apply(revocations);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#settle(revocations);
    return answer;
  }

  #settle(revocations: Revocation[]): void {
    if (this.#unreachable.size === 0) {
      for (const revocation of revocations) {
        // The row of a subject that was revoked again is newer.
        if (this.#revoked.get(revocation.sub) === revocation) this.#write(revocation, false);
      }
      this.#pending = this.#pending.filter((pending) => !revocations.includes(pending));
      this.#pendingRetry = undefined;
      return;
    }
    this.#postpone();
  }

  /** When to call `proceed`, in milliseconds since 1970; infinite if nothing is due. */
  get dueAt(): number {
    const { runtime } = this.#parts;
    let dueAt = this.#pendingRetry ? retryAt(this.#pendingRetry, runtime.now()) : Number.POSITIVE_INFINITY;
    for (const { until } of this.#revoked.values()) dueAt = Math.min(dueAt, until);
    return dueAt;
  }

  /** Handles the alarm: retries objects that didn't answer, and deletes expired revocations. */
  proceed(): void {
    const { runtime } = this.#parts;
    this.#expire(runtime.now());
    if (this.#isRetrying || !this.#pendingRetry || !isDue(this.#pendingRetry, runtime.now())) return;
    if (!this.#isRoot) {
      this.linked();
      return;
    }
    this.#isRetrying = true;
    runtime.keep(this.#retry());
  }

  async #retry(): Promise<void> {
    const revocations = [...this.#pending];
    const objects = [...this.#unreachable];
    const answer = await this.#call(objects, revocations);
    // What was revoked in the meantime may not have reached them.
    const isAll = this.#pending.every((pending) => revocations.includes(pending));
    if (isAll) for (const object of objects) this.#unreachable.delete(object);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#isRetrying = false;
    this.#settle(revocations);
  }

  // --- everywhere

  /** Closes the connections of revoked tokens, here and at the objects below this one in the tree of `all`. */
  async apply(revocations: Revocation[]): Promise<RevokedAnswer> {
    const { runtime, router } = this.#parts;
    this.#known.add(revocations);
    this.#close();
    const below = channelOf(runtime.name) === EVERYONE ? [...router.downstream.objects] : [];
    const { objects, unreachable } = await this.#call(below, revocations);
    return { objects: objects + 1, unreachable };
  }

  async #call(objects: string[], revocations: Revocation[]): Promise<RevokedAnswer> {
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

  /** Whether a token is revoked by any revocation that this object has received. */
  isRevoked(grants: Grants): boolean {
    return this.#known.isRevoked(grants);
  }

  /** Requests new revocations. Without an answer from the root of `all`, the known ones count. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#known
      .refresh()
      .catch(() => {})
      .finally(() => {
        this.#refreshing = undefined;
      });
    await this.#refreshing;
  }

  /** This object has linked to `all`, and may have missed revocations before that. */
  linked(): void {
    const hasSubjects = [...this.#parts.connections].some(({ grants }) => grants?.sub !== undefined);
    if (!hasSubjects || this.#isRoot) return;
    this.#parts.runtime.keep(this.#catchUp());
  }

  /** Requests missed revocations, and retries that by the alarm; the note of that survives hibernation. */
  async #catchUp(): Promise<void> {
    const { runtime, connections } = this.#parts;
    try {
      await retry(runtime, () => this.#known.fetch());
      if (connections.kept && "missesRevocations" in connections.kept)
        connections.keep({ missesRevocations: undefined });
      this.#pendingRetry = undefined;
      this.#close();
    } catch {
      connections.keep({ missesRevocations: true });
      this.#postpone();
    }
  }

  #postpone(): void {
    const { runtime, schedule } = this.#parts;
    this.#pendingRetry ??= { since: runtime.now(), next: undefined };
    postpone(this.#pendingRetry, runtime.now());
    schedule.due(this.dueAt);
    schedule.stay();
  }
}
