import { beforeAll, expect, test } from "vitest";
import type { Guard } from "../../src/auth/verify.ts";
import { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import { readLimits } from "../../src/runtime/limits.ts";
import { isAttachment } from "../../src/session/attachment.ts";
import type { Socket } from "../../src/session/socket.ts";
import { properties } from "../simulation/life.ts";
import { kindOfRow, ROW_KINDS } from "../simulation/rows.ts";
import { fakeRuntime, type Others } from "../unit/tree/fake-runtime.ts";
import { bundleHeart } from "./bundle.ts";
import {
  formatRecording,
  type Kept,
  parseRecording,
  type Recording,
  shapesKept,
  shortened,
  widened,
} from "./recording.ts";
import { record } from "./scenes.ts";

/** Properties that may be undefined, of what may be one of several. */
type Optional<T> = T extends object
  ? { [P in keyof T]-?: undefined extends T[P] ? P : never }[keyof T]
  : never;

/** Of each call, what is optional; that nothing is left out here is checked with the types. */
const OPTIONAL: {
  [Kind in keyof Calls]: {
    ask: Record<Optional<Calls[Kind]["ask"]>, true>;
    answer: Record<Optional<Calls[Kind]["answer"]>, true>;
  };
} = {
  link: { ask: { region: true, still: true, vouched: true }, answer: { vouched: true } },
  unlink: { ask: { counters: true }, answer: {} },
  deliver: { ask: { follows: true }, answer: { last: true } },
  forward: { ask: { keys: true }, answer: {} },
  recover: { ask: { since: true }, answer: {} },
  fill: { ask: {}, answer: {} },
  claim: { ask: {}, answer: {} },
  recount: { ask: {}, answer: {} },
  announce: { ask: { key: true, expected: true }, answer: { last: true } },
  figures: { ask: {}, answer: { deepest: true, kept: true } },
  serviceFigures: { ask: {}, answer: { deepest: true, kept: true } },
  tally: { ask: { others: true }, answer: {} },
  describe: { ask: {}, answer: { kept: true } },
};

const variants = [
  { title: "as they are", of: <T>(value: T) => value },
  { title: "without what is undefined", of: shortened },
  { title: "with more than is known", of: widened },
];

/** What was recorded, as it is after a file has held it. */
let recording: Recording;

beforeAll(async () => {
  recording = parseRecording(formatRecording(await record()));
});

/** What other objects answer, each time the same. */
function answering(calls: { kind: keyof Calls; answer: Calls[keyof Calls]["answer"] }[]): Others {
  const figures = calls.find(({ kind }) => kind === "figures")?.answer;
  const isFigures = (answer: unknown): answer is Calls["figures"]["answer"] => answer === figures;
  return {
    link: async () => ({ after: 1_000_000_000 }),
    unlink: async () => undefined,
    tally: async () => undefined,
    describe: async () => ({ objects: [], omitted: 0, unreachable: 0 }),
    claim: async (_, { wanted }) => wanted,
    figures: async () => {
      if (!isFigures(figures)) throw new Error("no figures are recorded");
      return figures;
    },
  };
}

/** Alarms of one object that go off: enough for what it asks others on behalf of one call. */
const MOST_ALARMS = 10;

/** Wakes an object where all that it had is what has been recorded. Its alarms go off at once. */
function wake({ name, alarm, rows, attachments }: Kept, others: Others): Broker {
  const sockets = attachments.map((attachment): Socket => {
    let attached = attachment;
    return {
      bufferedAmount: 0,
      send: () => {},
      close: () => {},
      serializeAttachment: (value) => {
        attached = value;
      },
      deserializeAttachment: () => attached,
    };
  });
  const state = { time: alarm };
  let rung = 0;
  const platform = fakeRuntime(name, new Map(Object.entries(rows)), others, state);
  const ring = () => {
    state.time = undefined;
    broker.alarmed();
  };
  const alarmed = {
    ...platform,
    alarm: async () => {
      rung += 1;
      if (rung < MOST_ALARMS) setImmediate(ring);
      return true;
    },
  };
  const service = { acceptWebSocket: () => {}, getWebSockets: () => sockets };
  const limits = { ...readLimits({}), clientLimit: 100 };
  const broker = new Broker(alarmed, service, limits, guardOf(attachments)).start();
  return broker;
}

/** What takes the tokens that connections came with; undefined where those came without. */
function guardOf(attachments: unknown[]): Guard | undefined {
  const keys = attachments.flatMap((attachment) =>
    isAttachment(attachment) && attachment.grants ? [attachment.grants.key] : [],
  );
  const verify = () => Promise.reject(new Error("there are no other tokens"));
  return keys.length === 0 ? undefined : { keys: new Set(keys), verify };
}

test("every kind of row is recorded, and each shape of an attachment", () => {
  const { objects } = recording;
  const kinds = objects.flatMap(({ rows }) => Object.keys(rows).map(kindOfRow));
  expect([...new Set(kinds)].sort()).toEqual([...ROW_KINDS].sort());
  const attached = objects.flatMap(shapesKept).filter((shape) => shape.startsWith("attachment"));
  for (const optional of ["counted: ", "grants: {", "kept: {"]) {
    expect(attached.some((shape) => shape.includes(optional))).toBe(true);
    expect(attached.some((shape) => !shape.includes(optional))).toBe(true);
  }
});

test.each(Object.entries(OPTIONAL))("the call %s is recorded with all that is optional", (kind, parts) => {
  const ofKind = recording.calls.filter((call) => call.kind === kind);
  expect(ofKind).not.toEqual([]);
  for (const name of Object.keys(parts.ask)) {
    expect(ofKind.some(({ ask }) => properties(ask)[name] !== undefined)).toBe(true);
  }
  for (const name of Object.keys(parts.answer)) {
    expect(ofKind.some(({ answer }) => properties(answer)[name] !== undefined)).toBe(true);
  }
});

test.each(variants)("an object takes up rows and attachments $title", async ({ of }) => {
  const { objects, calls } = of(recording);
  for (const kept of objects) {
    const { connections } = await wake(kept, answering(calls)).called("figures", { seed: 1 }, 2);
    expect(connections, JSON.stringify(kept)).toBeGreaterThanOrEqual(kept.attachments.length);
  }
});

test.each(variants)("an object answers the calls $title", async ({ of }) => {
  const { objects, calls } = of(recording);
  for (const { to, kind, ask } of calls) {
    const nothing: Kept = { name: to, alarm: undefined, rows: {}, attachments: [] };
    for (const kept of [nothing, ...objects.filter(({ name }) => name === to)]) {
      await wake(kept, answering(calls)).called(kind, ask, 2);
    }
  }
});

test("what is written of a version when it is released runs by itself", async () => {
  const released: unknown = await import(`data:text/javascript,${encodeURIComponent(await bundleHeart())}`);
  const { Broker, readLimits: read } = properties(released);
  expect(Broker).toBeTypeOf("function");
  expect(typeof read === "function" && read({})).toEqual(readLimits({}));
});
