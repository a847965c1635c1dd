/** One announcement of a program, until it is settled. */
import { utf8Length } from "../protocol/text.ts";
import { Refused } from "./errors.ts";
import { mayBeAnnounced, type Outbox, type Pending } from "./outbox.ts";
import { limitTime } from "./timing.ts";
import type { AnnounceOptions } from "./types.ts";
import type { World } from "./world.ts";

/** Bytes of a line besides its message, channel and key. */
const LINE_OVERHEAD = 10;

/**
 * Puts a message into the outbox.
 * @returns its position; undefined where the channel retains no messages
 * @throws Refused if too many are pending, the server refuses it or time is over; the reason of an aborted signal
 */
export function announce(
  world: World,
  outbox: Outbox,
  message: Pick<Pending, "channel" | "text" | "key" | "sequence">,
  options: AnnounceOptions,
): Promise<number | undefined> {
  const { channel, text, key } = message;
  const size = utf8Length(text) + utf8Length(channel) + key.length + LINE_OVERHEAD;
  return new Promise((resolve, reject) => {
    const pending: Pending = {
      ...message,
      size,
      isInFlight: false,
      isUnsure: false,
      isSettled: false,
      resolve: (position) => {
        cancel();
        resolve(position);
      },
      reject: (error) => {
        cancel();
        reject(error);
      },
    };
    outbox.add(pending);
    const giveUp = (reason: unknown) => {
      outbox.drop(pending);
      reject(reason);
    };
    const cancel = limitTime(world, options, () => lateFor(pending, options), giveUp);
  });
}

function lateFor(pending: Pending, { timeout }: AnnounceOptions): Refused {
  if (!mayBeAnnounced(pending))
    return new Refused("unavailable", `the message couldn't be sent within ${timeout} ms`);
  return new Refused("uncertain", `no reply came within ${timeout} ms; announce it again with the same key`);
}
