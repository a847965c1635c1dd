/**
 * How much comes from one network address by requests, as far as this Worker can know: there are many of it, and each
 * counts for itself. (A connection's commands its object counts.)
 */
import { Journal } from "../broker/journal.ts";
import { tooManyLines } from "../protocol/refusals.ts";
import { type Bucket, newBucket, take } from "../sockets/rate.ts";
import { Denial, retryAfter } from "./denial.ts";

/** Most addresses that a Worker remembers. */
const MOST_REMEMBERED = 10_000;

const journal = new Journal({ log: (event) => console.warn(JSON.stringify(event)), now: Date.now });

const buckets = new Map<string, Bucket>();

/**
 * Takes a request's lines from what its address may send in a second.
 * @throws Denial if that is more
 */
export function limitAddress(request: Request, lines: number, linesPerSecond: number): void {
  const address = addressOf(request);
  if (address === undefined) return;
  const bucket = buckets.get(address) ?? newBucket();
  if (!buckets.has(address) && buckets.size >= MOST_REMEMBERED) buckets.clear();
  buckets.set(address, bucket);
  if (take(bucket, lines, linesPerSecond, Date.now()) === lines) return;
  journal.note("refused.rate");
  throw new Denial(429, "rate", tooManyLines(linesPerSecond), retryAfter(1));
}

/** The address, of which the platform tells; of IPv6 the part that is somebody's network. */
function addressOf({ headers }: Request): string | undefined {
  const address = headers.get("CF-Connecting-IP") ?? undefined;
  return address?.includes(":") ? address.split(":").slice(0, 4).join(":") : address;
}
