/** Network addresses of clients. */

/**
 * Returns the network of an address: an IPv4 address unchanged, or the first 64 bits of an IPv6 address, because
 * clients usually have a whole /64. An IPv4 address in IPv6 notation counts as the IPv4 address.
 */
export function networkOf(address: string): string {
  const [bare = ""] = address.trim().toLowerCase().split("%");
  const groups = groupsOf(bare);
  if (!groups) return bare.slice(0, MAX_TEXT);
  return embedded(groups) ?? `${groups.slice(0, 4).join(":")}::/64`;
}

/** Most characters of an address that isn't IPv6. */
const MAX_TEXT = 64;

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Returns the eight groups of an IPv6 address, without leading zeros; undefined if it isn't one. */
function groupsOf(address: string): string[] | undefined {
  if (!address.includes(":")) return undefined;
  const [head = "", tail, ...more] = address.split("::");
  if (more.length > 0) return undefined;
  const before = parseGroups(head);
  const after = parseGroups(tail ?? "");
  if (!before || !after) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...before, ...Array<string>(missing).fill("0"), ...after];
}

/** Parses groups separated by colons; the last may be an IPv4 address. Returns undefined if one is invalid. */
function parseGroups(text: string): string[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  const last = words.at(-1) ?? "";
  const bytes = IPV4.exec(last)?.slice(1).map(Number);
  if (bytes) {
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    words.splice(-1, 1, (a * 256 + b).toString(16), (c * 256 + d).toString(16));
  }
  if (!words.every((word) => /^[0-9a-f]{1,4}$/.test(word))) return undefined;
  return words.map((word) => Number.parseInt(word, 16).toString(16));
}

/** Returns the IPv4 address in `::ffff:1.2.3.4` or the deprecated `::1.2.3.4`; undefined for other addresses. */
function embedded(groups: string[]): string | undefined {
  const [high = "0", low = "0"] = groups.slice(6);
  const isZero = groups.slice(0, 5).every((group) => group === "0");
  const isMapped = groups[5] === "ffff" || (groups[5] === "0" && high !== "0");
  if (!isZero || !isMapped) return undefined;
  const bytes = [high, low].flatMap((group) => {
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 255];
  });
  return bytes.join(".");
}
