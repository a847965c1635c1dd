/** Refusals by the Worker are counted by their codes, and wake the root of `all` rarely. */
import { exports } from "cloudflare:workers";
import { expect, onTestFinished, test, vi } from "vitest";
import { bearer, EVERYTHING, granting, mint, seconds } from "../support/mint.ts";
import { intercept, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

/** Sets the clock of the Worker, and returns a function that lets time pass. */
function clock(): (milliseconds: number) => void {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  return (milliseconds) => vi.setSystemTime(Date.now() + milliseconds);
}

async function ask(path: string, init: RequestInit = {}): Promise<number> {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  await response.text();
  return response.status;
}

/** Returns the numbers of refused requests by code. */
async function refused(): Promise<Record<string, number>> {
  const headers = await granting({ operate: true });
  const response = await exports.default.fetch("http://fanout.test/-/metrics", { headers });
  const samples = (await response.text()).matchAll(/^fanout_requests_refused_total\{code="(.+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, code = "", value]) => [code, Number(value)]));
}

/** Returns by how much each number has grown. */
function growth(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const grown = Object.entries(after).map(([code, n]) => [code, n - (before[code] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, n]) => n !== 0));
}

test("refusals of every kind have their codes, whichever way they were asked for", async () => {
  const pass = clock();
  const before = await refused();
  const expired = bearer(await mint({ ...EVERYTHING, exp: seconds() - 60 }));
  const narrow = bearer(await mint({ subscribe: ["a"] }));
  expect(await ask("/a")).toBe(401);
  expect(await ask("/b", { headers: narrow })).toBe(403);
  expect(await ask("/a", { headers: { ...expired, Accept: "text/event-stream" } })).toBe(401);
  expect(await ask("/a", { method: "POST", body: "x", headers: expired })).toBe(401);
  expect(await ask("/-/nothing")).toBe(404);
  await exports.Fanout.announce("no such channel", "x").catch(() => {});
  pass(60_000);
  expect(await ask("/a", { method: "PUT" })).toBe(405);
  const expected = { forbidden: 2, expired: 2, invalid: 3 };
  await expect.poll(async () => growth(before, await refused())).toEqual(expected);
});

test("bad tokens call the root of `all` at most once in ten seconds, and no other object", async () => {
  const pass = clock();
  const calls: number[] = [];
  intercept("all", "tally", (execute) => {
    calls.push(Date.now());
    return execute();
  });
  pass(120_000);
  const forged = bearer(await mint(EVERYTHING, "another secret of more than 32 bytes"));
  for (let second = 0; second < 60; second++) {
    await Promise.all(Array.from({ length: 5 }, () => ask(`/${unique("news")}`, { headers: forged })));
    pass(1_000);
  }
  expect(calls.length).toBeGreaterThan(1);
  expect(calls.length).toBeLessThanOrEqual(6);
  for (const [i, at] of calls.slice(1).entries()) expect(at - (calls[i] ?? 0)).toBeGreaterThanOrEqual(10_000);
});

test("requests that succeed cause no report", async () => {
  const pass = clock();
  let calls = 0;
  intercept("all", "tally", (execute) => {
    calls += 1;
    return execute();
  });
  pass(120_000);
  for (let i = 0; i < 5; i++) {
    expect(await ask("/-/health")).toBe(200);
    expect(await ask("/a", { headers: { ...(await granting(EVERYTHING)), Accept: "text/html" } })).toBe(200);
    pass(30_000);
  }
  expect(calls).toBe(0);
});
