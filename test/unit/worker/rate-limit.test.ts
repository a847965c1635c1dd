/** What each address may spend, however many there are. */
import { beforeEach, expect, test, vi } from "vitest";

const PER_SECOND = 100;

/** Each test has a Worker of its own, which remembers nothing. */
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

/** Charges an address; returns 0, or in how many seconds it is to try again. */
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

test("an address spends what a second allows, and as time passes the same again", () => {
  expect(charge("192.0.2.1", 60)).toBe(0);
  expect(charge("192.0.2.1", 40)).toBe(0);
  expect(charge("192.0.2.1", 1)).toBe(1);
  expect(charge("192.0.2.2", 100)).toBe(0);
  vi.advanceTimersByTime(500);
  expect(charge("192.0.2.1", 50)).toBe(0);
  expect(charge("192.0.2.1", 1)).toBe(1);
});

test("what costs more than a second allows is paid off before anything else", () => {
  expect(charge("192.0.2.1", 2_510)).toBe(0);
  // It owes 2,410, at 100 a second, and has to have 10.
  expect(charge("192.0.2.1", 10)).toBe(25);
  vi.advanceTimersByTime(24_000);
  expect(charge("192.0.2.1", 10)).toBe(1);
  vi.advanceTimersByTime(200);
  expect(charge("192.0.2.1", 10)).toBe(0);
  // And needs all that a second allows.
  expect(charge("192.0.2.3", 1)).toBe(0);
  expect(charge("192.0.2.3", 2_510)).toBe(1);
});

test("all addresses of an IPv6 network spend together", () => {
  for (let i = 0; i < 10; i++) expect(charge(`2001:db8::${i}:b:c:d`, 10)).toBe(0);
  expect(charge("2001:db8:0:0:ffff::1", 1)).toBe(1);
  expect(charge("2001:db8:0:1::1", 1)).toBe(0);
});

test("clients without an address can't be told apart, and aren't charged", () => {
  for (let i = 0; i < 10; i++) expect(charge(undefined, 100)).toBe(0);
});

test("however many addresses come, none that has spent too much is forgotten", () => {
  expect(charge("192.0.2.1", 100)).toBe(0);
  for (let i = 0; i < 20_000; i++) charge(`10.0.${i >> 8}.${i & 255}`, 1);
  expect(charge("192.0.2.1", 1)).toBe(1);
  // Those for whom there is no room share what one may spend.
  expect(charge("192.0.2.2", 1)).toBe(1);
  expect(charge("192.0.2.3", 1)).toBe(1);
});

test("addresses that may spend everything again make room for others", () => {
  for (let i = 0; i < 20_000; i++) charge(`10.0.${i >> 8}.${i & 255}`, 1);
  vi.advanceTimersByTime(1_000);
  for (let i = 0; i < 5_000; i++) expect(charge(`10.1.${i >> 8}.${i & 255}`, 100)).toBe(0);
});
