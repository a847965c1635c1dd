/**
 * What each kind of event costs on the platform, counted in the bare runtime: `node tools/bench/costs.ts` takes
 * two minutes and a half; `node tools/bench/costs.ts 120` has messages kept for as long as if nothing is set. `free-plan.ts` goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Counts, requested, written } from "./cost.ts";
import { type Course, KEPT_FOR, measure } from "./events.ts";
import { Meter } from "./meter.ts";

/** Longer than the runtime keeps an idle object in memory: lone messages come to objects that sleep. */
const UNTIL_ASLEEP = 15_000;

const COURSE: Course = {
  beforeLone: () => sleep(UNTIL_ASLEEP),
  quick: 20,
  afterQuick: () => sleep(100),
  slow: 30,
  afterSlow: () => sleep(2_000),
};

const [historySeconds = KEPT_FOR] = process.argv.slice(2).map(Number);
const [forgetful, keeping] = [await Meter.start(0), await Meter.start(historySeconds)];
const costs = await measure(forgetful, keeping, COURSE);
await forgetful.stop();
await keeping.stop();
console.log("| | rows written | requests | seconds awake |\n| --- | --- | --- | --- |");
for (const [kind, cost] of Object.entries(costs)) {
  const cells = [
    kind,
    total(written(cost), cost.rows),
    total(requested(cost), cost.requests),
    cost.seconds.toFixed(2),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
process.exit();

/** A number, and what it is made up of. */
function total(sum: number, counts: Counts): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${Number(count.toFixed(2))}`);
  return [Number(sum.toFixed(2)), parts.join(", ")].filter((part) => part !== "").join(": ");
}
