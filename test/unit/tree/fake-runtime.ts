/** A runtime in which nothing happens by itself, for tests of one end of a link. */
import type { Calls } from "../../../src/runtime/calls.ts";
import type { Keeper, RawRuntime, Runtime } from "../../../src/runtime/runtime.ts";
import { storeOf } from "../../simulation/store.ts";

/** What other objects do; what is left out never answers. */
export type Others = {
  [Kind in keyof Calls]?: (object: string, ask: Calls[Kind]["request"]) => Promise<Calls[Kind]["answer"]>;
};

/** When an object's alarm is to go off. */
export interface AlarmState {
  time: number | undefined;
}

/** A runtime in which timers never fire, except that repeats of failed calls come at once. */
export function stillWorld(
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

/** Where an object has no sockets, nothing outlives sleep but what is stored. */
export const noKeeper: Keeper = { hasSlept: false, kept: undefined, keep: () => false };

/** Keeps what it is told to, as a socket would, for an object that has slept. */
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
