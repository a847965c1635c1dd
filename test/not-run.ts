/** Prints at the end of a run which tests were skipped, because a suite that shrinks silently proves less than it seems to. */
import type { Reporter, TestCase, TestModule } from "vitest/node";

export default class NotRun implements Reporter {
  #isFiltered = false;

  onInit(vitest: Parameters<NonNullable<Reporter["onInit"]>>[0]): void {
    const { testNamePattern, tagsFilter } = vitest.config;
    this.#isFiltered = Boolean(testNamePattern ?? tagsFilter?.length);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // A filter skips tests because the user wants it to.
    const skipped = this.#isFiltered ? [] : modules.flatMap(({ children }) => [...children.allTests("skipped")]);
    if (skipped.length === 0) return;
    console.error(`\nNOT RUN: ${skipped.length} tests, because something is missing on this machine:`);
    for (const test of skipped) console.error(`  ${lineOf(test)}`);
    console.error("With CI=true, they fail instead.\n");
  }
}

function lineOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" && result.note ? `: ${result.note}` : "";
  return `${test.module.relativeModuleId} > ${test.fullName}${note}`;
}
