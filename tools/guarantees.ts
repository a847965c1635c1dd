/**
 * Lists each documented guarantee with the tests that name it, and fails if one has none: `npm run guarantees`.
 * `npm run check` runs it, too, and prints only what is wrong (`--quiet`).
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { QUOTATIONS } from "../test/guarantees.ts";

const TESTS = join(import.meta.dirname, "..", "test");

/** A title, and the tags that follow it: `"title", { tags: ["a", "b"] }`, or `title: "title", tags: ["a", "b"]`. */
const TAGGED = /(["'`])((?:(?!\1)[^\n]|\\\1)+)\1,\s*(?:\{\s*)?tags: \[([^\]]*)\]/g;

/** Returns the titles of tests by the guarantees that they name. @throws Error for unknown tags */
function testsByGuarantee(): Map<string, string[]> {
  const tests = new Map<string, string[]>([...QUOTATIONS.keys()].map((name) => [name, []]));
  for (const file of globSync("**/*.ts", { cwd: TESTS, exclude: ["guarantees.ts"] })) {
    const source = readFileSync(join(TESTS, file), "utf8");
    const tagged = [...source.matchAll(TAGGED)];
    const count = source.match(/\btags: \[/g)?.length ?? 0;
    if (tagged.length !== count) throw new Error(`${file}: tags belong behind a title, as a list`);
    for (const [, , title = "", tags = ""] of tagged) {
      for (const [, tag = ""] of tags.matchAll(/"([^"]+)"/g)) {
        const titles = tests.get(tag);
        if (!titles) throw new Error(`${file}: test/guarantees.ts has no guarantee '${tag}'`);
        titles.push(`${file}: ${title}`);
      }
    }
  }
  return tests;
}

const tests = testsByGuarantee();
const isQuiet = process.argv.includes("--quiet");
for (const [name, quotation] of QUOTATIONS) {
  const titles = tests.get(name) ?? [];
  if (titles.length === 0) {
    console.error(`no test has the tag of this guarantee: ${name} (${quotation})`);
    process.exitCode = 1;
  }
  if (!isQuiet) console.log([`${name}: ${quotation}`, ...titles].join("\n  "));
}
