/** What tests do to the objects of the service behind its clients' backs. */
import { evictAllDurableObjects, evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterAll, beforeAll, expect, onTestFinished, vi } from "vitest";
import { Channel } from "../../../src/durable-object/channel.ts";
import type { Calls } from "../../../src/runtime/calls.ts";

/** A stub of the object named `name`; a new one each time, as one whose object has crashed is spent. */
export function object(name: string): DurableObjectStub<Channel> {
  return exports.Channel.getByName(name);
}

/** Changes settings until the test ends: for the Worker at once, for each object from its next life on. */
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

/** A name that no test has used. */
export function unique(prefix: string): string {
  names += 1;
  return `${prefix}-${names}`;
}

/**
 * Has the object leave memory as if it had been idle for long, once it has nothing left to do; its
 * sockets hibernate. Does nothing if it sleeps already.
 */
export function evict(name: string): Promise<void> {
  return patiently(async () => {
    try {
      await evictDurableObject(object(name));
    } catch (error) {
      if (!String(error).includes("not currently running")) throw error;
    }
  });
}

/** The same for every object. */
export function evictAll(): Promise<void> {
  return patiently(() => evictAllDurableObjects());
}

/** Attempts at an eviction before it fails. */
const ATTEMPTS = 20;

/**
 * Evicts, in several attempts if need be: the runtime waits for an object to come to rest, but not for
 * long, which on a busy machine can be too short.
 */
async function patiently(evict: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await evict();
    } catch (error) {
      if (attempt === ATTEMPTS || !String(error).includes("Timed out waiting to evict")) throw error;
    }
  }
}

/** Has the object crash: what it held in memory and its sockets are gone, its storage stays. */
export async function crash(name: string): Promise<void> {
  const reason = "crashed by a test";
  try {
    await runInDurableObject(object(name), (_, state) => state.abort(reason));
  } catch (error) {
    if (!String(error).includes(reason)) throw error;
  }
}

/** What the object remembers in storage under keys that begin with `prefix`. */
export function rows(name: string, prefix = ""): Promise<[key: string, value: unknown][]> {
  return runInDurableObject(object(name), (_, { storage }) => [...storage.kv.list({ prefix })]);
}

/** The keys of what the object remembers in storage that begin with `prefix`. */
export async function keys(name: string, prefix = ""): Promise<string[]> {
  return (await rows(name, prefix)).map(([key]) => key);
}

/**
 * Crashes the root of a channel as if in the middle of deliveries: storage says that some message was
 * under way, and nothing says how far it got.
 */
export async function crashBusy(name: string): Promise<void> {
  await runInDurableObject(object(name), async (_, { storage }) => {
    const row: unknown = storage.kv.get("order");
    if (typeof row !== "object") throw new Error(`${name} has no links that could miss anything`);
    storage.kv.put("order", { ...row, busy: true });
    await storage.sync();
  });
  await crash(name);
}

/** Empties the whole service. Only what is in memory is reset, so objects named here are woken first. */
export async function startAfresh(...objects: string[]): Promise<void> {
  await Promise.all(["all", ...objects].map((name) => rows(name)));
  await reset();
}

/** How long a wait takes in tests, of those that an eviction waits for; all in milliseconds. */
function quicker(delay: number): number {
  // After an event, until an object writes down what it must remember; and between attempts at a call.
  if (delay > 200 && delay <= 1_000) return 10;
  // After a connection is opened that its object has to be linked to `all` for; still plenty for that.
  if (delay === 2_000) return 500;
  // The longest wait before a failed call is repeated.
  return delay === 3_200 ? 50 : delay;
}

/** For a test file as a whole: has objects come to rest sooner, so that an eviction takes no second. */
export function settleQuickly(): void {
  const inTruth = globalThis.setTimeout;
  beforeAll(() => {
    vi.stubGlobal(
      "setTimeout",
      (act: (...args: unknown[]) => void, delay: number | undefined, ...args: unknown[]) =>
        inTruth(act, quicker(delay ?? 0), ...args),
    );
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });
}

/** When the object's alarm is to go off, in milliseconds since 1970. */
export function alarmOf(name: string): Promise<number | null> {
  return runInDurableObject(object(name), (_, { storage }) => storage.getAlarm());
}

/** What comes to an object from others, the Worker among them, that a test can come between. */
export type Call = "fetch" | keyof Calls;

interface Interception {
  name: string;
  call: Call;
  around: (carryOut: () => unknown) => unknown;
}

/** Those that hold now; a later one is around the earlier ones. */
const interceptions = new Set<Interception>();

/** What comes in is carried out, or whatever those who come between have it be. */
function takeIn(channel: Channel, call: Call, carryOut: () => unknown): unknown {
  const name = nameOf(channel);
  let outermost = carryOut;
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
    return takeIn(this, "fetch", () => Reflect.apply(fetch, this, [request]));
  },
  call<Kind extends keyof Calls>(
    this: Channel,
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop?: number,
  ): unknown {
    return takeIn(this, kind, () => Reflect.apply(call, this, [kind, ask, hop]));
  },
});

/**
 * Until the test ends, or the function returned is called, has `around` do each `call` to the object
 * named `name`: at once, later, twice, not at all, or with another outcome.
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
 * Has each `call` to the object named `name` wait before it is carried out, or its answer after that,
 * until `release` is called; `begun` ends when one waits. They look at a variable time and again,
 * because a promise that one object settles and another one awaits would have that one go on in the
 * wrong context.
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
  const restore = intercept(name, call, async (carryOut) => {
    if (when === "before") await untilReleased();
    const outcome = await carryOut();
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

/** Has the next `call` to the object named `name` fail, after it was carried out or instead of that. */
export function failOnce(name: string, call: Call, when: "before" | "after"): void {
  const restore = intercept(name, call, async (carryOut) => {
    restore();
    if (when === "after") await carryOut();
    throw failure("retryable");
  });
}

/** What a call fails with, for the runtime to tell its caller so: thrown without a word, it is our own fault. */
export function failure(kind: "retryable" | "overloaded"): Error {
  return Object.assign(new Error("a call failed by a test"), { [kind]: true });
}

/** The name of the object that `channel` is; its context is not for others to see. */
function nameOf(channel: Channel): string | undefined {
  const context: unknown = Reflect.get(channel, "ctx");
  if (typeof context !== "object" || context === null || !("id" in context)) return undefined;
  const { id } = context;
  if (typeof id !== "object" || id === null || !("name" in id)) return undefined;
  return typeof id.name === "string" ? id.name : undefined;
}
