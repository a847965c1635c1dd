/**
 * Fetches missed messages of a channel from its root, which is another object. Requests of several connections share
 * a call. The root's messages are joined with the messages that the link delivers in the meantime, without gaps or
 * duplicates.
 */

import { Log } from "../channel/log.ts";
import { dropLines, firstLines } from "../protocol/frames.ts";
import type { MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { retry } from "./retry.ts";
import type { Upstream } from "./upstream.ts";

/**
 * The most characters of live messages buffered for a channel while its root is asked. Past that, requests start over.
 */
const MAX_BUFFERED = 4_000_000;

/** The answer of a root that has a history. */
export type RetainedMessages = Exclude<MissedAnswer, { none: true }>;

/** The requests for missed messages of one channel that are in progress. */
interface PendingCatchUp {
  /** The messages that have arrived since the first request. */
  readonly log: Log;
  requests: number;
  /** Whether messages have been lost since, or the channel was renumbered. */
  isAborted: boolean;
  /** The combined requests for the next call. */
  wanted: MissedRequest;
  /** The next call, which starts after the current one. */
  next: Promise<MissedAnswer> | undefined;
  /** The call in flight. */
  current: Promise<unknown> | undefined;
}

export class CatchUp {
  readonly #runtime: Runtime;
  readonly #pending = new Map<string, PendingCatchUp>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Whether any connection is catching up on a channel. */
  isPending(channel: string): boolean {
    return this.#pending.has(channel);
  }

  /** Records messages of a channel that have arrived over its link. */
  append(channel: string, lines: string, count: number): void {
    const pending = this.#pending.get(channel);
    if (!pending) return;
    pending.log.append(lines, count);
    if (pending.log.size > MAX_BUFFERED) this.abort(channel);
  }

  /** Aborts the requests of a channel, because this object no longer knows its position there. */
  abort(channel: string): void {
    const pending = this.#pending.get(channel);
    if (!pending) return;
    pending.isAborted = true;
    this.#pending.delete(channel);
  }

  /**
   * Passes missed messages of a channel to `accept`, up to the newest one that has arrived here at that moment.
   * @returns false if the request was aborted, so that it has to start over
   * @throws if the root doesn't answer
   */
  async readMissed(
    channel: string,
    links: Pick<Upstream, "positionOf" | "reached">,
    wanted: MissedRequest,
    accept: (answer: MissedAnswer) => void,
  ): Promise<boolean> {
    const pending = this.#pendingFor(channel, links.positionOf(channel));
    pending.requests += 1;
    try {
      const answer = await this.#ask(channel, pending, wanted);
      // The client may have received newer messages from another object: wait until they arrive here.
      if (!("none" in answer)) await links.reached(channel, Math.min(wanted.since ?? 0, answer.after + answer.count));
      if (pending.isAborted || pending.log.position !== links.positionOf(channel)) return false;
      accept("none" in answer ? answer : join(answer, pending.log));
      return true;
    } finally {
      pending.requests -= 1;
      if (pending.requests === 0 && this.#pending.get(channel) === pending) this.#pending.delete(channel);
    }
  }

  /** Returns the catch-up in progress. Starts a new one for the first request, or after the link was replaced. */
  #pendingFor(channel: string, position: number | undefined): PendingCatchUp {
    const known = this.#pending.get(channel);
    if (known && known.log.position === position) return known;
    this.abort(channel);
    const pending: PendingCatchUp = {
      log: new Log(position),
      requests: 0,
      isAborted: false,
      wanted: { since: undefined, last: 0 },
      next: undefined,
      current: undefined,
    };
    this.#pending.set(channel, pending);
    return pending;
  }

  /** Adds a request to the next call. Each channel has one call in flight. */
  #ask(channel: string, pending: PendingCatchUp, { since, last }: MissedRequest): Promise<MissedAnswer> {
    const { wanted } = pending;
    if (since !== undefined) wanted.since = Math.min(since, wanted.since ?? since);
    wanted.last = Math.max(last, wanted.last);
    pending.next ??= this.#askNext(channel, pending);
    return pending.next;
  }

  async #askNext(channel: string, pending: PendingCatchUp): Promise<MissedAnswer> {
    await pending.current?.catch(() => {});
    await this.#runtime.turn();
    const { wanted, next } = pending;
    pending.wanted = { since: undefined, last: 0 };
    pending.current = next;
    pending.next = undefined;
    const ask = () => this.#runtime.call(channel, "recover", wanted);
    return (await retry(this.#runtime, ask, () => !pending.isAborted)) ?? { none: true };
  }
}

/** Trims or extends the root's messages, so that they end with the newest message that has arrived here. */
function join(retained: RetainedMessages, arrived: Log): RetainedMessages {
  const { position = 0, start = position } = arrived;
  const end = retained.after + retained.count;
  if (retained.after > position) return { after: position, count: 0, lines: "" };
  if (end >= position) {
    const count = position - retained.after;
    return { after: retained.after, count, lines: firstLines(retained.lines, count) };
  }
  if (end < start) return arrived.since(start, Number.POSITIVE_INFINITY);
  const more = arrived.since(end, Number.POSITIVE_INFINITY);
  return { after: retained.after, count: retained.count + more.count, lines: retained.lines + more.lines };
}

/** The messages that one connection has missed. */
export interface MissedMessages extends RetainedMessages {
  /** Messages after this position, up to `after`, are missing; undefined if there is no gap. */
  gap: number | undefined;
}

/** Selects one connection's messages from the answer to a combined request. */
export function selectMissed({ since, last }: MissedRequest, retained: RetainedMessages): MissedMessages {
  const end = retained.after + retained.count;
  const from = since ?? Math.max(retained.after, end - last);
  const isInRange = from >= retained.after && from <= end;
  // A position beyond the end may belong to messages that the root has lost.
  const after = isInRange ? from : from < retained.after ? retained.after : end;
  const lines = dropLines(retained.lines, after - retained.after);
  return { gap: isInRange ? undefined : from, after, count: end - after, lines };
}
