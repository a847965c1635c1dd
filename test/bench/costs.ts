/**
 * What each kind of event costs on the platform, counted in the bare runtime: `node test/bench/costs.ts` takes a
 * minute and a half. `free-plan.ts` goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Counts, requested, written } from "./cost.ts";
import { type Course, measure } from "./events.ts";
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

const meter = await Meter.start();
const costs = await measure(meter, COURSE);
await meter.stop();
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
