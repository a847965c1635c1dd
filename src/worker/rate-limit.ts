/**
 * What requests cost, in lines of a connection, and how much each network address may spend per second. Each Worker
 * counts by itself, and there are many. (Objects count the commands of their connections.)
 */
import { tooManyLines } from "../protocol/refusals.ts";
import { type Bucket, charge, isFull, newBucket } from "../session/rate.ts";
import { networkOf } from "./addresses.ts";
import { Denial, retryAfter } from "./denial.ts";
import { log } from "./log.ts";

/** The price of waking or linking an object: a call, a second of its time and up to three rows. */
export const OBJECT = 10;

/** The price of a message. */
export const MESSAGE = 1;

/** Most addresses with buckets of their own. */
const MOST_ADDRESSES = 10_000;

/** Least time between two sweeps, in milliseconds: each looks at all addresses. */
const SWEEP_INTERVAL = 1_000;

/** Buckets of addresses that spent something lately, and one that all other addresses share when there are too many. */
const spent = new Map<string, Bucket>();
const others = newBucket();
let sweptAt = 0;

/**
 * Charges a request to its address.
 * @param cost in lines
 * @throws Denial if the address has spent its share
 */
export function chargeAddress({ headers }: Request, cost: number, linesPerSecond: number): void {
  const address = headers.get("CF-Connecting-IP");
  // Only the platform sets it: without it, nothing distinguishes clients.
  if (address === null) return;
  const wait = charge(bucketOf(networkOf(address), linesPerSecond), cost, linesPerSecond, Date.now());
  if (wait === 0) return;
  log("refused.429");
  const why = tooManyLines(linesPerSecond);
  throw new Denial(429, "rate", why, retryAfter(Math.ceil(wait / 1_000)));
}

function bucketOf(network: string, linesPerSecond: number): Bucket {
  const known = spent.get(network);
  if (known) return known;
  if (spent.size >= MOST_ADDRESSES) sweep(linesPerSecond);
  if (spent.size >= MOST_ADDRESSES) return others;
  const bucket = newBucket();
  spent.set(network, bucket);
  return bucket;
}

/** Forgets addresses with full buckets: nothing distinguishes them from new addresses. */
function sweep(linesPerSecond: number): void {
  const now = Date.now();
  if (now - sweptAt < SWEEP_INTERVAL) return;
  sweptAt = now;
  for (const [network, bucket] of spent) if (isFull(bucket, linesPerSecond, now)) spent.delete(network);
}
