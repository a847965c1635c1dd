/** The changes that `npm run test:mutants` makes. */
import { describe, expect, test } from "vitest";
import { instrument } from "../../../tools/mutants/instrument.ts";
import { mutationsOf } from "../../../tools/mutants/mutations.ts";
import type { Mutant } from "../../../tools/mutants/plan.ts";
import { sample } from "../../../tools/mutants/sample.ts";

/** Returns the changes of a function with this body, as the report prints them. */
function changesOf(body: string): string[] {
  const { mutations } = mutationsOf("x.ts", `function f(a, b, c) { ${body} }`);
  return mutations.map(({ original, mutated }) => `${original} → ${mutated}`);
}

test.each<[string, string[]]>([
  ["a.b();", ["a.b(); → nothing"]],
  ["a.b = c;", ["a.b = c; → nothing"]],
  [
    "while (a) { if (b) { c(); break; } }",
    ["if (a) → if (false)", "if (b) → if (true)", "if (b) → if (false)", "c(); → nothing", "break; → nothing"],
  ],
  ["if (a < b) return 1; return 2;", ["if (a < b) → if (true)", "if (a < b) → if (false)", "a < b → a <= b"]],
  ["const d = a === b;", ["a === b → a !== b"]],
  [
    "if (a === b) c(); else return 0;",
    ["if (a === b) → if (true)", "if (a === b) → if (false)", "c(); → nothing", "return 0; → nothing"],
  ],
  ["const d = a ? b : c;", ["if (a) → if (true)", "if (a) → if (false)"]],
  ["const d = a && b;", ["a && b → a || b"]],
  ["const d = a ?? b;", ["a ?? b → a"]],
  ["const d = (e = 1) => e;", ["e = 1 → e"]],
  ["const d = a + b - 1;", ["a + b - 1 → a + b + 1", "a + b → a - b"]],
  ["const d = Math.min(a, b);", ["Math.min(a, b) → Math.max(a, b)"]],
  ["a ??= b;", ["a ??= b; → nothing", "a ??= b → a = b"]],
  ["a++;", ["a++; → nothing", "a++ → a--"]],
  // Text, assertions and types stay as they are.
  ["const d = `a` + '!' + /x/.source;", []],
  ["assert(a < b, 'rises');", []],
  ["const d = a as unknown as Map<string, number>;", []],
])("the changes of `%s`", (body, changes) => {
  expect(changesOf(body).sort()).toEqual(changes.sort());
});

test("code outside of functions stays as it is, and so do a constructor's fields", () => {
  expect(mutationsOf("x.ts", "export const a = b ? c : d; e();").mutations).toEqual([]);
  const { mutations } = mutationsOf("x.ts", "class A { constructor(b) { this.b = b; c(); } }");
  expect(mutations.map(({ original }) => original)).toEqual(["c();"]);
});

test("code that can't be parsed is an error", () => {
  expect(() => mutationsOf("x.ts", "if (")).toThrow("x.ts can't be parsed");
});

describe("one version of the code contains all mutants", () => {
  const code = "let n = 0; for (const x of list) { if (x > 1 && x < 5) { n += x; continue; } n = n ?? -1; } return n;";
  const whole = `function f(list) { ${code} }`;
  const mutants = mutationsOf("x.js", whole).mutations.map((mutation, id) => ({ ...mutation, id }));
  const instrumented = instrument("x.js", whole, mutants);
  const run = (text: string, active: number) =>
    new Function("$mutant", "list", `${text}; return f(list)`)((id: number) => id === active, [1, 2, 5]);

  test("without an active mutant, it does the same", () => {
    expect(run(instrumented, -1)).toBe(run(whole, -1));
  });

  test.each(mutants)("$original → $mutated", ({ id, start, end, replacement }) => {
    const changed = `${whole.slice(0, start)}${replacement ?? ";"}${whole.slice(end)}`;
    expect(run(instrumented, id)).toBe(run(changed, -1));
  });
});

test("a sample hardly changes with the code, and differs by seed", () => {
  const mutant = { area: "tree", file: "src/tree/x.ts", mutated: "nothing", start: 0, end: 1, line: 1 };
  const all = Array.from({ length: 100 }, (_, id): Mutant => ({ ...mutant, id, original: `a${id}();` }));
  const idsOf = (some: Mutant[]) => some.map(({ id }) => id);
  const chosen = idsOf(sample(all, 10, 1));
  expect(chosen).toHaveLength(10);
  expect(
    idsOf(
      sample(
        all.filter(({ id }) => id !== chosen[3]),
        10,
        1,
      ),
    ),
  ).toEqual(expect.arrayContaining(chosen.toSpliced(3, 1)));
  expect(idsOf(sample(all, 10, 2))).not.toEqual(chosen);
});
