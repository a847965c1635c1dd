/**
 * Counts what each kind of event costs on the platform, in the bare runtime: `node tools/bench/costs.ts` takes two and
 * a half minutes, and `node tools/bench/costs.ts 120` retains messages for the default time. The result is in
 * `src/costs/measured.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Counts, requested, written } from "../../src/costs/cost.ts";
import { measure, RETENTION_SECONDS, type Schedule } from "./events.ts";
import { Meter } from "./meter.ts";
import { markdown } from "./table.ts";

/** Longer than the runtime keeps an idle object in memory, so that lone messages find hibernating objects. */
const UNTIL_ASLEEP = 15_000;

const SCHEDULE: Schedule = {
  beforeLone: () => sleep(UNTIL_ASLEEP),
  quick: 20,
  afterQuick: () => sleep(100),
  slow: 30,
  afterSlow: () => sleep(2_000),
};

const [historySeconds = RETENTION_SECONDS] = process.argv.slice(2).map(Number);
const [withoutHistory, withHistory] = [await Meter.start(0), await Meter.start(historySeconds)];
const costs = await measure(withoutHistory, withHistory, SCHEDULE);
await withoutHistory.stop();
await withHistory.stop();
const rows = Object.entries(costs).map(([kind, cost]) => [
  ...[kind, total(written(cost), cost.rows)],
  ...[total(requested(cost), cost.requests), cost.seconds.toFixed(2)],
]);
console.log(markdown([["", "rows written", "requests", "seconds awake"], ...rows]));
process.exit();

/** Formats a number with its parts. */
function total(sum: number, counts: Counts): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${Number(count.toFixed(2))}`);
  return [Number(sum.toFixed(2)), parts.join(", ")].filter((part) => part !== "").join(": ");
}
