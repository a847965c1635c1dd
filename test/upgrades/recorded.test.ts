import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import type { Guard } from "../../src/auth/verify.ts";
import { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import { readLimits } from "../../src/runtime/limits.ts";
import { isAttachment } from "../../src/session/attachment.ts";
import { properties } from "../simulation/object.ts";
import { kindOfRow, ROW_KINDS } from "../simulation/rows.ts";
import { ClientSocket, socketsOf } from "../unit/sockets.ts";
import { fakeRuntime, type Others } from "../unit/tree/fake-runtime.ts";
import { bundleRelease } from "./bundle.ts";
import {
  formatRecording,
  parseRecording,
  type Recording,
  type Stored,
  storedShapes,
  withExtraProperties,
  withoutExtraProperties,
  withoutUndefined,
} from "./recording.ts";
import { record } from "./scenes.ts";

/** The properties of T, or of any member of a union, that may be undefined. */
type Optional<T> = T extends object ? { [P in keyof T]-?: undefined extends T[P] ? P : never }[keyof T] : never;

/** The optional properties of each call; the types prove that none is missing. */
const OPTIONAL: {
  [Kind in keyof Calls]: {
    ask: Record<Optional<Calls[Kind]["request"]>, true>;
    answer: Record<Optional<Calls[Kind]["answer"]>, true>;
  };
} = {
  link: { ask: { region: true, still: true, vouched: true }, answer: { vouched: true } },
  unlink: { ask: { counters: true }, answer: {} },
  deliver: { ask: { follows: true }, answer: { last: true } },
  forward: { ask: { keys: true }, answer: {} },
  recover: { ask: { since: true }, answer: {} },
  present: { ask: { after: true }, answer: {} },
  revoke: { ask: {}, answer: {} },
  revoked: { ask: {}, answer: {} },
  revocations: { ask: {}, answer: {} },
  channels: { ask: {}, answer: {} },
  summary: { ask: {}, answer: { position: true, members: true } },
  restate: { ask: {}, answer: {} },
  members: { ask: {}, answer: {} },
  fill: { ask: {}, answer: {} },
  claim: { ask: {}, answer: {} },
  recount: { ask: {}, answer: {} },
  announce: { ask: { key: true, expected: true }, answer: { last: true } },
  figures: { ask: {}, answer: { deepest: true, kept: true, members: true } },
  serviceFigures: { ask: {}, answer: { deepest: true, kept: true, members: true } },
  tally: { ask: { others: true }, answer: {} },
  describe: { ask: {}, answer: { kept: true } },
};

const variants = [
  { title: "as they are", of: <T>(value: T) => value },
  { title: "without properties that are undefined", of: withoutUndefined },
  { title: "with unknown properties", of: withExtraProperties },
];

/** What today's code stores and sends, after a round trip through a file's text. */
let recording: Recording;
/** What the last release stored and sent. */
let before: Recording;

beforeAll(async () => {
  recording = parseRecording(formatRecording(await record()));
  before = parseRecording(await readFile(new URL("before.json", import.meta.url), "utf8"));
});

/** Returns constant answers of other objects. */
function answering(calls: { kind: keyof Calls; answer: Calls[keyof Calls]["answer"] }[]): Others {
  const figures = calls.find(({ kind }) => kind === "figures")?.answer;
  const isFigures = (answer: unknown): answer is Calls["figures"]["answer"] => answer === figures;
  return {
    link: async () => ({ after: 1_000_000_000 }),
    unlink: async () => undefined,
    tally: async () => undefined,
    describe: async () => ({ objects: [], omitted: 0, unreachable: 0 }),
    claim: async (_, { wanted }) => wanted,
    revoked: async () => ({ objects: 1, unreachable: [] }),
    channels: async () => ({ channels: [], unreachable: 0 }),
    figures: async () => {
      if (!isFigures(figures)) throw new Error("no figures are recorded");
      return figures;
    },
  };
}

/** Maximum alarms of one object: enough for the calls that one call causes. */
const MAX_ALARMS = 10;

/** Wakes an object from recorded state alone. Its alarms fire at once. */
function wake({ name, alarm, rows, attachments }: Stored, others: Others): Broker {
  const sockets = attachments.map((attachment) => new ClientSocket(attachment));
  const state = { time: alarm };
  let fired = 0;
  const platform = fakeRuntime(name, new Map(Object.entries(rows)), others, state);
  const ring = () => {
    state.time = undefined;
    broker.alarmed();
  };
  const alarmed = {
    ...platform,
    alarm: async () => {
      fired += 1;
      if (fired < MAX_ALARMS) setImmediate(ring);
      return true;
    },
  };
  const limits = { ...readLimits({}), clientLimit: 100 };
  const broker = new Broker(alarmed, socketsOf(...sockets), limits, guardOf(attachments)).start();
  return broker;
}

/** Returns a guard that accepts the tokens of the recorded connections; undefined if they had none. */
function guardOf(attachments: unknown[]): Guard | undefined {
  const keys = attachments.flatMap((attachment) =>
    isAttachment(attachment) && attachment.grants ? [attachment.grants.key] : [],
  );
  const verify = () => Promise.reject(new Error("no other token is valid"));
  return keys.length === 0 ? undefined : { keys: new Set(keys), verify };
}

test("the recording has every kind of row and every shape of attachment", () => {
  const { objects } = recording;
  const kinds = objects.flatMap(({ rows }) => Object.keys(rows).map(kindOfRow));
  expect([...new Set(kinds)].sort()).toEqual([...ROW_KINDS].sort());
  const attached = objects.flatMap(storedShapes).filter((shape) => shape.startsWith("attachment"));
  for (const optional of ["counted: ", "entered: ", "grants: {", "kept: {"]) {
    expect(attached.some((shape) => shape.includes(optional))).toBe(true);
    expect(attached.some((shape) => !shape.includes(optional))).toBe(true);
  }
});

test.each(Object.entries(OPTIONAL))("the recording has the call %s with all optional properties", (kind, parts) => {
  const ofKind = recording.calls.filter((call) => call.kind === kind);
  expect(ofKind).not.toEqual([]);
  for (const name of Object.keys(parts.ask)) {
    expect(ofKind.some(({ ask }) => properties(ask)[name] !== undefined)).toBe(true);
  }
  for (const name of Object.keys(parts.answer)) {
    expect(ofKind.some(({ answer }) => properties(answer)[name] !== undefined)).toBe(true);
  }
});

/** Returns the answer to each recorded call of each object that was its target, and of an object without state. */
async function answersOf({ objects, calls }: Recording): Promise<{ kind: keyof Calls; answer: unknown }[]> {
  const answers: { kind: keyof Calls; answer: unknown }[] = [];
  for (const { to, kind, ask } of calls) {
    const nothing: Stored = { name: to, alarm: undefined, rows: {}, attachments: [] };
    for (const state of [nothing, ...objects.filter(({ name }) => name === to)]) {
      answers.push({ kind, answer: await wake(state, answering(calls)).called(kind, ask, 2) });
    }
  }
  return answers;
}

describe.each([
  { of: "today", recorded: () => recording },
  { of: "the last release", recorded: () => before },
])("of $of,", ({ recorded }) => {
  test.each(variants)("objects load rows and attachments $title", async ({ of }) => {
    const { objects, calls } = of(recorded());
    for (const state of objects) {
      const { connections } = await wake(state, answering(calls)).called("figures", { seed: 1 }, 2);
      expect(connections, JSON.stringify(state)).toBeGreaterThanOrEqual(state.attachments.length);
    }
  });

  test.each(variants)("objects answer calls $title", async ({ of }) => {
    // Objects also count what they don't know, and return such counts.
    const answers = withoutExtraProperties(await answersOf(of(recorded())));
    expect(answers).toEqual(await answersOf(recorded()));
  });
});

test("the saved code of a release runs on its own", async () => {
  const released: unknown = await import(`data:text/javascript,${encodeURIComponent(await bundleRelease())}`);
  const { Broker, readLimits: read } = properties(released);
  expect(Broker).toBeTypeOf("function");
  expect(typeof read === "function" && read({})).toEqual(readLimits({}));
});
