/** Counts what the Worker refuses and where it fails, and reports that to the root of `all`, whose metrics show it. */
import { waitUntil } from "cloudflare:workers";
import { EVERYONE } from "../protocol/channels.ts";
import type { Name } from "../stats/tally.ts";
import { noTotals } from "../stats/totals.ts";
import { WorkerTally } from "../stats/worker-tally.ts";
import { stubOf, WORKER_HOPS } from "./calls.ts";
import { boundIn } from "./env.ts";

/** By namespace, because a Worker may mount several servers. */
const tallies = new WeakMap<object, WorkerTally>();

/** @param env the Worker's bindings; nothing is counted if they lack the objects */
export function count(env: object, name: Name): void {
  const bound = boundIn(env);
  if (!bound) return;
  tallyOf(bound.CHANNEL).count(name, async (others) => {
    await stubOf(bound, EVERYONE).call("tally", { ...noTotals(), others }, WORKER_HOPS);
  });
}

function tallyOf(namespace: object): WorkerTally {
  const known = tallies.get(namespace);
  if (known) return known;
  const tally = new WorkerTally({
    now: () => Date.now(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    keep: waitUntil,
  });
  tallies.set(namespace, tally);
  return tally;
}
