/**
 * The fault kit against this project's own client. `npm run faults -- --minutes 30` runs it longer; `SEED=…` repeats
 * the faults.
 */
import { expect, test } from "vitest";
import { inWords, isFlawless } from "../../tools/faults/judge.ts";
import { runTrial } from "../../tools/faults/kit.ts";
import { OURS } from "../../tools/faults/ours.ts";
import { SEED } from "./support/seed.ts";

const SECONDS = Math.round(60 * Number(process.env.MINUTES ?? 1));

test(`for ${SECONDS} s of faults, the client loses and repeats nothing`, {
  timeout: (SECONDS + 240) * 1_000,
}, async () => {
  console.log(`SEED=${SEED}`);
  const { listened, announced } = await runTrial({ ...OURS, seconds: SECONDS, seed: SEED });
  expect(isFlawless(listened), inWords("listening", listened)).toBe(true);
  expect(isFlawless(announced), inWords("announcing", announced)).toBe(true);
});
