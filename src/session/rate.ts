/**
 * A token bucket that holds the allowance of one second. Objects stay in memory for that long after an event, so a bucket
 * is full again before its object hibernates, and need not be persisted.
 */
export interface Bucket {
  /** Its contents at `at`. */
  level: number;
  /** Milliseconds since 1970. */
  at: number;
}

/** Returns a full bucket. */
export function newBucket(): Bucket {
  return { level: 0, at: 0 };
}

/** Takes up to `wanted` out of a bucket, as a whole number, and returns how much it took. */
export function take(bucket: Bucket, wanted: number, perSecond: number, now: number): number {
  const level = levelOf(bucket, perSecond, now);
  const taken = Math.min(wanted, Math.floor(level));
  bucket.level = level - taken;
  bucket.at = now;
  return taken;
}

/**
 * Takes all of `cost` out of a bucket, or nothing. A cost above `perSecond` needs a full bucket and leaves a debt, which
 * must be paid off before the next charge.
 * @returns 0 on success; else the milliseconds until the charge can succeed
 */
export function charge(bucket: Bucket, cost: number, perSecond: number, now: number): number {
  const level = levelOf(bucket, perSecond, now);
  const needed = Math.min(cost, perSecond);
  const isEnough = level >= needed;
  bucket.level = isEnough ? level - cost : level;
  bucket.at = now;
  return isEnough ? 0 : ((needed - level) * 1_000) / perSecond;
}

export function isFull(bucket: Bucket, perSecond: number, now: number): boolean {
  return levelOf(bucket, perSecond, now) >= perSecond;
}

function levelOf({ level, at }: Bucket, perSecond: number, now: number): number {
  return Math.min(perSecond, level + (Math.max(0, now - at) * perSecond) / 1_000);
}
