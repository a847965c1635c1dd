/**
 * Remembers two things about links that have ended.
 *
 * **The parent**, if it was a child. When all clients of a channel reconnect at once, as after a deploy, their objects
 * ask these children for links, instead of all asking the root.
 *
 * **The position.** A client may subscribe again, and the new parent may lag behind the old one. The position keeps the
 * client from getting messages twice.
 */

import type { Runtime } from "../runtime/runtime.ts";
import { ARRIVAL_TIMEOUT } from "./position-waiters.ts";
import type { UpstreamLink } from "./upstream-link.ts";

/** The most channels that are remembered. */
const MAX_CHANNELS = 1_000;

export class FormerLinks {
  readonly #now: () => number;
  readonly #parents = new Map<string, string>();
  readonly #positions = new Map<string, { last: number; at: number }>();

  constructor({ now }: Pick<Runtime, "now">) {
    this.#now = now;
  }

  /** Records a link that has ended; `last` is the newest position that arrived over it, if known. */
  add({ channel, parent, last }: Pick<UpstreamLink, "channel" | "parent" | "last">): void {
    if (parent !== channel) remember(this.#parents, channel, parent);
    // A link that ended early may not have caught up with the one before.
    if (last !== undefined && last > this.lastPosition(channel))
      remember(this.#positions, channel, { last, at: this.#now() });
  }

  /**
   * Returns the child that was a channel's parent, only once: if it doesn't answer, the next request goes to the root.
   */
  takeParent(channel: string): string | undefined {
    const parent = this.#parents.get(channel);
    this.#parents.delete(channel);
    return parent;
  }

  /** Returns the newest position that arrived; 0 once any child must have reached it, or been cut off. */
  lastPosition(channel: string): number {
    const { last, at } = this.#positions.get(channel) ?? { last: 0, at: 0 };
    return this.#now() < at + ARRIVAL_TIMEOUT ? last : 0;
  }

  /** Forgets the position of a channel whose root may never reach it again. */
  forgetPosition(channel: string): void {
    this.#positions.delete(channel);
  }
}

function remember<T>(map: Map<string, T>, channel: string, value: T): void {
  if (map.size >= MAX_CHANNELS) map.clear();
  map.set(channel, value);
}
