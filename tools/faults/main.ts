/** `npm run faults`: tests a client against faults, by default this project's. */
import { parseArgs } from "node:util";
import { inWords, isFlawless } from "./judge.ts";
import { runTrial } from "./kit.ts";
import { OURS } from "./ours.ts";

const { values } = parseArgs({
  options: {
    listen: { type: "string", default: OURS.listen },
    announce: { type: "string", default: OURS.announce },
    minutes: { type: "string", default: "1" },
  },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const began = Date.now();
const outcome = await runTrial({
  listen: values.listen,
  announce: values.announce,
  seconds: Number(values.minutes) * 60,
  random: Math.random,
  onFault: (what) => console.log(`${((Date.now() - began) / 1_000).toFixed(1)} s: ${what}`),
});
console.log(`${outcome.faults} faults`);
console.log(inWords("listening", outcome.listened));
console.log(inWords("announcing", outcome.announced));
process.exit(isFlawless(outcome.listened) && isFlawless(outcome.announced) ? 0 : 1);
