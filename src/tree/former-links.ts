/**
 * What is known of channels that this object has left.
 *
 * **The parent**, where that was a child. When all of a channel's listeners come back at one time, as after a deploy,
 * their objects ask these, and not each of them the root.
 *
 * **The position.** The same connection may subscribe again, and the link may then be to a child that has yet to
 * receive what this connection has read already: it must not read that twice.
 */

import type { Runtime } from "../runtime/runtime.ts";
import { ARRIVAL_TIMEOUT } from "./position-waiters.ts";
import type { UpstreamLink } from "./upstream-link.ts";

/** Channels that are remembered. */
const MOST = 1_000;

export class FormerLinks {
  readonly #now: () => number;
  readonly #parents = new Map<string, string>();
  readonly #positions = new Map<string, { last: number; at: number }>();

  constructor({ now }: Pick<Runtime, "now">) {
    this.#now = now;
  }

  /** Notes a link that this object ends; `last` is the newest position that has arrived, if that is known. */
  add({ channel, parent, last }: Pick<UpstreamLink, "channel" | "parent" | "last">): void {
    if (parent !== channel) remember(this.#parents, channel, parent);
    // It may have been left again before it was as far as before.
    if (last !== undefined && last > this.lastPosition(channel))
      remember(this.#positions, channel, { last, at: this.#now() });
  }

  /** Returns the child by which a channel was heard, once: if it does not answer, the root is to name another one. */
  takeParent(channel: string): string | undefined {
    const parent = this.#parents.get(channel);
    this.#parents.delete(channel);
    return parent;
  }

  /** The position that had arrived of a channel; 0 if that is so long ago that every child has it, or is cut off. */
  lastPosition(channel: string): number {
    const { last, at } = this.#positions.get(channel) ?? { last: 0, at: 0 };
    return this.#now() < at + ARRIVAL_TIMEOUT ? last : 0;
  }

  /** The position that had arrived of a channel may never be reached again. */
  forgetPosition(channel: string): void {
    this.#positions.delete(channel);
  }
}

function remember<T>(map: Map<string, T>, channel: string, value: T): void {
  if (map.size >= MOST) map.clear();
  map.set(channel, value);
}
