/** What the main process and the process of the tests tell each other, in files of one folder. */
import { openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Mutation } from "./mutations.ts";

export interface Mutant extends Mutation {
  id: number;
  area: string;
  /** Relative to the repository. */
  file: string;
  line: number;
}

/** The mutants that a test reaches. */
export interface Reached {
  /** Vitest's name of the test, which is the same in each run. */
  test: string;
  name: string;
  file: string;
  /** How long it takes, in milliseconds. */
  duration: number;
  /** How often it reaches any mutant. */
  calls: number;
  mutants: number[];
}

export type Verdict = "killed" | "timed out";

/** A line of the file of results. */
export type Result =
  | { kind: "reached"; reached: Reached }
  | { kind: "verdict"; mutant: number; verdict: Verdict; test: string }
  /** The test has run with all living mutants that it reaches. */
  | { kind: "done"; test: string }
  /** The test fails without a mutant: the second time, or after kills, which then don't count. */
  | { kind: "unsettled"; test: string };

/** What the process of the tests is to do. */
export interface Plan {
  mutants: Mutant[];
  /** Without tests, all are run to find out which mutants each one reaches. */
  tests?: Reached[];
  /** Whether each test is run without a mutant after each kill, in case the kill left something behind. */
  isCareful: boolean;
  seed: number;
  /** After how many milliseconds a test has failed. */
  timeout: number;
}

/** What a test is being run with. */
export interface Attempt {
  test: string;
  mutant: number;
}

/** Means no mutant. */
export const NONE = -1;

/** The environment variable with the folder. */
export const FOLDER = "MUTANTS_FOLDER";

/** The environment variable with the mutant that is active in programs that a test starts. */
export const ACTIVE = "MUTANT";

const fileOf = (name: string) => join(process.env[FOLDER] ?? "", name);

/** A file of the code, with mutants. */
export const instrumentedFile = (file: string) => fileOf(file.replaceAll("/", "-"));

/** A line for each mutant that programs have reached. */
export const reachedFile = () => fileOf("reached");

function read<T>(name: string): T {
  return JSON.parse(readFileSync(fileOf(name), "utf8"));
}

export const readPlan = () => read<Plan>("plan.json");
export const readAttempt = () => read<Attempt>("attempt.json");
export const writePlan = (plan: Plan) => writeFileSync(fileOf("plan.json"), JSON.stringify(plan));

/** Returns the results since `clearResults`. */
export function readResults(): Result[] {
  const lines = readFileSync(fileOf("results"), "utf8").split("\n");
  return lines.filter((line) => line).map((line): Result => JSON.parse(line));
}

export function clearResults(): void {
  writeFileSync(fileOf("results"), "");
  writeFileSync(fileOf("attempt.json"), JSON.stringify({ test: "", mutant: NONE }));
}

/** Notes results, and what is being tried, at once: a mutant may end the process. */
export class Notes {
  readonly #results = openSync(fileOf("results"), "a");
  readonly #attempt = openSync(fileOf("attempt.json"), "r+");

  add(result: Result): void {
    writeSync(this.#results, `${JSON.stringify(result)}\n`);
  }

  begin(attempt: Attempt): void {
    writeSync(this.#attempt, JSON.stringify(attempt).padEnd(200), 0);
  }
}
