/** Limits how often all objects are polled, however often clients ask. */

/** Up to this many objects are polled for each request. Each poll is a call, and may wake the object. */
const ALWAYS_POLLED = 10;
/** The result of polling more objects is cached, for this many milliseconds per object. */
const CACHED_PER_OBJECT = 10;

/**
 * Returns a function whose result is cached or newer than the call. Polls run one at a time; concurrent callers share the
 * next one.
 * @param poll polls all objects
 * @param objectsOf returns how many objects a result includes
 */
export function polling<Result>(
  poll: () => Promise<Result>,
  objectsOf: (result: Result) => number,
  now: () => number,
): () => Promise<Result> {
  /** Settles when the current poll has. */
  let current: Promise<unknown> = Promise.resolve();
  /** The poll that starts after it. */
  let next: Promise<Result> | undefined;
  let cached: { result: Result; until: number } | undefined;

  const startNext = async () => {
    await current;
    next = undefined;
    const polled = poll();
    current = polled.catch(() => {});
    const result = await polled;
    const objects = objectsOf(result);
    if (objects > ALWAYS_POLLED) cached = { result, until: now() + objects * CACHED_PER_OBJECT };
    return result;
  };

  return () => {
    if (cached && now() < cached.until) return Promise.resolve(cached.result);
    next ??= startNext();
    return next;
  };
}
