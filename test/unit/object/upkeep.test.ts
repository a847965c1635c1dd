/** An object's alarm makes it complete pending work, without other events. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import type { Delivery } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { storeOf } from "../../simulation/store.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime, type Others } from "../tree/fake-runtime.ts";
import { whileTrue } from "../until.ts";

/** The state outside an object's memory. */
interface State {
  rows: Map<string, unknown>;
  alarm: number | undefined;
  acceptsAlarm: boolean;
  now: number;
  /** How often the object has released its storage. */
  releases: number;
}

function newState(): State {
  return { rows: new Map(), alarm: undefined, acceptsAlarm: true, now: 1_000_000, releases: 0 };
}

/** Wakes an object, whose time the test lets pass. */
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
      if (state.acceptsAlarm) state.alarm = time;
      return Promise.resolve(state.acceptsAlarm);
    },
    alarmTime: () => state.alarm,
  };
  const broker = new Broker(
    runtime,
    socketsOf(),
    { ...readLimits({ HISTORY_SECONDS: 0 }), ...settings },
    undefined,
  ).start();
  /** Lets a quiet second pass; returns whether the object stays in memory for another one. */
  const pass = async () => {
    state.now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
    return timers.length > 0;
  };
  /** Lets time pass until the alarm goes off. */
  const fireAlarm = async () => {
    state.now = Math.max(state.now, state.alarm ?? 0);
    state.alarm = undefined;
    broker.alarmed();
    await settled();
  };
  return { broker, pass, fireAlarm };
}

/** Returns a root that has given up on its only link, to an unreachable object. */
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

test("the loss of a link is reported when its object is reachable again, even if the channel is quiet", async () => {
  const state = newState();
  const { pass, deliveries, network, others } = await rootWithLostLink(state);
  await whileTrue(pass);
  // Ten seconds after the first failure, of which two have passed.
  expect(state.alarm).toBe(state.now + 8_000);
  // The object leaves memory, and only its alarm wakes it.
  for (const wakes of [1, 2]) {
    await wake("news", state, others).fireAlarm();
    expect(deliveries.every(({ lost }) => lost)).toBe(true);
    expect(deliveries).toHaveLength(5 * wakes);
    expect(state.alarm).toBeGreaterThan(state.now);
  }
  network.isUp = true;
  await wake("news", state, others).fireAlarm();
  expect(deliveries).toHaveLength(11);
  expect([...state.rows.keys()]).toEqual([]);
});

test("an object stays in memory while storage refuses the alarm for reporting a loss", async () => {
  const state = newState();
  state.acceptsAlarm = false;
  const { pass } = await rootWithLostLink(state);
  for (let second = 0; second < 10; second++) expect(await pass()).toBe(true);
  expect(state.alarm).toBeUndefined();
  state.acceptsAlarm = true;
  await pass();
  // It is overdue.
  expect(state.alarm).toBe(state.now - 1_000);
});

test("storage isn't released, and the alarm deleted with it, while the alarm is needed", async () => {
  const state = newState();
  const others = {
    link: async () => ({ after: 0 }),
    unlink: async () => undefined,
    claim: async () => Promise.reject(new Error("it can't be reached")),
  };
  const { broker, pass } = wake("news", state, others, { clientLimit: 5 });
  const socket = new ClientSocket();
  broker.opened(socket);
  await settled();
  broker.closed(socket);
  await settled();
  await whileTrue(pass);
  // The claim may have been carried out, so its end has to be reported.
  expect({ rows: state.rows.size, releases: state.releases }).toEqual({ rows: 0, releases: 0 });
  expect(state.alarm).toBe(state.now + 8_000);
  const next = wake("news", state, { ...others, claim: async () => 0 }, { clientLimit: 5 });
  await next.fireAlarm();
  await whileTrue(next.pass);
});

test("an object that can't link to `all` tries again at each alarm", async () => {
  const state = newState();
  let tries = 0;
  const link = async () => {
    tries += 1;
    throw new Error("it can't be reached");
  };
  const { broker, fireAlarm, pass } = wake("news", state, { link });
  broker.opened(new ClientSocket());
  await settled();
  for (let attempts = 1; attempts <= 3; attempts++) {
    expect(tries).toBe(5 * attempts);
    await whileTrue(pass);
    expect(state.alarm).toBeGreaterThan(state.now);
    await fireAlarm();
  }
});
