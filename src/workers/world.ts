/** What an object needs from the world, made of what Workers offer. */
import { CallFailed, type Store, type World } from "../links/world.ts";
import type { Env } from "./env.ts";

/** A call between objects that takes longer than this has failed, in milliseconds. */
const CALL_TIMEOUT = 10_000;

/** The world of the object that `context` belongs to. */
export function worldOf(context: DurableObjectState, env: Env): World {
  const { name } = context.id;
  if (name === undefined) throw new Error("a channel's object is only ever reached by its name");
  return {
    name,
    store: storeOf(context.storage),
    // A new stub each time, because one whose object has crashed stays broken.
    call: (object, kind, ask) => inTime(async () => env.CHANNEL.getByName(object).call(kind, ask)),
    now: Date.now,
    random: Math.random,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    // A timer of 0 ms takes more than 1 ms in the runtime. With nothing to write, this takes one turn;
    // with something, nothing could leave this object before it is written anyway.
    turn: () => context.storage.sync(),
    after: (milliseconds, act) => void setTimeout(act, milliseconds),
    keep: (work) => context.waitUntil(work),
    alarm: alarmOf(context),
  };
}

function alarmOf({ storage }: DurableObjectState): World["alarm"] {
  // What an earlier life set is not known; its alarm then may come once for nothing.
  let set: number | undefined;
  return (time) => {
    if (time === set) return;
    set = time;
    void (time === undefined ? storage.deleteAlarm() : storage.setAlarm(time));
  };
}

function storeOf(storage: DurableObjectStorage): Store {
  const { kv } = storage;
  let changed = false;
  return {
    get: (key) => kv.get(key),
    put: (key, value) => {
      changed = true;
      kv.put(key, value);
    },
    delete: (key) => {
      changed = kv.delete(key) || changed;
    },
    list: (prefix) => kv.list({ prefix }),
    sync: () => storage.sync(),
    release: () => {
      if (!changed) return;
      for (const _ of kv.list({ limit: 1 })) return;
      changed = false;
      void storage.deleteAll();
    },
  };
}

/**
 * The outcome of a call to another object, or a failure if there is none in time. The call may still
 * be carried out after that.
 */
function inTime<T>(call: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), CALL_TIMEOUT);
    call()
      .then(resolve, (error: unknown) => reject(failureOf(error)))
      .finally(() => clearTimeout(timer));
  });
}

/**
 * What the runtime says of a failed call. What may be repeated without being carried out twice it has
 * repeated itself, https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/;
 * an overloaded object and code that threw are not to be asked again at once,
 * https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
 */
function failureOf(error: unknown): unknown {
  const says = (what: string) => error instanceof Error && Reflect.get(error, what) === true;
  if (says("overloaded")) return new CallFailed("overloaded", error);
  return says("remote") && !says("retryable") ? new CallFailed("thrown", error) : error;
}
