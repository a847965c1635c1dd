/** Rate limits of addresses, however many there are. */
import { beforeEach, expect, test, vi } from "vitest";

const PER_SECOND = 100;

/** Each test loads the modules anew, without state. */
let chargeAddress: typeof import("../../../src/worker/rate-limit.ts")["chargeAddress"];
let Denial: typeof import("../../../src/worker/denial.ts")["Denial"];

beforeEach(async () => {
  vi.resetModules();
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 27) });
  vi.spyOn(console, "warn").mockImplementation(() => {});
  ({ chargeAddress } = await import("../../../src/worker/rate-limit.ts"));
  ({ Denial } = await import("../../../src/worker/denial.ts"));
  return () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  };
});

/** Charges an address; returns 0, or the seconds after which to retry. */
function charge(address: string | undefined, cost: number): number {
  const headers: Record<string, string> = address === undefined ? {} : { "CF-Connecting-IP": address };
  try {
    chargeAddress(new Request("http://fanout.test/", { headers }), cost, PER_SECOND);
    return 0;
  } catch (error) {
    if (!(error instanceof Denial)) throw error;
    expect(error).toMatchObject({ status: 429, code: "rate" });
    return Number(error.headers["Retry-After"]);
  }
}

test("an address may spend one second's lines at once, which are refilled over time", {
  tags: ["address-limit"],
}, () => {
  expect(charge("192.0.2.1", 60)).toBe(0);
  expect(charge("192.0.2.1", 40)).toBe(0);
  expect(charge("192.0.2.1", 1)).toBe(1);
  expect(charge("192.0.2.2", 100)).toBe(0);
  vi.advanceTimersByTime(500);
  expect(charge("192.0.2.1", 50)).toBe(0);
  expect(charge("192.0.2.1", 1)).toBe(1);
});

test("a request that costs more than one second's lines is paid off before the next one", () => {
  expect(charge("192.0.2.1", 2_510)).toBe(0);
  // The address owes 2,410 lines at 100 per second, and needs 10.
  expect(charge("192.0.2.1", 10)).toBe(25);
  vi.advanceTimersByTime(24_000);
  expect(charge("192.0.2.1", 10)).toBe(1);
  vi.advanceTimersByTime(200);
  expect(charge("192.0.2.1", 10)).toBe(0);
  // Such a request also needs a full bucket.
  expect(charge("192.0.2.3", 1)).toBe(0);
  expect(charge("192.0.2.3", 2_510)).toBe(1);
});

test("all addresses of an IPv6 network share one limit", () => {
  for (let i = 0; i < 10; i++) expect(charge(`2001:db8::${i}:b:c:d`, 10)).toBe(0);
  expect(charge("2001:db8:0:0:ffff::1", 1)).toBe(1);
  expect(charge("2001:db8:0:1::1", 1)).toBe(0);
});

test("clients without an address aren't charged", () => {
  for (let i = 0; i < 10; i++) expect(charge(undefined, 100)).toBe(0);
});

test("many new addresses don't reset the limit of another one", () => {
  expect(charge("192.0.2.1", 100)).toBe(0);
  for (let i = 0; i < 20_000; i++) charge(`10.0.${i >> 8}.${i & 255}`, 1);
  expect(charge("192.0.2.1", 1)).toBe(1);
  // Further addresses share one bucket.
  expect(charge("192.0.2.2", 1)).toBe(1);
  expect(charge("192.0.2.3", 1)).toBe(1);
});

test("addresses with full buckets make room for others", () => {
  for (let i = 0; i < 20_000; i++) charge(`10.0.${i >> 8}.${i & 255}`, 1);
  vi.advanceTimersByTime(1_000);
  for (let i = 0; i < 5_000; i++) expect(charge(`10.1.${i >> 8}.${i & 255}`, 100)).toBe(0);
});
