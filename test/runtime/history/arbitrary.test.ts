/** Arbitrary values for `fanout-edge/worker`: each call is carried out, or refused with one clear sentence. */
import { exports } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as library from "../../../src/mount.ts";
import { isErrorCode } from "../../../src/protocol/errors.ts";
import { settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const room = unique("room");
const text = fc.oneof(fc.string(), fc.constantFrom("a b", "a\nb", "debug", "all", "presence/a", "x".repeat(300)));
/** Values that RPC can carry. */
const value = fc.oneof(
  text,
  fc.constantFrom<unknown[]>(null, undefined, true, 0, -1, Number.NaN, 5n, [], [5], ["a"], [["a"]], {}, new Date(0)),
);
/** Values that plain JavaScript may bring. */
const anything = fc.oneof(
  value,
  fc.constantFrom<unknown[]>(Symbol("s"), () => {}, Object.create(null), Object("/live")),
);
const options = fc.oneof(fc.record({ key: fc.oneof(fc.constant("k"), value) }, { noNullPrototype: true }), value);
const channel = fc.oneof(fc.constant(room), value);

/** Runs with the same values each time, and with new ones, whose seed a failure prints. */
async function forAll(values: fc.Arbitrary<unknown>[], check: (given: unknown[]) => Promise<void>): Promise<void> {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    await fc.assert(fc.asyncProperty(fc.tuple(...values), check), { seed, numRuns: 40 });
  }
}

/** The arguments of each function for other Workers, and what it returns. */
const CALLS: Record<string, [words: fc.Arbitrary<unknown>[], result: unknown]> = {
  announce: [[channel, fc.oneof(fc.constant("x"), value), options], expect.any(Number)],
  members: [[channel], { position: expect.any(Number), members: expect.any(Array) }],
  info: [[], expect.objectContaining({ uptime: expect.any(Number) })],
};

test.each(Object.entries(CALLS))("%s takes arbitrary values", async (name, [words, expected]) => {
  await forAll(words, async (given) => {
    const call = Reflect.get(exports.Fanout, name);
    const result: unknown = await Promise.resolve(Reflect.apply(call, exports.Fanout, given)).catch(
      (error: unknown) => error,
    );
    if (result instanceof Error) {
      expect(result.message).toMatch(/^[^\n]+$/);
      expect(isErrorCode(String(Reflect.get(result, "code"))), String(result)).toBe(true);
    } else expect(result).toEqual(expected);
  });
});

test("mount takes arbitrary values", async () => {
  const request = new Request("https://site.test/live/-/health");
  const prefix = fc.oneof(fc.constantFrom<unknown[]>("/live", "/", "", ["/live"]), anything);
  const requests = fc.oneof(fc.constant(request), anything);
  const env = fc.oneof(fc.constant({ CHANNEL: exports.Channel }), anything);
  await forAll([prefix, requests, env], async (given) => {
    try {
      const response: unknown = await Reflect.apply(library.mount, undefined, given);
      if (response !== undefined) expect(response).toBeInstanceOf(Response);
      if (typeof given[0] !== "string") expect(response).toBe("refused");
    } catch (error) {
      expect(String(error)).toMatch(
        /^(Type)?Error: (the prefix|the request|the bindings|'[^\n]*' isn't a prefix)[^\n]*; [^\n]+$/,
      );
    }
  });
});

test("no function is left out", () => {
  expect(Object.keys(library).sort()).toEqual(["Channel", "Fanout", "mount"]);
  const names = Object.getOwnPropertyNames(library.Fanout.prototype).filter((name) => name !== "constructor");
  expect(names.sort()).toEqual(Object.keys(CALLS).sort());
});
