/** A link at its receiving end, and whether a delivery continues where the link is. */

import type { Delivery } from "../runtime/calls.ts";
import type { PositionFloors } from "./position-floors.ts";

/** A link that this object has requested. */
export interface UpstreamLink {
  readonly channel: string;
  /** The object that delivers: the channel's root or a child. */
  parent: string;
  epoch: number;
  /** The epoch of the parent's own link, as reported by the object that named the parent. */
  vouched: number | undefined;
  /** The position of the newest message that has arrived; undefined after this object has left memory. */
  last: number | undefined;
  /** The number of the newest delivery since then. */
  newestDelivery: number;
  /** Whether the parent has ever accepted the link. */
  linked: boolean;
  /** Whether storage has a row of the link. */
  hasRow: boolean;
  /** Whether others may rely on the link. Otherwise, the parent is first asked whether the link still exists. */
  confirmed: boolean;
  /** Whether the link has been called into question since the parent was last asked. */
  doubted: boolean;
  /** Settles when the parent has answered; undefined if there is no request in flight. */
  asking: Promise<void> | undefined;
}

/**
 * Whether a message before those in a delivery is missing, or may be missing. Senders repeat messages only if they
 * don't know whether these have arrived; a sender that repeats others has lost its position. If this object has left
 * memory, it doesn't know the link's position and trusts the sender's. But it can't trust a repeated delivery, which
 * may have arrived before, nor a position below the channel's floor.
 */
export function isMissingMessages(
  { channel, last }: UpstreamLink,
  { after, again, lost, follows = after }: Delivery,
  floors: PositionFloors,
): boolean {
  if (lost || last === undefined) return lost || again || floors.isBelow(channel, follows);
  if (last === follows) return false;
  return after > last || (after < last && !again);
}
