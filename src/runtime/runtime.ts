/** What an object needs from the runtime that it lives in. A simulation can be one. */
import type { Calls } from "./calls.ts";

/** An object's durable memory; writes are atomic with everything else done in the same turn. */
export interface Store {
  get(key: string): unknown;
  /** Says whether it was taken: the platform takes only so many rows a day. */
  put(key: string, value: unknown): boolean;
  /** Says whether that was taken. */
  delete(key: string): boolean;
  list(prefix: string): Iterable<[key: string, value: unknown]>;
  /** Whether it has taken a change in this life of the object. */
  hasTaken(): boolean;
  /** Resolves when all that was put and deleted is durable. */
  sync(): Promise<void>;
  /**
   * Gives the storage back if it has become empty, so that a channel costs nothing once it is over. That deletes the
   * alarm too: nothing may be due.
   */
  release(): void;
}

export interface Runtime {
  /** Name of this object. */
  readonly name: string;
  readonly store: Store;
  /**
   * Asks another object, which may be late, fail, or carry out what is asked and still fail.
   * @throws CallFailed if the cause is known; else anything
   */
  call<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["ask"],
  ): Promise<Calls[Kind]["answer"]>;
  /** Milliseconds since 1970. */
  now(): number;
  /** From 0 to less than 1. */
  random(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Resolves when `work` has, or a time has passed; nothing waits for that time any more then. */
  within(milliseconds: number, work: Promise<void>): Promise<void>;
  /** Resolves when the event loop has turned: after events that wait already, before any that do not. */
  turn(): Promise<void>;
  after(milliseconds: number, act: () => void): void;
  /** Lets nothing come in until `work`, which does not fail, is done; who sends has to wait. */
  hold(work: () => Promise<void>): Promise<void>;
  /** Keeps this object in memory until `work` has settled. */
  keep(work: Promise<unknown>): void;
  /**
   * Has this object's alarm go off at `time`, in milliseconds since 1970, whether it is in memory by then or
   * not. Each call takes the place of the one before.
   * @returns whether storage took it; else the one before still holds
   */
  alarm(time: number): Promise<boolean>;
  /** When it is to go off; undefined if it has, or was never set. */
  alarmTime(): number | undefined;
}

/** A line of the log. */
export interface LogEvent {
  event: string;
  /** How often it has happened since the line before. */
  times: number;
  cause?: string;
}

/** What a runtime is made of: ways to other objects, of which `peers.ts` makes calls. */
export interface RawRuntime extends Omit<Runtime, "call"> {
  /** Notes something for who runs the service; it says nothing of messages or tokens. */
  log(event: LogEvent): void;
  /** Returns why storage did not take the row or alarm that it refused last. */
  refusal?(): string | undefined;
  /** Opens a way to another object. It stays good until a call by it fails. */
  open(object: string): Stub;
}

export interface Stub {
  /**
   * Makes a call.
   * @param hop how many hops deep the far object is then
   * @param givenUp resolves when nothing waits for the answer any more: the call fails then
   * @throws CallFailed if the cause is known; else anything
   */
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    hop: number,
    givenUp?: Promise<void>,
  ): Promise<Calls[Kind]["answer"]>;
}

/**
 * Why a call failed: the far object is overloaded; its own code threw; or the platform would not make the call,
 * as it would have been too deep or one too many, so that it has certainly not been carried out.
 */
type Cause = "overloaded" | "thrown" | "not made";

/** A call that failed for a known cause. */
export class CallFailed extends Error {
  readonly why: Cause;

  constructor(why: Cause, cause: unknown) {
    super(`a call failed: ${why}`, { cause });
    this.why = why;
  }
}

/** Whether a call that failed has certainly not been carried out. */
export function wasNotMade(error: unknown): boolean {
  return error instanceof CallFailed && error.why === "not made";
}

/** A place that outlives sleep but not a crash, and costs no row. */
export interface Keeper {
  /** Whether there was such a place when this life began: then the object has slept, and not crashed. */
  readonly hasSlept: boolean;
  /** What was kept by an earlier life. */
  readonly kept: object | undefined;
  /** Keeps some properties in place of what they were before; says whether it could. */
  keep(some: object): boolean;
}
