/** Profiles of simulated services: their limits, and how the platform and the clients behave. */
import { type Limits, readLimits } from "../../src/runtime/limits.ts";

/** No faults, no limits, and time barely moves. */
export const CALM = {
  /** Whether calls fail and objects crash. */
  withFaults: false,
  /** Whether objects, or the path from one to another, are unreachable for longer than calls are retried. */
  withOutages: false,
  /** Whether seconds and minutes pass without commands: see `pass` in `scheduler.ts`. */
  passesTime: false,
  /** Whether the run ends without another use of each channel, so that alarms and timers alone must settle everything. */
  endsInSilence: false,
  /** Whether each object's clock is off, by up to a minute. */
  withSkew: false,
  /** Maximum connections of the whole service; 0 disables counting. */
  clientLimit: 0,
  /** Whether clients need tokens. */
  withTokens: false,
  /** Whether grants nearly fill an attachment; only with tokens. */
  withLongGrants: false,
  /** Whether buffers are so small that slow links are cut off. */
  withTinyBuffers: false,
  /** Whether clients read frames late, and an object may buffer little for all of its clients. */
  withSlowReaders: false,
  /** Whether messages are retained. */
  withHistory: false,
  /** Whether only a few characters of a channel are retained. */
  withLittleHistory: false,
  /** Whether the platform is as strict as in production: see `platform-rules.ts`. */
  isStrict: false,
  /** Whether storage accepts only a limited number of rows until the run ends. */
  withFullStorage: false,
  /** Whether clients enter channels and watch their members. */
  withPresence: false,
  /** Whether objects run the last release at first, and today's code once a deploy has reached them. */
  withDeploy: false,
  /** Whether an object has room for all clients. */
  withCrowds: false,
};

export type Profile = typeof CALM;

/** Retention periods to draw from, in seconds. Runs in which little time passes outlive only the last. */
const RETENTIONS = [120, 30, 120, 1];

/** Bytes that an object may buffer for all its clients together, if they read slowly: about three frames. */
export const MAX_BUFFERED = 1_000;

/** The retained characters of a channel, if few are retained: some messages. */
const LITTLE_HISTORY = 60;

/** Grace periods to draw from, in seconds. */
const GRACES = [15, 15, 2, 0];

/** Most members of a channel to draw from: fewer than there are names, and more than enough. */
const MOST_MEMBERS = [1_000, 2, 1_000, 1];

/** The limits of all objects: so low that trees grow and shrink all the time. */
export function limitsOf(profile: Profile, choose: (among: number) => number): Limits {
  const few = { socketsPerObject: 1 + choose(2), linksPerObject: 1 + choose(2) };
  const historySeconds = RETENTIONS[choose(RETENTIONS.length)] ?? 0;
  const limits = readLimits({});
  if (profile.withPresence) {
    limits.presenceGraceSeconds = GRACES[choose(GRACES.length)] ?? 0;
    limits.membersPerChannel = MOST_MEMBERS[choose(MOST_MEMBERS.length)] ?? 0;
  }
  return {
    ...limits,
    ...few,
    ...(profile.withCrowds && { socketsPerObject: 100 }),
    ...(profile.withTinyBuffers && { maxBufferedBytes: 200 }),
    ...(profile.withSlowReaders && { maxPendingBytes: MAX_BUFFERED, socketsPerObject: 4 }),
    historySeconds: profile.withHistory ? historySeconds : 0,
    ...(profile.withLittleHistory && { historyBytes: LITTLE_HISTORY }),
    clientLimit: profile.clientLimit,
  };
}
