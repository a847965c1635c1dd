/** `npm run faults`: tests a client against faults, by default this project's. */
import { parseArgs } from "node:util";
import { SEED } from "../../test/e2e/support/seed.ts";
import { inWords, isFlawless } from "./judge.ts";
import { runTrial } from "./kit.ts";
import { OURS } from "./ours.ts";

/** A week. */
const MOST_MINUTES = 10_080;

const { values } = parseArgs({
  options: {
    listen: { type: "string", default: OURS.listen },
    announce: { type: "string", default: OURS.announce },
    minutes: { type: "string", default: "1" },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= MOST_MINUTES)) {
  console.error(`--minutes must be a number above 0, up to ${MOST_MINUTES}`);
  process.exit(2);
}
console.log(`SEED=${SEED}`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const began = Date.now();
const outcome = await runTrial({
  listen: values.listen,
  announce: values.announce,
  seconds: minutes * 60,
  seed: SEED,
  onFault: (what) => console.log(`${((Date.now() - began) / 1_000).toFixed(1)} s: ${what}`),
});
console.log(`${outcome.faults} faults`);
console.log(inWords("listening", outcome.listened));
console.log(inWords("announcing", outcome.announced));
process.exit(isFlawless(outcome.listened) && isFlawless(outcome.announced) ? 0 : 1);
