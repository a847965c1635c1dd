/** Implements `RawRuntime` with the Workers APIs. */
import type { RawRuntime, Store } from "../runtime/runtime.ts";
import { stubOf } from "../worker/calls.ts";
import type { Env } from "../worker/env.ts";

export interface ObjectRuntime extends RawRuntime {
  /** Records that the alarm has fired, or was deleted. */
  forgetAlarm(): void;
}

/**
 * Returns the runtime of an object.
 * @param alarmTime the time of an alarm that was set before this start
 */
export function runtimeOf(context: DurableObjectState, env: Env, alarmTime: number | undefined): ObjectRuntime {
  const { name } = context.id;
  if (name === undefined) throw new Error("the object has no name; address objects by the name of a channel");
  let refusal: string | undefined;
  const onRefusal = (error: unknown) => {
    refusal = String(error);
  };
  const alarm = alarmOf(context, alarmTime, onRefusal);
  return {
    ...alarm,
    name,
    refusal: () => refusal,
    store: storeOf(context.storage, alarm.forgetAlarm, onRefusal),
    open: (object) => stubOf(env, object),
    log: (event) => console.warn(JSON.stringify({ ...event, object: name })),
    now: Date.now,
    random: Math.random,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    within: (milliseconds, work) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, milliseconds);
        work.then(resolve, reject).finally(() => clearTimeout(timer));
      }),
    // A timer of 0 ms takes more than 1 ms. Without pending writes, `sync` takes one turn; with some, output waits for
    // the writes anyway.
    turn: () => context.storage.sync(),
    after: (milliseconds, act) => void setTimeout(act, milliseconds),
    hold: (work) => context.blockConcurrencyWhile(work),
    keep: (work) => context.waitUntil(work),
  };
}

/**
 * @param set the time of an alarm that was set before this start
 * @param onRefusal called with the error if storage refuses an alarm
 */
function alarmOf({ storage }: DurableObjectState, set: number | undefined, onRefusal: (error: unknown) => void) {
  let time = set;
  return {
    alarmTime: () => time,
    alarm: async (next: number) => {
      const before = time;
      time = next;
      try {
        await storage.setAlarm(next);
        return true;
      } catch (error) {
        if (time === next) time = before;
        onRefusal(error);
        return false;
      }
    },
    forgetAlarm: () => {
      time = undefined;
    },
  };
}

/**
 * @param emptied called when all rows and the alarm have been deleted
 * @param onRefusal called with the error if storage refuses a row
 */
function storeOf(storage: DurableObjectStorage, emptied: () => void, onRefusal: (error: unknown) => void): Store {
  const { kv } = storage;
  let changed = false;
  let hasTaken = false;
  const write = (act: () => void) => {
    try {
      act();
      changed = hasTaken = true;
      return true;
    } catch (error) {
      onRefusal(error);
      return false;
    }
  };
  return {
    get: (key) => kv.get(key),
    put: (key, value) => write(() => kv.put(key, value)),
    delete: (key) => write(() => kv.delete(key)),
    list: (prefix) => kv.list({ prefix }),
    hasTaken: () => hasTaken,
    sync: () => storage.sync(),
    release: () => {
      if (!changed) return;
      for (const _ of kv.list({ limit: 1 })) return;
      changed = false;
      emptied();
      storage.deleteAll().catch((error: unknown) => console.error("empty storage couldn't be deleted:", error));
    },
  };
}
