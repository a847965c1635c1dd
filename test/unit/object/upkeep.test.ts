/** What an object has to do later is done without anything else happening to it: by its alarm. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import type { Delivery } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import type { Socket } from "../../../src/session/socket.ts";
import { storeOf } from "../../simulation/store.ts";
import { fakeRuntime, type Others } from "../tree/fake-runtime.ts";

/** What outlives an object's time in memory, and how it fares. */
interface State {
  rows: Map<string, unknown>;
  alarm: number | undefined;
  takesAlarm: boolean;
  now: number;
  /** How often everything was given back. */
  releases: number;
}

function newState(): State {
  return { rows: new Map(), alarm: undefined, takesAlarm: true, now: 1_000_000, releases: 0 };
}

/** One life of an object, whose seconds pass when the test says so. */
function wake(name: string, state: State, others: Others, settings = {}) {
  const timers: (() => void)[] = [];
  const released = () => {
    state.releases += 1;
    state.alarm = undefined;
  };
  const runtime = {
    ...fakeRuntime(name, state.rows, others),
    store: storeOf(state.rows, () => true, released),
    now: () => state.now,
    after: (_: number, act: () => void) => void timers.push(act),
    alarm: (time: number) => {
      if (state.takesAlarm) state.alarm = time;
      return Promise.resolve(state.takesAlarm);
    },
    alarmTime: () => state.alarm,
  };
  const sockets = { acceptWebSocket: () => {}, getWebSockets: () => [] };
  const broker = new Broker(
    runtime,
    sockets,
    { ...readLimits({ HISTORY_SECONDS: 0 }), ...settings },
    undefined,
  ).start();
  /** Lets a quiet second pass; says whether there is another one to come. */
  const pass = async () => {
    state.now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
    return timers.length > 0;
  };
  /** Has the alarm go off when it is due. */
  const ring = async () => {
    state.now = Math.max(state.now, state.alarm ?? 0);
    state.alarm = undefined;
    broker.alarmed();
    await settled();
  };
  return { broker, pass, ring };
}

function newSocket(): Socket {
  return {
    bufferedAmount: 0,
    send: () => {},
    close: () => {},
    serializeAttachment: () => {},
    deserializeAttachment: () => undefined,
  };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 500; turn++) await undefined;
}

/** A root whose only link could not be reached for a message, until it gave up. */
async function rootWithLostLink(state: State) {
  const deliveries: Delivery[] = [];
  const network = { isUp: false };
  const deliver = async (_: string, delivery: Delivery) => {
    deliveries.push(delivery);
    if (!network.isUp) throw new Error("it can't be reached");
    return { gone: true } as const;
  };
  const root = wake("news", state, { deliver });
  await root.broker.called("link", { from: "home", epoch: 1 }, 2);
  await root.broker.called("announce", { lines: "news!a\n", count: 1 }, 2);
  await settled();
  deliveries.length = 0;
  return { ...root, deliveries, network, others: { deliver } };
}

test("a link that is lost is told so when it can be reached again, though its channel is quiet", async () => {
  const state = newState();
  const { pass, deliveries, network, others } = await rootWithLostLink(state);
  while (await pass());
  expect(state.alarm).toBeDefined();
  // The object has left memory since: nothing but its alarm wakes it.
  for (const life of [1, 2]) {
    await wake("news", state, others).ring();
    expect(deliveries.every(({ lost }) => lost)).toBe(true);
    expect(deliveries).toHaveLength(5 * life);
    expect(state.alarm).toBeGreaterThan(state.now);
  }
  network.isUp = true;
  await wake("news", state, others).ring();
  expect(deliveries).toHaveLength(11);
  expect([...state.rows.keys()]).toEqual([]);
});

test("an object that can't store when to tell a link that it is lost stays in memory until it can", async () => {
  const state = newState();
  state.takesAlarm = false;
  const { pass } = await rootWithLostLink(state);
  for (let second = 0; second < 10; second++) expect(await pass()).toBe(true);
  expect(state.alarm).toBeUndefined();
  state.takesAlarm = true;
  await pass();
  expect(state.alarm).toBeDefined();
});

test("storage is not given back, and the alarm with it, while the alarm is needed", async () => {
  const state = newState();
  const others = {
    link: async () => ({ after: 0 }),
    unlink: async () => undefined,
    claim: async () => Promise.reject(new Error("it can't be reached")),
  };
  const { broker, pass } = wake("news", state, others, { clientLimit: 5 });
  const socket = newSocket();
  broker.opened(socket);
  await settled();
  broker.closed(socket);
  await settled();
  while (await pass());
  // A claim may have been carried out: that it is over has to be told.
  expect({ rows: state.rows.size, releases: state.releases }).toEqual({ rows: 0, releases: 0 });
  expect(state.alarm).toBeDefined();
  const next = wake("news", state, { ...others, claim: async () => 0 }, { clientLimit: 5 });
  await next.ring();
  while (await next.pass());
});

test("an object whose connections can't join `all` tries again, each time that its alarm goes off", async () => {
  const state = newState();
  let tries = 0;
  const link = async () => {
    tries += 1;
    throw new Error("it can't be reached");
  };
  const { broker, ring, pass } = wake("news", state, { link });
  broker.opened(newSocket());
  await settled();
  for (let life = 1; life <= 3; life++) {
    expect(tries).toBe(5 * life);
    while (await pass());
    expect(state.alarm).toBeGreaterThan(state.now);
    await ring();
  }
});
