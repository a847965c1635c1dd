import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Broker } from "../../src/broker/broker.ts";
import { readLimits } from "../../src/broker/limits.ts";
import type { Calls } from "../../src/links/messages.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { properties } from "../simulation/life.ts";
import { kindOfRow, ROW_KINDS } from "../simulation/rows.ts";
import { widened } from "../simulation/versions.ts";
import { type Others, stillWorld } from "../unit/links/world.ts";
import { formatRecording, type Kept, parseRecording, shapesKept, shortened } from "./recording.ts";
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
  link: { ask: { region: true, handover: true, still: true, vouched: true }, answer: { vouched: true } },
  unlink: { ask: { handover: true }, answer: {} },
  deliver: { ask: { number: true, where: true }, answer: { handover: true, last: true } },
  forward: { ask: { keys: true }, answer: {} },
  recover: { ask: { since: true }, answer: {} },
  fill: { ask: {}, answer: {} },
  claim: { ask: {}, answer: {} },
  recount: { ask: {}, answer: {} },
  announce: { ask: { key: true, expected: true }, answer: { last: true } },
  figures: { ask: {}, answer: { handover: true, deepest: true, kept: true } },
  serviceFigures: { ask: {}, answer: { deepest: true, kept: true } },
  tally: { ask: { others: true }, answer: {} },
  describe: { ask: {}, answer: { kept: true } },
};

const files = ["recorded.json", "before.json"];

const variants = [
  { title: "as they are", of: <T>(value: T) => value },
  { title: "without what is undefined", of: shortened },
  { title: "with more than is known", of: widened },
];

const cases = files.flatMap((file) => variants.map((variant) => ({ file, ...variant })));

async function read(file: string) {
  return parseRecording(await readFile(new URL(file, import.meta.url), "utf8"));
}

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
  const platform = stillWorld(name, new Map(Object.entries(rows)), others, state);
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
  const broker = new Broker(alarmed, service, { ...readLimits({}), clientLimit: 100 }, undefined);
  return broker;
}

test("what is written and said is what has been recorded", async () => {
  const changed =
    "what objects keep or say to each other is not what it was; if that is meant, see 'To change what objects " +
    "keep, or say to each other' in CONTRIBUTING.md, and record it: node test/versions/record.ts";
  const recorded = await readFile(new URL("recorded.json", import.meta.url), "utf8");
  expect(formatRecording(await record()), changed).toBe(recorded);
});

test("every kind of rows is recorded, and of what is attached to sockets", async () => {
  const { objects } = await read("recorded.json");
  const kinds = objects.flatMap(({ rows }) => Object.keys(rows).map(kindOfRow));
  expect([...new Set(kinds)].sort()).toEqual([...ROW_KINDS].sort());
  const attached = objects.flatMap(shapesKept).filter((shape) => shape.startsWith("attachment"));
  for (const optional of ["grants: {", "kept: {"]) {
    expect(attached.some((shape) => shape.includes(optional))).toBe(true);
    expect(attached.some((shape) => !shape.includes(optional))).toBe(true);
  }
});

test.each(Object.entries(OPTIONAL))(
  "every kind of the call %s is recorded",
  async (kind, { ask, answer }) => {
    const { calls } = await read("recorded.json");
    const ofKind = calls.filter((call) => call.kind === kind);
    expect(ofKind).not.toEqual([]);
    for (const name of Object.keys(ask)) {
      expect(ofKind.some((call) => properties(call.ask)[name] !== undefined)).toBe(true);
    }
    for (const name of Object.keys(answer)) {
      expect(ofKind.some((call) => properties(call.answer)[name] !== undefined)).toBe(true);
    }
  },
);

test.each(cases)("an object takes up rows and attachments of $file, $title", async ({ file, of }) => {
  const { objects, calls } = of(await read(file));
  for (const kept of objects) {
    const { connections } = await wake(kept, answering(calls)).called("figures", undefined);
    expect(connections, JSON.stringify(kept)).toBeGreaterThanOrEqual(kept.attachments.length);
  }
});

test.each(cases)("an object answers the calls of $file, $title", async ({ file, of }) => {
  const { objects, calls } = of(await read(file));
  for (const { to, kind, ask } of calls) {
    const nothing: Kept = { name: to, alarm: undefined, rows: {}, attachments: [] };
    for (const kept of [nothing, ...objects.filter(({ name }) => name === to)]) {
      await wake(kept, answering(calls)).called(kind, ask, 2);
      await wake(kept, answering(calls)).called(kind, ask);
    }
  }
});
