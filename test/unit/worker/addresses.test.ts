/** Networks of addresses, in all notations. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { networkOf } from "../../../src/worker/addresses.ts";

describe("an IPv6 address", () => {
  test.each([
    ["2001:db8:0:0:1:2:3:4", "2001:db8:0:0::/64"],
    ["2001:db8::1:2:3:4", "2001:db8:0:0::/64"],
    ["2001:db8::a:b:c:d", "2001:db8:0:0::/64"],
    ["2001:0DB8:0000:0000:000a:b:c:d", "2001:db8:0:0::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3:4:1.2.3.4", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
  ])("'%s' is in the network %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test("is in the same network for any last 64 bits, in any notation", () => {
    const group = fc.nat(0xffff).map((n) => n.toString(16));
    const half = fc.array(group, { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        half.filter((groups) => groups[0] !== "0"),
        half,
        half,
        (network, one, other) => {
          const written = [...network, ...other].map((word) => word.padStart(4, "0").toUpperCase()).join(":");
          const short = new URL(`http://[${[...network, ...one].join(":")}]`).hostname.slice(1, -1);
          expect(networkOf(short)).toBe(`${network.join(":")}::/64`);
          expect(networkOf(written)).toBe(networkOf(short));
        },
      ),
    );
  });
});

test("an IPv4 address in IPv6 notation is the IPv4 address", () => {
  for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201", "0:0:0:0:0:ffff:192.0.2.1", "::192.0.2.1"])
    expect(networkOf(address)).toBe("192.0.2.1");
});

test("text that isn't an address is returned unchanged, up to a length", () => {
  for (const text of ["", "unknown", "1:2", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "g::1", "::1.2.3"])
    expect(networkOf(text)).toBe(text);
  expect(networkOf(":".repeat(10_000))).toHaveLength(64);
  fc.assert(fc.property(fc.string(), (text) => networkOf(text).length <= 64));
});
