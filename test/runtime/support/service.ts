/** Access to the service's objects and settings for tests. */
import { evictAllDurableObjects, evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterAll, beforeAll, expect, onTestFinished, vi } from "vitest";
import { Channel } from "../../../src/durable-object/channel.ts";
import type { Calls } from "../../../src/runtime/calls.ts";

/** Returns a new stub of an object, because a stub is unusable after its object has crashed. */
export function object(name: string): DurableObjectStub<Channel> {
  return exports.Channel.getByName(name);
}

/** Changes settings until the test ends: for the Worker at once, for each object from its next start. */
export function configure(settings: Record<string, string>): void {
  for (const [name, value] of Object.entries(settings)) {
    const before: unknown = Reflect.get(env, name);
    Reflect.set(env, name, value);
    onTestFinished(() => {
      Reflect.set(env, name, before);
    });
  }
}

let names = 0;

/** Returns an unused name. */
export function unique(prefix: string): string {
  names += 1;
  return `${prefix}-${names}`;
}

/** Evicts an object as if it had been idle for long, when it has nothing left to do; its sockets hibernate. */
export function evict(name: string): Promise<void> {
  return retryEviction(async () => {
    try {
      await evictDurableObject(object(name));
    } catch (error) {
      if (!String(error).includes("not currently running")) throw error;
    }
  });
}

/** Evicts all objects. */
export function evictAll(): Promise<void> {
  return retryEviction(() => evictAllDurableObjects());
}

/** Most attempts at an eviction. */
const ATTEMPTS = 20;

/** Retries an eviction, because the runtime's timeout for idle objects is too short on a busy machine. */
async function retryEviction(evict: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await evict();
    } catch (error) {
      if (attempt === ATTEMPTS || !String(error).includes("Timed out waiting to evict")) throw error;
    }
  }
}

/** Crashes an object: it loses its memory and its sockets, and keeps its storage. */
export async function crash(name: string): Promise<void> {
  const reason = "crashed by a test";
  try {
    await runInDurableObject(object(name), (_, state) => state.abort(reason));
  } catch (error) {
    if (!String(error).includes(reason)) throw error;
  }
}

/** Returns an object's rows whose keys begin with `prefix`. */
export function rows(name: string, prefix = ""): Promise<[key: string, value: unknown][]> {
  return runInDurableObject(object(name), (_, { storage }) => [...storage.kv.list({ prefix })]);
}

/** Returns an object's keys that begin with `prefix`. */
export async function keys(name: string, prefix = ""): Promise<string[]> {
  return (await rows(name, prefix)).map(([key]) => key);
}

/**
 * Crashes a channel's root as if during deliveries: its storage says that one was in flight, but not how far it got.
 */
export async function crashBusy(name: string): Promise<void> {
  await runInDurableObject(object(name), async (_, { storage }) => {
    const row: unknown = storage.kv.get("order");
    if (typeof row !== "object") throw new Error(`${name} has no links`);
    storage.kv.put("order", { ...row, busy: true });
    await storage.sync();
  });
  await crash(name);
}

/** Deletes the state of the whole service. Only objects in memory are reset, so the named ones are woken first. */
export async function resetService(...objects: string[]): Promise<void> {
  await Promise.all(["all", ...objects].map((name) => rows(name)));
  await reset();
}

/** Shortens the delays for which an eviction would have to wait, in milliseconds. */
function quicker(delay: number): number {
  // Before an object stores its state after an event, and between attempts at a call.
  if (delay > 200 && delay <= 1_000) return 10;
  // After a new connection, for which its object has to link to `all`; 500 ms are enough.
  if (delay === 2_000) return 500;
  // The longest delay before a failed call is retried.
  return delay === 3_200 ? 50 : delay;
}

