/**
 * What connections of this object have missed of a channel whose root is another object: asked of the root, at one
 * time for all who ask, and joined to what arrives here meanwhile. So nothing is missing and nothing comes twice
 * where what was kept ends and what comes live begins.
 */

import { Log } from "../channel/log.ts";
import { dropLines, firstLines } from "../protocol/frames.ts";
import type { MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { retry } from "./retry.ts";

/** Characters that may arrive of a channel while its root is asked. */
const MOST_MEANWHILE = 4_000_000;

/** What a root has, where it keeps any. */
type RetainedMessages = Exclude<MissedAnswer, { none: true }>;

/** Where an object is in a channel. */
interface LinkProgress {
  position: () => number | undefined;
  reached: (position: number) => Promise<void> | undefined;
}

/** Recoveries of one channel that are under way. */
interface PendingCatchUp {
  /** What has arrived since the first of them began. */
  readonly log: Log;
  users: number;
  /** Whether this object has lost its place in the channel since. */
  isBroken: boolean;
  /** What those want who have not been asked for yet. */
  wanted: MissedRequest;
  /** Settles when they are answered, and when those before them are. */
  next: Promise<MissedAnswer> | undefined;
  current: Promise<unknown> | undefined;
}

export class CatchUp {
  readonly #runtime: Runtime;
  readonly #pending = new Map<string, PendingCatchUp>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Whether somebody here is about to hear a channel. */
  isPending(channel: string): boolean {
    return this.#pending.has(channel);
  }

  /** Messages of a channel have arrived. */
  append(channel: string, lines: string, count: number): void {
    const tail = this.#pending.get(channel);
    if (!tail) return;
    tail.log.append(lines, count);
    if (tail.log.size > MOST_MEANWHILE) this.abort(channel);
  }

  /** This object does not know any more where in a channel it is. */
  abort(channel: string): void {
    const tail = this.#pending.get(channel);
    if (!tail) return;
    tail.isBroken = true;
    this.#pending.delete(channel);
  }

  /**
   * Hands over what was missed of a channel, up to where this object is in it at that moment.
   * @param link tells the position of the newest message of it that has arrived here, undefined without a link to it;
   * and when one has been reached, undefined if it has been, or there is no link
   * @returns whether that was done; else this object has lost its place meanwhile
   * @throws anything if the root does not answer
   */
  async readMissed(
    channel: string,
    { position, reached }: LinkProgress,
    wanted: MissedRequest,
    take: (kept: MissedAnswer) => void,
  ): Promise<boolean> {
    const tail = this.#tailOf(channel, position());
    tail.users += 1;
    try {
      const kept = await this.#ask(channel, tail, wanted);
      // One of its connections may have been further, by another object.
      if (!("none" in kept)) await reached(Math.min(wanted.since ?? 0, kept.after + kept.count));
      if (tail.isBroken || tail.log.position !== position()) return false;
      take("none" in kept ? kept : join(kept, tail.log));
      return true;
    } finally {
      tail.users -= 1;
      if (tail.users === 0 && this.#pending.get(channel) === tail) this.#pending.delete(channel);
    }
  }

  /** What arrives, from now on at the latest, of the link that there is: there may have been another one before. */
  #tailOf(channel: string, position: number | undefined): PendingCatchUp {
    const known = this.#pending.get(channel);
    if (known && known.log.position === position) return known;
    this.abort(channel);
    const wanted = { since: undefined, last: 0 };
    const log = new Log(position);
    const asking = { wanted, next: undefined, current: undefined };
    const tail: PendingCatchUp = { log, users: 0, isBroken: false, ...asking };
    this.#pending.set(channel, tail);
    return tail;
  }

  /** One call at a time is under way for a channel; what is wanted meanwhile goes with the next one. */
  #ask(channel: string, tail: PendingCatchUp, { since, last }: MissedRequest): Promise<MissedAnswer> {
    const { wanted } = tail;
    if (since !== undefined) wanted.since = Math.min(since, wanted.since ?? since);
    wanted.last = Math.max(last, wanted.last);
    tail.next ??= this.#askNext(channel, tail);
    return tail.next;
  }

  async #askNext(channel: string, tail: PendingCatchUp): Promise<MissedAnswer> {
    await tail.current?.catch(() => {});
    await this.#runtime.turn();
    const { wanted, next } = tail;
    tail.wanted = { since: undefined, last: 0 };
    tail.current = next;
    tail.next = undefined;
    const ask = () => this.#runtime.call(channel, "recover", wanted);
    return (await retry(this.#runtime, ask, () => !tail.isBroken)) ?? { none: true };
  }
}

/** What the root has told, up to where this object is: less of it, or more. */
function join(kept: RetainedMessages, arrived: Log): RetainedMessages {
  const { position = 0, start = position } = arrived;
  const end = kept.after + kept.count;
  if (kept.after > position) return { after: position, count: 0, lines: "" };
  if (end >= position) {
    const count = position - kept.after;
    return { after: kept.after, count, lines: firstLines(kept.lines, count) };
  }
  if (end < start) return arrived.since(start, Number.POSITIVE_INFINITY);
  const more = arrived.since(end, Number.POSITIVE_INFINITY);
  return { after: kept.after, count: kept.count + more.count, lines: kept.lines + more.lines };
}

/** What one connection has missed. */
export interface MissedMessages extends RetainedMessages {
  /** The position from which on messages are not to be had, up to `after`; undefined if all are. */
  gap: number | undefined;
}

/** What one connection has missed of what was missed by all who asked. */
export function selectMissed({ since, last }: MissedRequest, kept: RetainedMessages): MissedMessages {
  const end = kept.after + kept.count;
  const from = since ?? Math.max(kept.after, end - last);
  const isThere = from >= kept.after && from <= end;
  // A position that there is not yet may be of messages that there are no more.
  const after = isThere ? from : from < kept.after ? kept.after : end;
  const lines = dropLines(kept.lines, after - kept.after);
  return { gap: isThere ? undefined : from, after, count: end - after, lines };
}
