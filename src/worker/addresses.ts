/** Network addresses of clients. */

/** Most characters of an address that isn't IPv6. */
const MAX_TEXT = 64;

/** An IPv4 address in IPv6 notation, `::ffff:1.2.3.4` or the deprecated `::1.2.3.4`, as URLs write it. */
const EMBEDDED = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * Returns the network of an address: an IPv4 address unchanged, or the first 64 bits of an IPv6 address, because
 * clients usually have a whole /64. An IPv4 address in IPv6 notation counts as the IPv4 address.
 */
export function networkOf(address: string): string {
  const [bare = ""] = address.trim().toLowerCase().split("%");
  const url = `http://[${bare}]`;
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/.test(bare) || !URL.canParse(url)) return bare.slice(0, MAX_TEXT);
  const canonical = new URL(url).hostname.slice(1, -1);
  const embedded = EMBEDDED.exec(canonical)?.slice(1);
  if (embedded) {
    const bytes = embedded.map((group) => Number.parseInt(group, 16)).flatMap((number) => [number >> 8, number & 255]);
    return bytes.join(".");
  }
  const [head = [], tail = []] = canonical.split("::").map((groups) => (groups === "" ? [] : groups.split(":")));
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
