/** Calls to objects, from the Worker or from other objects. */
import { CallFailed, type Stub } from "../runtime/runtime.ts";
import { deploymentFault } from "./deployment.ts";
import type { Env } from "./env.ts";

/**
 * Timeout of a call, in milliseconds. The runtime's own retries may start only after ten seconds, so it has to be
 * longer.
 */
const CALL_TIMEOUT = 15_000;

/** Depth of a call from a Worker, in hops. */
export const WORKER_HOPS = 2;

/** A way to an object. */
export function stubOf(env: Env, object: string): Stub {
  const stub = env.CHANNEL.getByName(object);
  return {
    call: async (kind, ask, hop, givenUp) => {
      const answer = stub.call(kind, ask, hop);
      return inTime((async () => answer)(), () => dispose(answer), givenUp);
    },
  };
}

/** Lets the runtime release a call that is still in flight. */
function dispose(value: unknown): void {
  const act: unknown = Reflect.get(Object(value), Symbol.dispose);
  if (typeof act === "function") Reflect.apply(act, value, []);
}

/**
 * Waits for the answer to a call, at most until the timeout. The other object may execute the call even later, but
 * giving up keeps the call from holding this object in memory.
 * @param givenUp ends the wait early when it resolves
 */
function inTime<T>(answer: Promise<T>, giveUp: () => void, givenUp?: Promise<void>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      reject(new Error("no answer in time"));
      giveUp();
    };
    const timer = setTimeout(end, CALL_TIMEOUT);
    void givenUp?.then(end);
    answer.then(resolve, (error: unknown) => reject(failureOf(error))).finally(() => clearTimeout(timer));
  });
}

/** Messages of errors for calls that the platform didn't make; only the text tells them from other failures. */
const NOT_MADE = /subrequest depth limit|too many subrequests|generating too much load/i;

/**
 * Classifies the error of a failed call. The runtime has already retried calls that it can repeat safely,
 * https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/. Calls to overloaded objects, and
 * those whose code threw, must not be retried at once,
 * https://developers.cloudflare.com/durable-objects/best-practices/error-handling/. An object that was reset, also for
 * exceeding its memory, reports that it is overloaded, but answers the next call.
 */
function failureOf(error: unknown): unknown {
  const fault = deploymentFault(error);
  if (fault) return fault;
  const hasFlag = (flag: string) => error instanceof Error && Reflect.get(error, flag) === true;
  if (error instanceof Error && NOT_MADE.test(error.message)) return new CallFailed("not made", error);
  if (hasFlag("durableObjectReset")) return error;
  if (hasFlag("overloaded")) return new CallFailed("overloaded", error);
  return hasFlag("remote") && !hasFlag("retryable") ? new CallFailed("thrown", error) : error;
}
