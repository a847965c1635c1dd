/**
 * Counts the distinct names of several objects, without sending the names: a K-minimum-values sketch. Each object reports
 * the smallest hashes of its names. With fewer names than MAX_HASHES, the count is exact; otherwise it's an estimate from
 * the density of the hashes, with a standard error of 2.2 %.
 */

/** Most hashes in a report. */
export const MAX_HASHES = 2_048;

/** Hashes are integers below this. */
const RANGE = 2 ** 53;

/**
 * Returns the smallest hashes of `names`, in ascending order.
 * @param seed a secret integer that all objects share, so that clients can't choose names with small hashes
 */
export function hashesOf(names: Iterable<string>, seed: number): number[] {
  const hashes = Float64Array.from(names, (name) => hashOf(name, seed)).sort();
  return Array.from(new Set(hashes.subarray(0, MAX_HASHES)));
}

/** Merges two lists of smallest hashes. */
export function mergeHashes(one: number[], other: number[]): number[] {
  const merged: number[] = [];
  for (let i = 0, j = 0; merged.length < MAX_HASHES && (i < one.length || j < other.length); ) {
    const [a = RANGE, b = RANGE] = [one[i], other[j]];
    merged.push(Math.min(a, b));
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return merged;
}

/** Returns the number of names with these smallest hashes; an estimate if the list is full. */
export function countByHashes(hashes: number[]): number {
  const largest = hashes[MAX_HASHES - 1];
  return largest === undefined ? hashes.length : Math.round(((MAX_HASHES - 1) * RANGE) / largest);
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
