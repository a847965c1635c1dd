/** Placement: finding the object of a channel's tree that accepts a new connection. */

import type { Fault } from "../protocol/errors.ts";
import { channelOf, parentOf } from "../runtime/object-names.ts";
import type { Placement } from "../tree/capacity.ts";
import type { StreamEnvironment } from "./environment.ts";
import { UNANSWERED } from "./object-connection.ts";

/** How long a child is cached, in milliseconds. */
const CACHED_FOR = 10_000;
/** Most channels in the cache. */
const MAX_CACHED = 1_000;
/** Most objects asked for one connection. It takes more than three only if many connections compete. */
const MAX_ASKED = 16;
/** Timeouts of one object's answer and of the whole search, in milliseconds. */
const ANSWER_TIMEOUT = 15_000;
const SEARCH_TIMEOUT = 30_000;

const FULL: Fault = { code: "unavailable", why: "every object of this channel is full; try again" };

/** A connection offered to an object. */
export interface Offer {
  object: string;
  /** The object's child that turned out to be full; "" if none did. */
  full: string;
  /** Whether the object, if it is full, must place the connection below itself. */
  below: boolean;
}

/** An object's answer to an offer: it accepts the connection, or redirects it to another object. */
export type Answer<T> = { accepted: T } | { redirect: Placement };

/** The objects of a channel's tree, as they are reached for one client. */
export interface Objects<T> {
  /** @throws anything if the object doesn't answer */
  offer(offer: Offer): Promise<Answer<T>>;
  /** Closes a connection that was accepted too late. */
  discard(accepted: T): void;
}

/** The child to try first, of channels whose root is full, and until when. */
export type PlacementCache = Map<string, { child: string; until: number }>;

/** Places a connection in the channel's root, or, if the root is full, in a child that it names. */
export async function findPlacement<T>(
  channel: string,
  objects: Objects<T>,
  cache: PlacementCache,
  environment: StreamEnvironment,
): Promise<{ accepted: T } | Fault> {
  const deadline = environment.now() + SEARCH_TIMEOUT;
  const known = cache.get(channel);
  const first = known && known.until > environment.now() ? known.child : channel;
  let offer: Offer | undefined = { object: first, full: "", below: false };
  let fallback = first === channel ? undefined : { ...offer, object: channel };
  for (let asked = 0; offer && asked < MAX_ASKED; asked++) {
    const until = Math.min(deadline, environment.now() + ANSWER_TIMEOUT);
    const answer = await answerTo(offer, objects, environment, until);
    if (answer && "accepted" in answer) return answer;
    // A cached child may have gone, and the root may have room again.
    if (!answer?.redirect.object) cache.delete(channel);
    if (answer) offer = follow(channel, offer, answer.redirect, cache, environment.now());
    else offer = fallback;
    fallback = undefined;
  }
  return offer ? FULL : UNANSWERED;
}

/** Returns the next offer; undefined if the named object isn't one of the channel's. */
function follow(
  channel: string,
  { object }: Offer,
  { object: child, below }: Placement,
  cache: PlacementCache,
  now: number,
): Offer | undefined {
  if (child === "") return { object: parentOf(object) ?? channel, full: object, below };
  if (channelOf(child) !== channel) return undefined;
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(channel, { child, until: now + CACHED_FOR });
  return { object: child, full: "", below };
}

/** Returns undefined if the object doesn't answer before the deadline. */
async function answerTo<T>(
  offer: Offer,
  objects: Objects<T>,
  environment: StreamEnvironment,
  deadline: number,
): Promise<Answer<T> | undefined> {
  const pending = objects.offer(offer).catch(() => undefined);
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const cancel = environment.after(Math.max(0, deadline - environment.now()), () => resolve(undefined));
  const answer = await Promise.race([pending, late]);
  cancel();
  const discard = (late: Answer<T> | undefined) => {
    if (late && "accepted" in late) objects.discard(late.accepted);
  };
  if (!answer) void pending.then(discard);
  return answer;
}
