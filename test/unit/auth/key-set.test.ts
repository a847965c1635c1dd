/** When an issuer's public keys are fetched, and how tokens fare if that fails. */
import fc from "fast-check";
import { errors, exportJWK, generateKeyPair, type JWK } from "jose";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { KeySet } from "../../../src/auth/key-set.ts";
import { NoKeys } from "../../../src/auth/verify.ts";

const URL_OF_KEYS = "https://issuer.test/jwks.json";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

let first: JWK;
let second: JWK;

beforeAll(async () => {
  [first, second] = await Promise.all([keyNamed("first"), keyNamed("second")]);
});

async function keyNamed(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(publicKey)), alg: "ES256", kid };
}

/** A fake issuer. */
interface Issuer {
  asked: number;
  answer: () => Response | Promise<Response>;
  /** Logged reasons why fetches failed. */
  faults: string[];
  /** Whether the platform has cancelled the request, whose timers never fire then. */
  isCancelled: boolean;
  /** Number of fetches that may outlive their requests. */
  kept: number;
}

let issuer: Issuer;
let keys: KeySet;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 27) });
  issuer = {
    asked: 0,
    answer: () => Response.json({ keys: [first] }),
    faults: [],
    isCancelled: false,
    kept: 0,
  };
  keys = new KeySet(URL_OF_KEYS, {
    fetch: async (url) => {
      expect(url).toBe(URL_OF_KEYS);
      issuer.asked += 1;
      return issuer.answer();
    },
    now: Date.now,
    sleep: (milliseconds) => {
      const { isCancelled } = issuer;
      return new Promise((resolve) => setTimeout(() => isCancelled || resolve(), milliseconds));
    },
    keep: () => {
      issuer.kept += 1;
    },
    failed: (why) => issuer.faults.push(why),
  });
  return () => vi.useRealTimers();
});

/** The result of looking up a token's key. */
type Outcome = "found" | "unknown" | `in ${number} s`;

async function find(kid: string): Promise<Outcome> {
  try {
    await keys.find({ alg: "ES256", kid }, { payload: "", signature: "" });
    return "found";
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return "unknown";
    if (error instanceof NoKeys) return `in ${error.seconds} s`;
    throw error;
  }
}

/** Looks up many keys at once, while time passes. */
async function findAll(...kids: string[]): Promise<Outcome[]> {
  const outcomes = Promise.all(kids.map(find));
  await vi.advanceTimersByTimeAsync(10 * SECOND);
  return outcomes;
}

