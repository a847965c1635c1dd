/** Arbitrary values for `fanout-edge/testing`: each call is carried out, or refused with one clear sentence. */
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { SECRETS, SETTINGS } from "../../../src/serve/settings.ts";
import type { TestServer } from "../../../src/testing/serve.ts";
import { anyUnits } from "../protocol/texts.ts";

/** The settings with which servers were started. */
const started: unknown[] = [];

/** Loads the module, with servers that don't run. */
async function load() {
  vi.resetModules();
  vi.doMock("../../../src/serve/runtime.ts", () => ({ findRuntime: async () => "workerd" }));
  vi.doMock("../../../src/testing/folder.ts", () => ({ temporaryFolder: () => ({ path: "/", remove: () => {} }) }));
  vi.doMock("../../../src/serve/server.ts", () => ({
    startServer: async ({ settings }: { settings: unknown }) => {
      started.push(settings);
      return { port: 1, kill: async () => {} };
    },
  }));
  onTestFinished(() => {
    for (const name of ["serve/runtime", "testing/folder", "serve/server"]) vi.doUnmock(`../../../src/${name}.ts`);
    vi.resetModules();
  });
  return import("../../../src/testing/serve.ts");
}

const anything = fc.oneof(
  anyUnits,
  fc.constantFrom<unknown[]>(null, undefined, true, 0, -1, 1.5, Number.NaN, 5n, Symbol("s"), () => {}),
  fc.constantFrom<unknown[]>([], ["a"], {}, Object(5), Object.create(null), "", "a\nb", "\0"),
);
const settings = fc.dictionary(fc.oneof(fc.constantFrom(...SETTINGS, ...SECRETS, "__proto__"), anyUnits), anything, {
  maxKeys: 2,
});
const options = fc.oneof(
  fc.record({ settings: fc.oneof(settings, anything) }),
  fc.dictionary(fc.constantFrom("settings", "silently", "port"), anything, { maxKeys: 2 }),
  anything,
);

/** Runs with the same values each time, and with new ones, whose seed a failure prints. */
async function forAll(check: (given: unknown) => Promise<void>): Promise<void> {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    await fc.assert(fc.asyncProperty(options, check), { seed, numRuns: 100 });
  }
}

function expectClear(error: unknown): void {
  if (!(error instanceof TypeError)) throw error;
  expect(error.message).toMatch(/^the (options?|setting) [^\n]*(takes|must be) [^\n]+$/);
}

test("serve takes arbitrary options", async () => {
  const { serve } = await load();
  await forAll(async (given) => {
    started.length = 0;
    try {
      const server: TestServer = await Reflect.apply(serve, undefined, [given]);
      await server.stop();
      for (const [name, value] of Object.entries(Object(started[0]))) {
        expect([...SETTINGS, ...SECRETS]).toContain(name);
        expect(value).toEqual(expect.stringMatching(/^[^\0]+$/));
      }
    } catch (error) {
      expectClear(error);
      expect(started).toEqual([]);
    }
  });
});

test("the methods of a server take arbitrary values", async () => {
  const { serve } = await load();
  const server = await serve();
  const methods = ["kill", "restart", "cut", "stop"] as const;
  await forAll(async (given) => {
    try {
      Reflect.apply(server.cut, server, [given]);
      expect(["boolean", "undefined"]).toContain(typeof Object(given).silently);
    } catch (error) {
      expectClear(error);
    }
  });
  for (const name of methods) await Reflect.apply(server[name], server, []);
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(server)).filter((name) => name !== "constructor");
  expect(names.sort()).toEqual([...methods].sort());
});

test("no function is left out", async () => {
  expect(Object.keys(await load())).toEqual(["serve"]);
});
