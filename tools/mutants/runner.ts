/**
 * Runs tests in one process: each test again for each living mutant that it reaches, by means of Vitest's repetitions.
 * So a mutant costs no more than the test itself.
 */
import fc from "fast-check";
import { type RunnerTask, type RunnerTestCase, type RunnerTestFile, TestRunner, type TestTryOptions, vi } from "vitest";
import { NONE, Notes, type Reached, readPlan } from "./plan.ts";
import { activateInPrograms, mutatePrograms, reachedInPrograms } from "./started-programs.ts";
import { activate, observed } from "./switchboard.ts";

// Not a test's fake timers.
const { setImmediate } = globalThis;
const now = performance.now.bind(performance);

const plan = readPlan();
const notes = new Notes();
const settled = new Set<number>();
const reachedBy = new Map(plan.tests?.map((reached) => [reached.test, reached]));

// The first failure suffices, and the same inputs reach the same mutants.
fc.configureGlobal({ seed: plan.seed, endOnFailure: true });

if (process.env.IN_PROGRAMS) mutatePrograms();

let hasUnhandled = false;
for (const event of ["unhandledRejection", "uncaughtException"]) {
  process.on(event, () => {
    hasUnhandled = true;
  });
}

// A listener that throws would end the process: the program's, which a test keeps from exiting.
process.emit = new Proxy(process.emit, {
  apply(target, self, words) {
    try {
      return Reflect.apply(target, self, words);
    } catch (error) {
      if (words[0] !== "uncaughtException") throw error;
      hasUnhandled = true;
      return true;
    }
  },
});

/** Events whose listeners would act on the failures of later tests. */
const EVENTS = ["unhandledRejection", "uncaughtException", "exit", "SIGINT", "SIGTERM"];
const listeners = new Map(EVENTS.map((event) => [event, new Set(process.rawListeners(event))]));

/** Removes the listeners that a test has added to this process. */
function removeListeners(): void {
  for (const [event, known] of listeners) {
    for (const listener of process.rawListeners(event)) {
      if (!known.has(listener)) Reflect.apply(process.off, process, [event, listener]);
    }
  }
}

interface Outcome {
  failed: boolean;
  timedOut: boolean;
  duration: number;
}

export default class MutantRunner extends TestRunner {
  /** The mutants that the repetitions of the present test are for. */
  #turns: number[] = [];
  /** Kills of the present test that count if it passes afterwards. */
  #kills: { mutant: number; timedOut: boolean }[] = [];
  #began = 0;

  /** Each file begins with real timers, as in a process of its own. */
  override onCollectStart(file: RunnerTestFile): void {
    vi.useRealTimers();
    super.onCollectStart(file);
  }

  override async onBeforeRunTask(task: RunnerTask): Promise<void> {
    await super.onBeforeRunTask(task);
    if (task.type !== "test" || task.mode !== "run") return;
    this.#kills = [];
    this.#turns = plan.tests ? this.#turnsOf(reachedBy.get(task.id)) : [NONE, NONE];
    if (this.#turns.length === 0) task.mode = "skip";
    task.repeats = this.#turns.length - 1;
  }

  #turnsOf(reached: Reached | undefined): number[] {
    const living = reached?.mutants.filter((mutant) => !settled.has(mutant)) ?? [];
    if (living.length === 0) return [];
    return plan.isCareful ? [NONE, ...living.flatMap((mutant) => [mutant, NONE])] : [...living, NONE];
  }

  override onBeforeTryTask(test: RunnerTask, options: TestTryOptions): void {
    super.onBeforeTryTask(test, options);
    const mutant = this.#turns[options.repeats ?? 0] ?? NONE;
    notes.begin({ test: test.id, mutant });
    hasUnhandled = false;
    this.#began = now();
    activate(mutant, reachedBy.get(test.id)?.calls);
    activateInPrograms(mutant);
  }

  /** Does nothing if the test needs no control, because no mutant was killed. */
  runTask = async (test: RunnerTestCase): Promise<void> => {
    const turn = this.#turns[test.result?.repeatCount ?? 0];
    const isIdle = plan.tests && !plan.isCareful && turn === NONE && this.#kills.length === 0;
    if (!isIdle) await TestRunner.getTestFn(test)();
  };

  override async onAfterRetryTask(test: RunnerTestCase, options: TestTryOptions): Promise<void> {
    await super.onAfterRetryTask(test, options);
    // Rejections without a handler are reported after all promises that are ready.
    await new Promise(setImmediate);
    const { result } = test;
    const { calls, reached, isEndless } = observed();
    const outcome = {
      failed: hasUnhandled || result?.state === "fail",
      timedOut: isEndless || Boolean(result?.errors?.some(({ message }) => /timed out in/.test(message))),
      duration: now() - this.#began,
    };
    activate(NONE);
    removeListeners();
    const mutant = this.#turns[options.repeats ?? 0] ?? NONE;
    const isLast = options.repeats === this.#turns.length - 1;
    if (!plan.tests) this.#noteReached(test, isLast, outcome, { calls, mutants: [...reached, ...reachedInPrograms()] });
    else if (mutant === NONE) this.#control(test, isLast, outcome);
    else if (outcome.failed) this.#kills.push({ mutant, timedOut: outcome.timedOut });
    if (!result) return;
    result.state = "pass";
    delete result.errors;
    result.attempts = [];
  }

  #noteReached(
    test: RunnerTestCase,
    isLast: boolean,
    { failed, duration }: Outcome,
    more: Pick<Reached, "calls" | "mutants">,
  ) {
    const { id, fullName, file } = test;
    if (failed) notes.add({ kind: "unsettled", test: fullName });
    else if (isLast)
      notes.add({ kind: "reached", reached: { test: id, name: fullName, file: file.filepath, duration, ...more } });
  }

  /** Notes the kills if the test passes without a mutant. */
  #control(test: RunnerTestCase, isLast: boolean, { failed }: Outcome): void {
    if (!failed || plan.isCareful) this.#noteKills(test);
    if (failed) notes.add({ kind: "unsettled", test: test.id });
    else if (isLast) notes.add({ kind: "done", test: test.id });
    // Another process goes on.
    if (failed && plan.isCareful) process.kill(process.pid, "SIGKILL");
  }

  #noteKills(test: RunnerTestCase): void {
    for (const { mutant, timedOut } of this.#kills) {
      settled.add(mutant);
      notes.add({ kind: "verdict", mutant, verdict: timedOut ? "timed out" : "killed", test: test.fullName });
    }
    this.#kills = [];
  }
}
