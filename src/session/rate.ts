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
  const level = levelOf(bucket, perSecond, now);
  const taken = Math.min(wanted, Math.floor(level));
  bucket.level = level - taken;
  bucket.at = now;
  return taken;
}

/**
 * Takes `cost` out, even if that is more than the bucket holds: the debt has to flow in before anything else is taken.
 * A cost of more than a full bucket needs a full one.
 * @returns 0 if it was taken; else the milliseconds until it can be
 */
export function charge(bucket: Bucket, cost: number, perSecond: number, now: number): number {
  const level = levelOf(bucket, perSecond, now);
  const needed = Math.min(cost, perSecond);
  const isEnough = level >= needed;
  bucket.level = isEnough ? level - cost : level;
  bucket.at = now;
  return isEnough ? 0 : ((needed - level) * 1_000) / perSecond;
}

/** Returns whether a bucket is like a new one. */
export function isFull(bucket: Bucket, perSecond: number, now: number): boolean {
  return levelOf(bucket, perSecond, now) >= perSecond;
}

function levelOf({ level, at }: Bucket, perSecond: number, now: number): number {
  return Math.min(perSecond, level + (Math.max(0, now - at) * perSecond) / 1_000);
}
