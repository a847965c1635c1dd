/** Calls to an object, from another one or from the Worker. */
import { CallFailed, type Stub } from "../runtime/runtime.ts";
import { deploymentFault } from "./deployment.ts";
import type { Env } from "./env.ts";

/**
 * A call that takes longer than this has failed, in milliseconds. The runtime's own retries begin up to ten seconds
 * in, and are to have a chance.
 */
const CALL_TIMEOUT = 15_000;

/** How many hops deep a call is that a Worker makes. */
export const CALLED_BY_WORKER = 2;

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

/** What is disposed of may be let go by the runtime, though it is still under way. */
function dispose(value: unknown): void {
  const isObject = (typeof value === "object" || typeof value === "function") && value !== null;
  const act: unknown = isObject ? Reflect.get(value, Symbol.dispose) : undefined;
  if (typeof act === "function") Reflect.apply(act, value, []);
}

/**
 * What comes of a call to another object, or a failure if nothing does in time. The call may still be carried
 * out after that, but is given up, so that waiting for it does not keep this object in memory.
 * @param givenUp resolves when that time is over early
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
  const fault = deploymentFault(error);
  if (fault) return fault;
  const says = (what: string) => error instanceof Error && Reflect.get(error, what) === true;
  if (error instanceof Error && NOT_MADE.test(error.message)) return new CallFailed("not made", error);
  if (says("durableObjectReset")) return error;
  if (says("overloaded")) return new CallFailed("overloaded", error);
  return says("remote") && !says("retryable") ? new CallFailed("thrown", error) : error;
}
