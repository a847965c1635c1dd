/** Runs tests with mutants, in processes that are replaced when a mutant hangs or ends them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Stage } from "./areas.ts";
import {
  type Attempt,
  clearResults,
  type Mutant,
  NONE,
  type Plan,
  type Reached,
  readAttempt,
  readResults,
  type Verdict,
  writePlan,
} from "./plan.ts";

const CONFIG = `${import.meta.dirname}/vitest.config.ts`;
const VITEST = `${import.meta.dirname}/../../node_modules/vitest/vitest.mjs`;

/** A process is stuck if a test runs so many milliseconds longer than it may. */
const STUCK = 30_000;

/** Tests that take longer only run with mutants that shorter ones haven't killed. All in milliseconds. */
const WAVES = [
  { longest: 20, timeout: 3_000 },
  { longest: 200, timeout: 10_000 },
  { longest: Number.POSITIVE_INFINITY, timeout: 60_000 },
];

const children = new Set<ChildProcess>();
process.on("exit", () => children.forEach(kill));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

export type Verdicts = Map<number, Verdict>;

/** Adds the verdicts about the mutants that the tests of a stage kill. */
export async function runStage(stage: Stage, mutants: Mutant[], seed: number, verdicts: Verdicts): Promise<void> {
  const began = Date.now();
  const before = verdicts.size;
  const plan = { mutants, seed, isCareful: false, timeout: 60_000 };
  const reached = await findReached(stage, plan);
  let shorter = 0;
  for (const { longest, timeout } of WAVES) {
    const tests = reached.filter(({ duration }) => duration >= shorter && duration < longest);
    const spoiled = await runTests(stage, { ...plan, tests, timeout }, verdicts);
    await runTests(stage, { ...plan, isCareful: true, tests: spoiled, timeout }, verdicts);
    shorter = longest;
    if (Number.isFinite(longest)) console.log(`tests up to ${longest} ms: ${verdicts.size - before} killed`);
  }
  const seconds = Math.round((Date.now() - began) / 1000);
  const { size } = new Set(reached.flatMap(({ mutants }) => mutants));
  console.log(`${stage.name}: ${size} of ${mutants.length} reached, ${verdicts.size - before} killed, in ${seconds} s`);
}

/** Returns which mutants each test reaches. */
async function findReached(stage: Stage, plan: Plan): Promise<Reached[]> {
  if ((await runProcess(stage, plan, stage.tests)) !== 0) throw new Error(`${stage.name}: some tests can't be loaded`);
  const results = readResults();
  const failing = results.flatMap((result) => (result.kind === "unsettled" ? [result.test] : []));
  for (const test of new Set(failing)) console.log(`fails without a mutant, or the second time: ${test}`);
  return results.flatMap((result) => (result.kind === "reached" ? [result.reached] : []));
}

/**
 * Runs tests with all living mutants that they reach.
 * @returns tests that a mutant spoiled, so that they failed without one
 */
async function runTests(stage: Stage, plan: Plan & { tests: Reached[] }, verdicts: Verdicts): Promise<Reached[]> {
  const left = new Map(plan.tests.map((test) => [test.test, test]));
  const spoiled: Reached[] = [];
  while (true) {
    const tests = living(left, verdicts);
    if (tests.length === 0) return spoiled;
    await runProcess(stage, { ...plan, tests }, [...new Set(tests.map(({ file }) => file))]);
    const results = readResults();
    for (const result of results) {
      if (result.kind === "verdict") verdicts.set(result.mutant, result.verdict);
      if (result.kind === "done" || (result.kind === "unsettled" && !plan.isCareful)) left.delete(result.test);
    }
    const unsettled = new Set(results.flatMap((result) => (result.kind === "unsettled" ? [result.test] : [])));
    spoiled.push(...tests.filter(({ test }) => unsettled.has(test)));
    if (living(left, verdicts).length > 0) blame(readAttempt(), results.length > 0, left, verdicts);
  }
}

/** Returns tests with the mutants that they reach and that live. */
function living(tests: Map<string, Reached>, verdicts: Verdicts): Reached[] {
  const all = [...tests.values()];
  const alive = all.map((test) => ({ ...test, mutants: test.mutants.filter((mutant) => !verdicts.has(mutant)) }));
  return alive.filter(({ mutants }) => mutants.length > 0);
}

/** Settles with what a process was doing when it ended early, so that the next one goes on. */
function blame({ test, mutant }: Attempt, isProgress: boolean, left: Map<string, Reached>, verdicts: Verdicts): void {
  if (mutant !== NONE) verdicts.set(mutant, "timed out");
  else if (!isProgress && !left.delete(test)) left.clear();
}

/** Runs a process until it ends or is stuck; returns its exit code. */
async function runProcess(stage: Stage, plan: Plan, files: string[]): Promise<number | null> {
  clearResults();
  writePlan(plan);
  const child = spawn(process.execPath, [VITEST, "run", "--config", CONFIG, ...files], {
    stdio: "ignore",
    detached: true,
    env: { ...process.env, ...stage.env },
  });
  children.add(child);
  let last = "";
  let since = Date.now();
  const timer = setInterval(() => {
    const attempt = JSON.stringify(readAttempt());
    if (attempt !== last) since = Date.now();
    last = attempt;
    if (Date.now() - since > 2 * plan.timeout + STUCK) kill(child);
  }, 1_000);
  await once(child, "close");
  clearInterval(timer);
  children.delete(child);
  return child.exitCode;
}

/** Kills a process and its children. */
function kill({ pid, exitCode }: ChildProcess): void {
  if (pid && exitCode === null) process.kill(-pid, "SIGKILL");
}
