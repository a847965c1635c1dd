/** What an object needs from the runtime, made of what Workers offer. */
import type { RawRuntime, Store } from "../runtime/runtime.ts";
import { stubOf } from "../worker/calls.ts";
import type { Env } from "../worker/env.ts";

export interface ObjectRuntime extends RawRuntime {
  /** The alarm has gone off, or was deleted. */
  forgetAlarm(): void;
}

/**
 * The platform, as the object that `context` belongs to sees it.
 * @param alarmTime when the alarm that an earlier life has set is to go off
 */
export function runtimeOf(
  context: DurableObjectState,
  env: Env,
  alarmTime: number | undefined,
): ObjectRuntime {
  const { name } = context.id;
  if (name === undefined) throw new Error("a channel's object is only ever reached by its name");
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
    // A timer of 0 ms takes more than 1 ms in the runtime. With nothing to write, this takes one turn;
    // with something, nothing could leave this object before it is written anyway.
    turn: () => context.storage.sync(),
    after: (milliseconds, act) => void setTimeout(act, milliseconds),
    hold: (work) => context.blockConcurrencyWhile(work),
    keep: (work) => context.waitUntil(work),
  };
}

/**
 * @param set when the alarm that an earlier life has set is to go off
 * @param onRefusal told why storage doesn't take an alarm
 */
function alarmOf(
  { storage }: DurableObjectState,
  set: number | undefined,
  onRefusal: (error: unknown) => void,
) {
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
 * @param emptied called when everything has been deleted, the alarm with it
 * @param onRefusal told why storage doesn't take a row
 */
function storeOf(
  storage: DurableObjectStorage,
  emptied: () => void,
  onRefusal: (error: unknown) => void,
): Store {
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
      storage.deleteAll().catch((error: unknown) => console.error("storage deletes nothing:", error));
    },
  };
}
