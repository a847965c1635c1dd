import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { COVERAGE_GOALS, type CoverageGoal } from "./coverage.ts";
import { CALM, type Profile } from "./profile.ts";
import { replay, TIMES } from "./replay.ts";
import { run } from "./run.ts";

/** The coverage goals reached in all runs. */
const covered = new Set<CoverageGoal>();

const timeout = 120_000 * Math.max(1, TIMES);

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" });

/** The values that each setting of a profile may take. */
type Profiles = { [Name in keyof Profile]?: fc.Arbitrary<Profile[Name]> };

/** Runs services with these profiles `runs` times, with new choices each time. */
async function runProfiles(runs: number, profiles: Profiles): Promise<void> {
  const property = fc.asyncProperty(choices, profilesFrom(profiles), async (choices, profile) => {
    for (const goal of await run(choices, profile)) covered.add(goal);
  });
  // Ends before the test's own timeout, because a failure is useless without its trace.
  const limit = { interruptAfterTimeLimit: timeout - 30_000, markInterruptAsFailure: false };
  await fc.assert(property, {
    numRuns: Math.ceil(runs * TIMES),
    ...limit,
    ...replay,
    ...(process.env.NOSHRINK && { endOnFailure: true }),
  });
}

/** Draws what a property leaves open: retention, the platform's strictness, the passing of time. */
function profilesFrom(profiles: Profiles): fc.Arbitrary<Profile> {
  const drawn: Profiles = {
    withHistory: fc.boolean(),
    withLittleHistory: rarely,
    isStrict: fc.boolean(),
    passesTime: fc.boolean(),
    endsInSilence: fc.boolean(),
    withPresence: seldom,
    withCrowds: rarely,
  };
  const some = fc.record({ ...drawn, ...profiles });
  return some.map((profile) => ({ ...CALM, ...profile, ...impliedBy(profile) }));
}

/** Returns what follows from a profile. Without history, there is no presence, and slow readers would get long errors. */
function impliedBy({ withPresence, withSlowReaders, withTokens }: Partial<Profile>): Partial<Profile> {
  return withPresence && (withSlowReaders || withTokens) ? { withHistory: true } : {};
}

const always = fc.constant(true);
const rarely = fc.constantFrom(false, false, false, true);
const seldom = fc.constantFrom(true, ...Array.from({ length: 9 }, () => false));

test("links keep the guarantees, whatever the network and the objects do", {
  tags: [
    "order-shared",
    "order-of-publisher",
    "delivery-once",
    "close-not-loss",
    "ping-barrier",
    "stored-first",
    "resume-exact",
    "gap-named",
    "crash-own-connections",
    "crash-unsure-link",
    "crash-of-child",
    "crash-without-retention",
    "calm-after-crash",
    "slow-object",
    "stale-removed",
  ],
  timeout,
}, async () => {
  await runProfiles(2_000, { withFaults: always, withOutages: fc.boolean(), withSkew: rarely });
});

test("members are those with connections, whatever the network and the objects do", {
  tags: [
    "presence-channel",
    "presence-no-ghosts",
    "presence-no-flapping",
    "presence-no-race",
    "presence-exact",
    "presence-barrier",
  ],
  timeout,
}, async () => {
  const present = { withPresence: always, withHistory: always };
  await runProfiles(1_500, { ...present, withFaults: always, withOutages: fc.boolean(), withSkew: rarely });
});

test("while a deploy reaches one object after another, the guarantees hold", {
  tags: ["deploy-resumes"],
  timeout,
}, async () => {
  const drawn = { withPresence: fc.boolean(), withTokens: rarely, withFaults: fc.boolean(), withOutages: rarely };
  await runProfiles(1_000, { withDeploy: always, ...drawn });
});

test("without failures members come, go and return exactly", { tags: ["presence-exact"], timeout }, async () => {
  await runProfiles(1_000, { withPresence: always, withHistory: always, withSkew: rarely });
});

test("without failures no connection is closed, whenever objects hibernate", {
  tags: ["delivery-once"],
  timeout,
}, async () => {
  await runProfiles(1_000, { withSkew: rarely });
});

test("with a client limit, the count converges and never exceeds the limit for long", {
  tags: ["client-limit"],
  timeout,
}, async () => {
  const clientLimit = fc.constantFrom(3, 6, 1_000);
  await runProfiles(1_000, { clientLimit, withFaults: fc.boolean(), withOutages: rarely });
});

test("connections with tokens end when their token does, and not before", {
  tags: ["close-expired"],
  timeout,
}, async () => {
  const faults = { withFaults: fc.boolean() };
  await runProfiles(500, { withTokens: always, withLongGrants: rarely, withPresence: rarely, ...faults });
});

test("with tiny buffers, slow connections are closed, and no message is lost silently", {
  tags: ["slow-closed", "close-waiting"],
  timeout,
}, async () => {
  await runProfiles(1_000, { withTinyBuffers: always, withFaults: fc.boolean() });
});

test("with slow readers, the backlog stays bounded, and no message is lost silently", {
  tags: ["object-buffer"],
  timeout,
}, async () => {
  await runProfiles(1_000, { withSlowReaders: always, withFaults: fc.boolean() });
});

test("with full storage, messages keep flowing, and none is lost silently", {
  tags: ["full-storage"],
  timeout,
}, async () => {
  await runProfiles(1_000, { withFullStorage: always });
});

test("with full storage and crashing objects, the order holds, and everything recovers", {
  timeout,
}, async () => {
  await runProfiles(500, { withFullStorage: always, withFaults: always });
});

afterAll(() => {
  // If a goal isn't reached, the runs have become too short or too tame.
  if (!replay && TIMES >= 1) expect([...covered].sort()).toEqual([...COVERAGE_GOALS].sort());
});