/** Makes objects idle sooner in a whole test file, so that evictions take less than a second. */
export function settleQuickly(): void {
  const inTruth = globalThis.setTimeout;
  beforeAll(() => {
    vi.stubGlobal("setTimeout", (act: (...args: unknown[]) => void, delay: number | undefined, ...args: unknown[]) =>
      inTruth(act, quicker(delay ?? 0), ...args),
    );
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });
}

/** Returns the time of an object's alarm, in milliseconds since 1970. */
export function alarmOf(name: string): Promise<number | null> {
  return runInDurableObject(object(name), (_, { storage }) => storage.getAlarm());
}

/** Requests and calls to an object that a test can intercept. */
export type Call = "fetch" | keyof Calls;

interface Interception {
  name: string;
  call: Call;
  around: (execute: () => unknown) => unknown;
}

/** Active interceptions; later ones wrap earlier ones. */
const interceptions = new Set<Interception>();

/** Executes a call through its interceptions. */
function dispatch(channel: Channel, call: Call, execute: () => unknown): unknown {
  const name = nameOf(channel);
  let outermost = execute;
  for (const interception of interceptions) {
    if (interception.name !== name || interception.call !== call) continue;
    const inner = outermost;
    outermost = () => interception.around(inner);
  }
  return outermost();
}

const { fetch, call } = Channel.prototype;

Object.assign(Channel.prototype, {
  fetch(this: Channel, request: Request): unknown {
    return dispatch(this, "fetch", () => Reflect.apply(fetch, this, [request]));
  },
  call<Kind extends keyof Calls>(this: Channel, kind: Kind, ask: Calls[Kind]["request"], hop?: number): unknown {
    return dispatch(this, kind, () => Reflect.apply(call, this, [kind, ask, hop]));
  },
});

/**
 * Intercepts a kind of calls to an object until the test ends, or until the returned function is called. `around` may
 * execute a call at once, later, twice or never, and change its outcome.
 */
export function intercept(name: string, call: Call, around: Interception["around"]): () => void {
  const interception = { name, call, around };
  interceptions.add(interception);
  const restore = () => {
    interceptions.delete(interception);
  };
  onTestFinished(restore);
  return restore;
}

/**
 * Holds calls to an object before they are executed, or their answers, until `release` is called; `begun` resolves when
 * one is held. Calls poll a variable, because awaiting a promise that another object settles would resume them in the
 * wrong I/O context.
 */
export function hold(
  name: string,
  call: Call,
  when: "before" | "after" = "before",
): { begun: () => Promise<void>; release: () => void } {
  let waiting = false;
  let released = false;
  const untilReleased = async () => {
    waiting = true;
    while (!released) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const restore = intercept(name, call, async (execute) => {
    if (when === "before") await untilReleased();
    const outcome = await execute();
    if (when === "after") await untilReleased();
    return outcome;
  });
  const release = () => {
    restore();
    released = true;
  };
  onTestFinished(release);
  const begun = () => vi.waitFor(() => expect(waiting).toBe(true), { interval: 1, timeout: 60_000 });
  return { begun, release };
}

/** Makes the next call to an object fail, before or after it is executed. */
export function failOnce(name: string, call: Call, when: "before" | "after"): void {
  const restore = intercept(name, call, async (execute) => {
    restore();
    if (when === "after") await execute();
    throw failure("retryable");
  });
}

/**
 * Returns an error whose kind the runtime reports to the caller; without a kind it would count as a bug of the callee.
 */
export function failure(kind: "retryable" | "overloaded"): Error {
  return Object.assign(new Error("a call failed by a test"), { [kind]: true });
}

/** Returns an object's name, from its protected context. */
function nameOf(channel: Channel): string | undefined {
  const context: unknown = Reflect.get(channel, "ctx");
  if (typeof context !== "object" || context === null || !("id" in context)) return undefined;
  const { id } = context;
  if (typeof id !== "object" || id === null || !("name" in id)) return undefined;
  return typeof id.name === "string" ? id.name : undefined;
}
