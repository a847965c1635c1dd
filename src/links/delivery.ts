/** One link at its delivering end, and what goes down it at a time. */
import type { Log } from "./log.ts";
import type { Delivery } from "./messages.ts";
import { channelOf } from "./names.ts";

/** Most characters in one delivery; the runtime's own limit for a call is 32 MiB. */
const MAX_DELIVERY = 1_000_000;

export interface Link {
  readonly object: string;
  readonly epoch: number;
  /** Everything up to this position has arrived. */
  acknowledged: number;
  /** How far it is has to be asked first. */
  unknown: boolean;
  /** A call failed since then, so some of what follows may have arrived too. */
  unsure: boolean;
  /** Messages were dropped; all that is left to send is this fact. */
  lost: boolean;
  /** Storage would not take that; until it is told, this object must not leave memory. */
  unwritten: boolean;
  sending: boolean;
}

/** What a link is behind by, or what is to be asked or said before that. */
export function nextDelivery(
  { epoch, acknowledged, unknown, unsure: again, lost }: Link,
  log: Log,
  from: string,
  number: number,
): Delivery {
  const messages = lost || unknown ? { lines: "", count: 0 } : log.since(acknowledged, MAX_DELIVERY);
  const channel = channelOf(from);
  const where = unknown && !lost;
  const after = where ? (log.position ?? 0) : acknowledged;
  return { channel, from, epoch, number, after, ...messages, again, lost, where };
}
