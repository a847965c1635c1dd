/** One link at its receiving end, and whether what is delivered by it goes on where it is. */

import type { Delivery } from "../runtime/calls.ts";
import type { PositionFloors } from "./position-floors.ts";
import type { LinkRow } from "./unlinks.ts";

/** A link that this object has asked for. */
export interface UpstreamLink {
  readonly channel: string;
  /** The object that delivers: the channel's root, or a child of it. */
  parent: string;
  epoch: number;
  /** What the parent's own parent, which named it, vouched for. */
  vouched: number | undefined;
  /** The position of the newest message that has arrived; unknown after this object left memory. */
  last: number | undefined;
  /** The number of the newest delivery since then. */
  newestDelivery: number;
  /** Whether the parent has ever answered that it is linked. */
  linked: boolean;
  /** Whether storage has a row of it. */
  hasRow: boolean;
  /** Whether others may rely on the link: else its parent is to be asked first whether it is still there. */
  confirmed: boolean;
  /** Whether that has been called into question since the parent was last asked. */
  doubted: boolean;
  /** Settles when the parent has answered; undefined once it has. */
  asking: Promise<void> | undefined;
}

/** What an object knows of a link besides its row. */
export type UpstreamLinkState = Pick<UpstreamLink, "last" | "linked" | "hasRow" | "confirmed">;

/** A link with such a row, in this life of the object. */
export function newLink(channel: string, { parent, epoch }: LinkRow, known: UpstreamLinkState): UpstreamLink {
  const asked = {
    channel,
    parent,
    epoch,
    vouched: undefined,
    newestDelivery: 0,
    doubted: false,
    asking: undefined,
  };
  return { ...asked, ...known };
}

/**
 * True if a message before those in a delivery never came, or nobody can know: after its object left memory a link trusts
 * the sender's word on what it has, but not about a call that may have been carried out while that still was in memory,
 * nor if the root has forgotten its numbers. What has come before comes again only from a sender that does not know
 * whether it has; else that has lost its place.
 */
export function isMissingMessages(
  { channel, last }: UpstreamLink,
  { after, again, lost, follows = after }: Delivery,
  floors: PositionFloors,
): boolean {
  if (lost || last === undefined) return lost || again || floors.isBeyond(channel, follows);
  if (last === follows) return false;
  return after > last || (after < last && !again);
}
