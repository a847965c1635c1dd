/** Arbitrary values for the hooks: each render shows a view, or throws one clear sentence for an error boundary. */
import fc from "fast-check";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import * as library from "../../../src/react/hooks.ts";
import { anyUnits } from "../protocol/texts.ts";

const NOT_FUNCTIONS = [null, true, "5", 5, [5], {}];
const anything = fc.oneof(
  anyUnits,
  fc.constantFrom<unknown[]>(null, undefined, true, 0, -1, 1, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 5n),
  fc.constantFrom<unknown[]>(
    "5",
    [],
    [5],
    ["a"],
    {},
    Object(5),
    Symbol("s"),
    () => {},
    new Date(5),
    Object.create(null),
  ),
);

const OPTIONS = "since last limit enabled codec onMessage onInvalid".split(" ");
const options = fc.oneof(fc.dictionary(fc.constantFrom(...OPTIONS), anything, { maxKeys: 2 }), anything);

const client = { subscribe: () => ({ unsubscribe: () => {} }), announce: async () => 1, members: () => ({}) };

/** Renders a hook once; returns what it returns, or throws. */
function render(hook: unknown, words: unknown[]): unknown {
  let result: unknown;
  if (typeof hook !== "function") throw new Error("there is no such hook");
  const Component = () => {
    result = Reflect.apply(hook, undefined, [client, ...words]);
    return null;
  };
  renderToString(createElement(Component));
  return result;
}

/** Whether `options` are refused. */
function isRefused(hook: unknown, options: unknown): boolean {
  try {
    expect(render(hook, ["a", options])).toMatchObject({ state: expect.stringMatching(/^(un)?subscrib/) });
    return false;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    expect(error.message).toMatch(/^(`options`|the option `\w+`(\.decode)?) is .+; it takes [^\n]+$/);
    return true;
  }
}

test.each(Object.entries(library))("%s takes arbitrary options", (_, hook) => {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    fc.assert(
      fc.property(options, (given) => {
        isRefused(hook, given);
      }),
      { seed, numRuns: 200 },
    );
  }
});

test.each(["since", "last", "limit"])("useChannel refuses a %s that isn't a whole number", (name) => {
  for (const value of [null, true, "5", -1, 1.5, Number.NaN, [5], Object(5), 5n]) {
    expect(isRefused(library.useChannel, { [name]: value })).toBe(true);
  }
});

test.each(["onMessage", "onInvalid"])("useChannel refuses an %s that isn't a function", (name) => {
  for (const value of NOT_FUNCTIONS) expect(isRefused(library.useChannel, { [name]: value })).toBe(true);
});

test.each([null, [], "x", 5])("the hooks and announce refuse the options %j", async (given) => {
  for (const hook of [library.useChannel, library.useMembers]) expect(isRefused(hook, given)).toBe(true);
  const { announce } = Object(render(library.useChannel, ["a"]));
  await expect(announce("x", given)).rejects.toThrow("`options` is");
});

test("no hook is left out", () => {
  expect(Object.keys(library).sort()).toEqual(["useChannel", "useMembers"]);
});
