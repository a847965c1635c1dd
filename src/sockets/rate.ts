/**
 * A token bucket: how much of something may be done now, if so much may be done in a second. It holds
 * what one second allows. An object stays in memory for that long after an event, so a bucket is full
 * by the time it is forgotten, and need not outlive hibernation.
 */
export interface Bucket {
  /** What was in it at `at`. */
  level: number;
  /** Milliseconds since 1970. */
  at: number;
}

/** A full one. */
export function newBucket(): Bucket {
  return { level: 0, at: 0 };
}

/** Takes out as much of `wanted` as there is, in whole numbers; says how much that was. */
export function take(bucket: Bucket, wanted: number, perSecond: number, now: number): number {
  const refill = (Math.max(0, now - bucket.at) * perSecond) / 1000;
  const level = Math.min(perSecond, bucket.level + refill);
  const taken = Math.min(wanted, Math.floor(level));
  bucket.level = level - taken;
  bucket.at = now;
  return taken;
}
