/** What an object needs from the world, made of what Workers offer. */
import { CallFailed, type Platform, type Store } from "../links/world.ts";
import type { Env } from "./env.ts";

/**
 * A call between objects that takes longer than this has failed, in milliseconds. The runtime's own retries
 * begin up to ten seconds in, and are to have a chance.
 */
const CALL_TIMEOUT = 15_000;

export interface Runtime extends Platform {
  /** The alarm has gone off, or was deleted. */
  forgetAlarm(): void;
}

/**
 * The platform, as the object that `context` belongs to sees it.
 * @param alarmTime when the alarm that an earlier life has set is to go off
 */
export function platformOf(context: DurableObjectState, env: Env, alarmTime: number | undefined): Runtime {
  const { name } = context.id;
  if (name === undefined) throw new Error("a channel's object is only ever reached by its name");
  const alarm = alarmOf(context, alarmTime);
  return {
    ...alarm,
    name,
    store: storeOf(context.storage, alarm.forgetAlarm),
    open: (object) => {
      const stub = env.CHANNEL.getByName(object);
      return {
        call: async (kind, ask, hop) => {
          const answer = stub.call(kind, ask, hop);
          return inTime((async () => answer)(), () => dispose(answer));
        },
      };
    },
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

/** @param set when the alarm that an earlier life has set is to go off */
function alarmOf({ storage }: DurableObjectState, set: number | undefined) {
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
        console.error("storage takes no alarm:", error);
        return false;
      }
    },
    forgetAlarm: () => {
      time = undefined;
    },
  };
}

/** @param emptied called when everything has been deleted, the alarm with it */
function storeOf(storage: DurableObjectStorage, emptied: () => void): Store {
  const { kv } = storage;
  let changed = false;
  const write = (act: () => void) => {
    try {
      act();
      changed = true;
      return true;
    } catch (error) {
      console.error("storage takes nothing:", error);
      return false;
    }
  };
  return {
    get: (key) => kv.get(key),
    put: (key, value) => write(() => kv.put(key, value)),
    delete: (key) => write(() => kv.delete(key)),
    list: (prefix) => kv.list({ prefix }),
    sync: () => storage.sync(),
    release: () => {
      if (!changed) return;
      for (const _ of kv.list({ limit: 1 })) return;
      changed = false;
      emptied();
      void storage.deleteAll();
    },
  };
}

/** What is disposed of may be let go by the runtime, though it is still under way. */
function dispose(value: unknown): void {
  const isObject = (typeof value === "object" || typeof value === "function") && value !== null;
  const act: unknown = isObject ? Reflect.get(value, Symbol.dispose) : undefined;
  if (typeof act === "function") Reflect.apply(act, value, []);
}

/**
 * What comes of a call to another object, or a failure if nothing does in time. The call may still be carried
 * out after that, but is given up, so that waiting for it does not keep this object in memory.
 */
function inTime<T>(answer: Promise<T>, giveUp: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error("no answer in time"));
      giveUp();
    }, CALL_TIMEOUT);
    answer.then(resolve, (error: unknown) => reject(failureOf(error))).finally(() => clearTimeout(timer));
  });
}

/** What the platform says of a call that it does not make: nothing else tells these from failures. */
const NOT_MADE = /subrequest depth limit|too many subrequests|generating too much load/i;

/**
 * What the runtime says of a failed call. What may be repeated without being carried out twice it has
 * repeated itself, https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/;
 * an overloaded object and code that threw are not to be asked again at once,
 * https://developers.cloudflare.com/durable-objects/best-practices/error-handling/. An object that was reset, for
 * want of memory too, says that it is overloaded, but answers the next call.
 */
function failureOf(error: unknown): unknown {
  const says = (what: string) => error instanceof Error && Reflect.get(error, what) === true;
  if (error instanceof Error && NOT_MADE.test(error.message)) return new CallFailed("not made", error);
  if (says("durableObjectReset")) return error;
  if (says("overloaded")) return new CallFailed("overloaded", error);
  return says("remote") && !says("retryable") ? new CallFailed("thrown", error) : error;
}
