/**
 * How many different names several objects have together, without telling the names. Each object tells the smallest
 * hashes of its names; so few that they are cheap to send, and to join. With fewer names than that, the count is exact;
 * beyond, it's estimated from how close together the hashes lie. Its standard error is 2.2 %.
 */

/** Most hashes that are told. */
export const MOST_HASHES = 2_048;

/** Hashes are whole numbers below this. */
const RANGE = 2 ** 53;

/**
 * Returns the smallest hashes of some names, in their order.
 * @param seed a whole number that all objects use: clients that don't know it can't choose names with small hashes
 */
export function hashesOf(names: Iterable<string>, seed: number): number[] {
  const hashes = Float64Array.from(names, (name) => hashOf(name, seed)).sort();
  return Array.from(new Set(hashes.subarray(0, MOST_HASHES)));
}

/** Joins two lists of smallest hashes. */
export function joinHashes(one: number[], other: number[]): number[] {
  const joined: number[] = [];
  for (let i = 0, j = 0; joined.length < MOST_HASHES && (i < one.length || j < other.length); ) {
    const [a = RANGE, b = RANGE] = [one[i], other[j]];
    joined.push(Math.min(a, b));
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return joined;
}

/** Returns how many different names have these as their smallest hashes; estimated if there are as many as are told. */
export function countByHashes(hashes: number[]): number {
  const largest = hashes[MOST_HASHES - 1];
  return largest === undefined ? hashes.length : Math.round(((MOST_HASHES - 1) * RANGE) / largest);
}

/** Hashes a name to 53 bits. */
function hashOf(name: string, seed: number): number {
  let high = seed ^ 0x9e3779b9;
  let low = seed ^ 0x85ebca6b;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x5bd1e995);
    low ^= low >>> 15;
  }
  high = mixed(high ^ name.length);
  low = mixed(low ^ high);
  high = mixed(high ^ low);
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

/** Spreads each bit over all others, as the last step of MurmurHash3 does. */
function mixed(bits: number): number {
  let hash = bits;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
