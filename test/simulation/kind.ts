/** Kinds of services that runs simulate, and what they set: limits, and how the platform behaves. */
import { type Limits, readLimits } from "../../src/runtime/limits.ts";

export interface Kind {
  /** Whether calls fail and objects crash. */
  withFaults: boolean;
  /** Whether objects, or the way from one to another, can't be reached for longer than calls are repeated. */
  withOutages: boolean;
  /** Whether seconds and minutes pass in which nobody sends anything: see `pass` in `course.ts`. */
  passesTime: boolean;
  /** Whether no channel is used once more at the end: all comes to rest by alarms and timers alone. */
  endsInSilence: boolean;
  /** Whether each object's clock is off, by up to a minute. */
  withSkew: boolean;
  /** Connections of the whole service; 0 has nobody count them. */
  clientLimit: number;
  /** Whether clients need tokens. */
  withTokens: boolean;
  /** Whether tokens grant so much that an attachment is nearly full; only where clients need tokens. */
  withLongGrants: boolean;
  /** Whether so little may wait that links which are behind are cut off. */
  withTinyBuffers: boolean;
  /** Whether clients take what is sent to them some time, not at once, and little may wait for all of an object. */
  withLateReaders: boolean;
  /** Whether messages are retained. */
  withHistory: boolean;
  /** Whether only few characters of a channel are retained. */
  withLittleHistory: boolean;
  /** Whether the platform is as strict as in production: see `rules.ts`. */
  isStrict: boolean;
  /** Whether storage takes only so many rows, until everything comes to rest. */
  withFullStorage: boolean;
}

/** Nothing fails, nothing is limited, and time stands nearly still. */
export const CALM: Kind = {
  withFaults: false,
  withOutages: false,
  passesTime: false,
  endsInSilence: false,
  withSkew: false,
  clientLimit: 0,
  withTokens: false,
  withLongGrants: false,
  withTinyBuffers: false,
  withLateReaders: false,
  withHistory: false,
  withLittleHistory: false,
  isStrict: false,
  withFullStorage: false,
};

/** Seconds for which messages are retained; a run draws one. Runs in which little time passes outlive only the last. */
const RETENTIONS = [120, 30, 120, 1];

/** Bytes that may wait for all clients of an object together, where they read late: three frames. */
export const MAX_PENDING_BYTES = 1_000;

/** Characters of a channel that are retained, where that is little: a few messages. */
const LITTLE_HISTORY = 60;

/** The limits of all objects: so low that trees grow and shrink all the time. */
export function limitsOf(kind: Kind, choose: (among: number) => number): Limits {
  const few = { socketsPerObject: 1 + choose(2), linksPerObject: 1 + choose(2) };
  const historySeconds = RETENTIONS[choose(RETENTIONS.length)] ?? 0;
  return {
    ...readLimits({}),
    ...few,
    ...(kind.withTinyBuffers && { maxBufferedBytes: 200 }),
    ...(kind.withLateReaders && { maxPendingBytes: MAX_PENDING_BYTES, socketsPerObject: 4 }),
    historySeconds: kind.withHistory ? historySeconds : 0,
    ...(kind.withLittleHistory && { historyBytes: LITTLE_HISTORY }),
    clientLimit: kind.clientLimit,
  };
}
