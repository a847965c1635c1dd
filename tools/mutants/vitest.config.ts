/** Runs tests with mutants: `main.ts` says which. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { defineConfig, type Plugin } from "vitest/config";
import { TAGS } from "../../test/guarantees.ts";
import { instrument } from "./instrument.ts";
import { FOLDER, instrumentedFile, readPlan } from "./plan.ts";

const ROOT = `${import.meta.dirname}/../..`;

/** Whether the code runs in programs that the tests start. */
const isInPrograms = process.env.IN_PROGRAMS !== undefined;

/** Puts all mutants into the code. */
function mutants(): Plugin {
  const byFile = Map.groupBy(readPlan().mutants, ({ file }) => file);
  if (isInPrograms) {
    for (const [file, found] of byFile) {
      writeFileSync(instrumentedFile(file), instrument(file, readFileSync(join(ROOT, file), "utf8"), found));
    }
  }
  return {
    name: "mutants",
    enforce: "pre",
    transform(code, id) {
      const file = relative(ROOT, id);
      // Tests have loops, too.
      if (!/^(src|test)\/.*\.ts$/.test(file)) return undefined;
      return { code: instrument(file, code, byFile.get(file) ?? []), map: null };
    },
  };
}

export default defineConfig({
  root: ROOT,
  plugins: [mutants()],
  test: {
    include: ["test/unit/**/*.test.ts", "test/simulation/**/*.test.ts", "test/e2e/**/*.test.ts"],
    exclude: ["**/*.slow.test.ts"],
    tags: TAGS,
    runner: "./tools/mutants/runner.ts",
    // One process, and modules that all tests share.
    isolate: false,
    // It would bring back the mutants of another run.
    fsModuleCache: false,
    fileParallelism: false,
    testTimeout: readPlan().timeout,
    globalSetup: isInPrograms ? ["test/e2e/support/bundled.ts"] : [],
    env: { NOSHRINK: "1", [FOLDER]: process.env[FOLDER] ?? "" },
    silent: true,
    reporters: [{}],
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