describe("keys are fetched once", () => {
  test("for 100 simultaneous tokens, valid or junk", async () => {
    let answer = (_: Response) => {};
    issuer.answer = () => new Promise((resolve) => (answer = resolve));
    const tokens = Promise.all(Array.from({ length: 100 }, (_, i) => find(i % 2 ? "first" : `junk ${i}`)));
    await vi.advanceTimersByTimeAsync(100);
    answer(Response.json({ keys: [first] }));
    await vi.advanceTimersByTimeAsync(100);
    const outcomes = await tokens;
    expect(outcomes.filter((outcome) => outcome === "found")).toHaveLength(50);
    expect(issuer.asked).toBe(1);
    expect(issuer.kept).toBe(1);
  });

  test("in ten minutes, and then in the background", { tags: ["keys-refreshed"] }, async () => {
    expect(await find("first")).toBe("found");
    await vi.advanceTimersByTimeAsync(10 * MINUTE - 1);
    expect(await find("first")).toBe("found");
    expect(issuer.asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    issuer.answer = () => new Promise(() => {});
    expect(await find("first")).toBe("found");
    expect([issuer.asked, issuer.kept]).toEqual([2, 2]);
  });

  test("before a token is accepted after twenty idle minutes, because its key may be withdrawn", async () => {
    expect(await find("first")).toBe("found");
    issuer.answer = () => Response.json({ keys: [second] });
    await vi.advanceTimersByTimeAsync(20 * MINUTE);
    expect(await find("first")).toBe("unknown");
    expect(await find("second")).toBe("found");
    expect(issuer.asked).toBe(2);
  });
});

describe("a token that names an unknown key", () => {
  test("must be retried after the cool-down, and is valid then if the issuer has published the key", {
    tags: ["keys-unknown"],
  }, async () => {
    expect(await find("first")).toBe("found");
    issuer.answer = () => Response.json({ keys: [first, second] });
    await vi.advanceTimersByTimeAsync(9 * SECOND);
    expect(await find("second")).toBe("in 21 s");
    await vi.advanceTimersByTimeAsync(21 * SECOND - 1);
    expect(await find("second")).toBe("in 1 s");
    expect(issuer.asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await find("second")).toBe("found");
    expect(issuer.asked).toBe(2);
  });

  test("is refused if the issuer was asked after the token arrived", async () => {
    expect(await find("junk")).toBe("unknown");
    await vi.advanceTimersByTimeAsync(1);
    // The keys were fetched before this token arrived.
    expect(await find("junk")).toBe("in 30 s");
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect(await find("junk")).toBe("unknown");
    expect(issuer.asked).toBe(2);
  });

  test("isn't refused because of a fetch that started before it arrived", async () => {
    let answer = (_: Response) => {};
    issuer.answer = () => new Promise((resolve) => (answer = resolve));
    const one = find("second");
    await vi.advanceTimersByTimeAsync(SECOND);
    const other = find("second");
    answer(Response.json({ keys: [first] }));
    await vi.advanceTimersByTimeAsync(SECOND);
    expect([await one, await other]).toEqual(["unknown", "in 29 s"]);
  });
});

describe("an issuer that", () => {
  const html = () => new Response("<html>busy</html>", { headers: { "Content-Type": "text/html" } });
  const failures: [what: string, answer: Issuer["answer"], why: RegExp][] = [
    ["answers 429", () => new Response("no", { status: 429 }), /status 429/],
    ["answers 500", () => new Response("no", { status: 500 }), /status 500/],
    ["redirects", () => new Response(null, { status: 302, headers: { Location: "https://evil.test/" } }), /status 302/],
    ["answers with a page", html, /JSON/],
    ["answers with nothing", () => new Response(""), /JSON/],
    ["answers with other JSON", () => Response.json([first]), /no keys/],
    ["answers with null", () => Response.json(null), /no keys/],
    ["answers with no keys", () => Response.json({ keys: [] }), /no keys/],
    ["answers with invalid keys", () => Response.json({ keys: ["a", 1, null, {}, []] }), /no keys/],
    ["answers with too much", () => new Response(" ".repeat(262_145)), /more than 262144 bytes/],
    ["can't be reached", () => Promise.reject(new TypeError("Network connection lost.")), /lost/],
    ["doesn't answer", () => new Promise(() => {}), /within 5 seconds/],
    [
      "stalls in its answer",
      () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
      /within 5 seconds/,
    ],
  ];

  test.each(failures)(
    "%s is asked at most every 30 seconds, and its tokens have to be retried",
    { tags: ["keys-unavailable", "keys-unknown"] },
    async (_, answer, why) => {
      const { answer: good } = issuer;
      issuer.answer = answer;
      const outcomes = await findAll(...Array<string>(100).fill("first"));
      for (const outcome of outcomes) expect(outcome).toMatch(/^in (30|2\d) s$/);
      await vi.advanceTimersByTimeAsync(5 * SECOND);
      expect(await findAll("first", "junk")).toEqual(["in 15 s", "in 15 s"]);
      expect(issuer.asked).toBe(1);
      expect(issuer.faults[0]).toMatch(why);
      issuer.answer = good;
      await vi.advanceTimersByTimeAsync(5 * SECOND);
      expect(await find("first")).toBe("found");
    },
  );

  test.each(failures)(
    "%s doesn't invalidate its earlier keys for six hours",
    { tags: ["keys-refreshed"] },
    async (_, answer) => {
      expect(await find("first")).toBe("found");
      issuer.answer = answer;
      await vi.advanceTimersByTimeAsync(25 * MINUTE);
      // The first token waits for a refresh, because its key may be withdrawn.
      expect(await findAll("first", "first")).toEqual(["found", "found"]);
      for (let passed = 0; passed < 5 * HOUR; passed += HOUR) {
        const { asked } = issuer;
        expect(await find("first")).toBe("found");
        expect(await find("first")).toBe("found");
        expect(issuer.asked).toBeLessThanOrEqual(asked + 1);
        await vi.advanceTimersByTimeAsync(HOUR);
      }
      await vi.advanceTimersByTimeAsync(HOUR);
      expect(await findAll("first")).toEqual([expect.stringMatching(/^in \d+ s$/)]);
    },
  );

  test.each([
    ["120", 120],
    ["10", 30],
    ["86400", 300],
    ["Fri, 27 Nov 2026 00:02:00 GMT", 120],
    ["Thu, 26 Nov 2026 00:02:00 GMT", 30],
    ["soon", 30],
    ["-5", 30],
  ])("sends 'Retry-After: %s' is asked again in %i seconds", async (wait, seconds) => {
    const { answer: good } = issuer;
    issuer.answer = () => new Response("no", { status: 429, headers: { "Retry-After": wait } });
    expect(await find("first")).toBe(`in ${seconds} s`);
    issuer.answer = good;
    await vi.advanceTimersByTimeAsync(seconds * SECOND - 1);
    expect(await find("first")).toBe("in 1 s");
    await vi.advanceTimersByTimeAsync(1);
    expect(await find("first")).toBe("found");
  });
});

test("a fetch of a cancelled request delays other requests only briefly", async () => {
  const { answer: good } = issuer;
  issuer.answer = () => new Promise(() => {});
  issuer.isCancelled = true;
  void find("first");
  await vi.advanceTimersByTimeAsync(SECOND);
  issuer.isCancelled = false;
  issuer.answer = good;
  expect(await findAll("first", "first", "first")).toEqual(["found", "found", "found"]);
  expect(issuer.asked).toBe(2);
});

/** How an issuer answers: it has the key `first`, or `second`, or fails. */
const ISSUERS: Record<string, () => Response | Promise<Response>> = {
  first: () => Response.json({ keys: [first] }),
  second: () => Response.json({ keys: [second] }),
  500: () => new Response("no", { status: 500 }),
  rubbish: () => new Response("<html>"),
  stalling: () => new Promise(() => {}),
  broken: () => Promise.reject(new TypeError("Network connection lost.")),
};

describe("fetches are counted:", () => {
  const flood = async (minutes: number) => {
    const outcomes: Promise<Outcome>[] = [];
    for (let passed = 0; passed < minutes * MINUTE; passed += 500) {
      outcomes.push(find(`junk ${passed}`));
      await vi.advanceTimersByTimeAsync(500);
    }
    await vi.advanceTimersByTimeAsync(10 * SECOND);
    return Promise.all(outcomes);
  };

  test.each(Object.keys(ISSUERS))(
    "ten minutes of 2 unknown keys a second, and an issuer that is %s: 20",
    {
      tags: ["keys-unknown"],
    },
    async (name) => {
      issuer.answer = ISSUERS[name] ?? issuer.answer;
      const outcomes = await flood(10);
      expect(outcomes).toHaveLength(1_200);
      expect(outcomes).not.toContain("found");
      expect([issuer.asked, issuer.kept]).toEqual([20, 20]);
    },
  );

  test("of a key that was rotated, for 100 connections at once: one", async () => {
    expect(await find("first")).toBe("found");
    issuer.answer = ISSUERS.second ?? issuer.answer;
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect(new Set(await findAll(...Array<string>(100).fill("second")))).toEqual(new Set(["found"]));
    expect(issuer.asked).toBe(2);
  });

  const step = fc.record({
    issuer: fc.constantFrom(...Object.keys(ISSUERS)),
    kids: fc.array(fc.constantFrom("first", "second", "junk"), { maxLength: 20 }),
    wait: fc.constantFrom(0, 1, 20, SECOND, 29 * SECOND, 30 * SECOND, 10 * MINUTE, 7 * HOUR),
  });

  test("whatever comes, there is one at a time, and at most one in 30 seconds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const began: number[] = [];
        let inFlight = 0;
        let most = 0;
        const tracked = new KeySet(URL_OF_KEYS, {
          fetch: async () => {
            began.push(Date.now());
            most = Math.max(most, ++inFlight);
            // The platform ends a fetch at its deadline.
            const deadline = new Promise<never>((_, reject) => {
              setTimeout(() => reject(new Error("stalled")), 5 * SECOND);
            });
            return Promise.race([issuer.answer(), deadline]).finally(() => (inFlight -= 1));
          },
          now: Date.now,
          sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
          keep: () => {},
          failed: () => {},
        });
        const finds: Promise<unknown>[] = [];
        for (const { issuer: name, kids, wait } of steps) {
          issuer.answer = ISSUERS[name] ?? issuer.answer;
          const look = async (kid: string) => tracked.find({ alg: "ES256", kid }, { payload: "", signature: "" });
          for (const kid of kids) finds.push(look(kid).catch(() => {}));
          await vi.advanceTimersByTimeAsync(wait);
        }
        await vi.advanceTimersByTimeAsync(MINUTE);
        await Promise.all(finds);
        expect(most).toBeLessThanOrEqual(1);
        const gaps = began.slice(1).map((at, i) => at - (began[i] ?? 0));
        expect(gaps.filter((gap) => gap < 30 * SECOND)).toEqual([]);
        if (steps.some(({ kids }) => kids.length > 0)) expect(began.length).toBeGreaterThan(0);
      }),
      // Shrinking takes minutes.
      { numRuns: 50, endOnFailure: true },
    );
  });
});

test("an invalid key doesn't affect the others", async () => {
  issuer.answer = () => Response.json({ keys: [{ ...second, x: "AA" }, "nonsense", { kid: "no type" }, first] });
  expect(await find("first")).toBe("found");
  await expect(find("second")).rejects.toThrow();
  expect(issuer.asked).toBe(1);
});
