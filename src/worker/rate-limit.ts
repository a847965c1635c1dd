/**
 * The rate limit of HTTP requests per network address. Costs are in lines, like those of a connection's commands, which
 * objects count. Each isolate counts by itself.
 */
import { tooManyLines } from "../protocol/refusals.ts";
import { type Bucket, charge, isFull, newBucket } from "../session/rate.ts";
import { networkOf } from "./addresses.ts";
import { Denial, retryAfter } from "./denial.ts";

/** The cost of waking or linking an object: a call, a second of its time and up to three rows. */
export const OBJECT_COST = 10;

/** The cost of a message. */
export const MESSAGE_COST = 1;

/** Most addresses with their own buckets. */
const MAX_ADDRESSES = 10_000;

/** Least time between two sweeps, in milliseconds: each looks at all addresses. */
const SWEEP_INTERVAL = 1_000;

/** Buckets of recent addresses, and one that further addresses share when there are too many. */
const buckets = new Map<string, Bucket>();
const sharedBucket = newBucket();
let sweptAt = 0;

/**
 * Charges a request to its address.
 * @param cost in lines
 * @throws Denial if the address exceeds its limit
 */
export function chargeAddress({ headers }: Request, cost: number, linesPerSecond: number): void {
  const address = headers.get("CF-Connecting-IP");
  // Only the platform sets the header; without it, clients can't be told apart.
  if (address === null) return;
  const wait = charge(bucketOf(networkOf(address), linesPerSecond), cost, linesPerSecond, Date.now());
  if (wait === 0) return;
  const why = tooManyLines(linesPerSecond);
  throw new Denial(429, "rate", why, retryAfter(Math.ceil(wait / 1_000)));
}

/**
 * Charges an address for a request that is carried out already, because its cost is known only then. The address pays
 * the debt off before its next request.
 * @param cost in lines
 */
export function debitAddress({ headers }: Request, cost: number, linesPerSecond: number): void {
  const address = headers.get("CF-Connecting-IP");
  if (address !== null) bucketOf(networkOf(address), linesPerSecond).level -= cost;
}

function bucketOf(network: string, linesPerSecond: number): Bucket {
  const known = buckets.get(network);
  if (known) return known;
  if (buckets.size >= MAX_ADDRESSES) sweep(linesPerSecond);
  if (buckets.size >= MAX_ADDRESSES) return sharedBucket;
  const bucket = newBucket();
  buckets.set(network, bucket);
  return bucket;
}

/** Deletes full buckets: an address with a full bucket is the same as a new one. */
function sweep(linesPerSecond: number): void {
  const now = Date.now();
  if (now - sweptAt < SWEEP_INTERVAL) return;
  sweptAt = now;
  for (const [network, bucket] of buckets) if (isFull(bucket, linesPerSecond, now)) buckets.delete(network);
}
