/** Properties of the simulated service, and the values that profiles take. */
import fc from "fast-check";
import type { CoverageGoal } from "../coverage.ts";
import { CALM, type Profile } from "../profile.ts";
import { run } from "../run.ts";
import { propertiesOf } from "../runs.ts";
import { FAILURES } from "./failures.ts";

/** The values that each setting of a profile may take. */
type Profiles = { [Name in keyof Profile]?: fc.Arbitrary<Profile[Name]> };

interface Service {
  /** The guarantees that it proves. */
  tags?: string[];
  runs: number;
  profiles: Profiles;
  goals?: readonly CoverageGoal[];
}

export const always = fc.constant(true);
export const sometimes = fc.boolean();
export const rarely = fc.constantFrom(false, false, false, true);
const seldom = fc.constantFrom(true, ...Array.from({ length: 9 }, () => false));

const property = propertiesOf<Profile, CoverageGoal>(
  run,
  FAILURES.map((failure) => ({ ...failure, scenario: { ...CALM, ...failure.scenario } })),
);

/** Declares that services with these profiles keep all guarantees. */
export function holds(title: string, { profiles, ...more }: Service): void {
  property(title, { ...more, scenarios: profilesFrom(profiles) });
}

/** Draws what a property leaves open: retention, the platform's strictness, the passing of time, how the run ends. */
function profilesFrom(profiles: Profiles): fc.Arbitrary<Profile> {
  const drawn: Profiles = {
    withHistory: sometimes,
    withLittleHistory: rarely,
    isStrict: sometimes,
    passesTime: sometimes,
    endsInSilence: sometimes,
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
