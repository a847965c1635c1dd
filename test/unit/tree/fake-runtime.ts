/** A runtime for unit tests: timers never fire, and tests answer its calls. */
import type { Calls, Delivery, DeliveryAnswer } from "../../../src/runtime/calls.ts";
import type { Keeper, RawRuntime, Runtime } from "../../../src/runtime/runtime.ts";
import { storeOf } from "../../simulation/store.ts";

/** Handlers for calls to other objects; calls without a handler never get an answer. */
export type Others = {
  [Kind in keyof Calls]?: (object: string, ask: Calls[Kind]["request"]) => Promise<Calls[Kind]["answer"]>;
};

/** The time of an object's alarm. */
export interface AlarmState {
  time: number | undefined;
}

/** Returns a runtime in which timers never fire, but retries are made at once. */
export function fakeRuntime(
  name: string,
  rows: Map<string, unknown>,
  others: Others = {},
  alarm: AlarmState = { time: undefined },
): Runtime & RawRuntime {
  const call: Runtime["call"] = (object, kind, ask) => others[kind]?.(object, ask) ?? new Promise(() => {});
  return {
    name,
    log: () => {},
    store: storeOf(rows),
    call,
    open: (object) => ({ call: (kind, ask) => call(object, kind, ask) }),
    now: () => 100,
    random: () => 0,
    turn: () => Promise.resolve(),
    sleep: () => Promise.resolve(),
    within: (_, work) => work,
    after: () => {},
    hold: (work) => work(),
    keep: () => {},
    alarm: (time) => {
      alarm.time = time;
      return Promise.resolve(true);
    },
    alarmTime: () => alarm.time,
  };
}

/** A delivery that the test answers. */
export interface DeliveryCall {
  object: string;
  delivery: Delivery;
  answer: (answer: DeliveryAnswer) => void;
  fail: () => void;
}

/** Handles deliveries by adding them to `calls`. */
export function delivering(calls: DeliveryCall[]): Others {
  return {
    deliver: (object, delivery) =>
      new Promise((answer, fail) => calls.push({ object, delivery, answer, fail: () => fail(new Error("lost")) })),
  };
}

/** The keeper of an object without sockets, which keeps nothing during hibernation. */
export const noKeeper: Keeper = { hasSlept: false, kept: undefined, keep: () => false };

/** Returns the keeper of an object that has hibernated, which works like a socket's attachment. */
export function newKeeper(): Keeper {
  let kept: object | undefined;
  return {
    hasSlept: true,
    get kept() {
      return kept;
    },
    keep: (some) => {
      kept = { ...kept, ...some };
      return true;
    },
  };
}
