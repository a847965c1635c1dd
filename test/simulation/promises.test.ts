import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { CALM, type Kind } from "./kind.ts";
import { play } from "./play.ts";
import { RARITIES, type Rarity } from "./rarities.ts";

/** `RUNS=20` has each property tried so many times as often. */
const TIMES = Number(process.env.RUNS ?? 1);
/** `SEED=… REPLAY=…` has one failure happen again: the seed and the path that it printed. */
const replay = process.env.REPLAY && {
  seed: Number(process.env.SEED),
  path: process.env.REPLAY,
  endOnFailure: true,
};

/** What has been met in all runs. */
const met = new Set<Rarity>();

const timeout = 120_000 * Math.max(1, TIMES);

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" });

/** Of each property of a kind, which values it may have. */
type Kinds = { [Name in keyof Kind]?: fc.Arbitrary<Kind[Name]> };

/** Tries kinds of services `runs` times, with other choices each time. */
async function tryOut(runs: number, kinds: Kinds): Promise<void> {
  const property = fc.asyncProperty(choices, kindOf(kinds), async (choices, kind) => {
    for (const rarity of await play(choices, kind)) met.add(rarity);
  });
  // Before the test's own limit, as a failure is worth nothing without the script that shows it.
  const limit = { interruptAfterTimeLimit: timeout - 30_000, markInterruptAsFailure: false };
  await fc.assert(property, {
    numRuns: Math.ceil(runs * TIMES),
    ...limit,
    ...replay,
    ...(process.env.NOSHRINK && { endOnFailure: true }),
  });
}

/** What a property does not say is calm, or drawn: whether messages are retained, how strict the platform is, time. */
function kindOf(kinds: Kinds): fc.Arbitrary<Kind> {
  const drawn: Kinds = {
    withHistory: fc.boolean(),
    withLittleHistory: rarely,
    isStrict: fc.boolean(),
    passesTime: fc.boolean(),
    endsInSilence: fc.boolean(),
  };
  const some = fc.record({ ...drawn, ...kinds });
  return some.map((kind) => ({ ...CALM, ...kind }));
}

const always = fc.constant(true);
const rarely = fc.constantFrom(false, false, false, true);

test("links keep the promises, whatever the network and the objects do", { timeout }, async () => {
  await tryOut(2_000, { withFaults: always, withOutages: fc.boolean(), withSkew: rarely });
});

test("without failures nobody is closed, whenever objects hibernate", { timeout }, async () => {
  await tryOut(1_000, { withSkew: rarely });
});

test("where connections are counted, the count is true in the end, and few are enough", {
  timeout,
}, async () => {
  const clientLimit = fc.constantFrom(3, 6, 1_000);
  await tryOut(1_000, { clientLimit, withFaults: fc.boolean(), withOutages: rarely });
});

test("with tokens, connections end with theirs, and none before", { timeout }, async () => {
  await tryOut(500, { withTokens: always, withLongGrants: rarely, withFaults: fc.boolean() });
});

test("where little may wait, who is behind is cut off, and misses nothing in silence", {
  timeout,
}, async () => {
  await tryOut(1_000, { withTinyBuffers: always, withFaults: fc.boolean() });
});

test("where clients read late, what waits for them has a bound, and nobody misses any in silence", {
  timeout,
}, async () => {
  await tryOut(1_000, { withLateReaders: always, withFaults: fc.boolean() });
});

test("when storage takes no more rows, messages flow on, and nobody misses any in silence", {
  timeout,
}, async () => {
  await tryOut(1_000, { withFullStorage: always });
});

test("when storage takes no more rows and objects crash, the order holds, and all heals", {
  timeout,
}, async () => {
  await tryOut(500, { withFullStorage: always, withFaults: always });
});

afterAll(() => {
  // Else the runs have become too short, or too tame, for what they are there for.
  if (!replay && TIMES >= 1) expect([...met].sort()).toEqual([...RARITIES].sort());
});
