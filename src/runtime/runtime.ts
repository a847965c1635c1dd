/** What an object needs from its runtime: the platform provides it, or a simulation. */
import type { Calls } from "./calls.ts";

/** An object's storage. Writes are atomic with everything else in the same turn. */
export interface Store {
  get(key: string): unknown;
  /** Returns whether the row was taken: the platform limits rows per day. */
  put(key: string, value: unknown): boolean;
  /** Returns whether that was taken. */
  delete(key: string): boolean;
  list(prefix: string): Iterable<[key: string, value: unknown]>;
  /** Whether storage has taken a change since the object was brought into memory. */
  hasTaken(): boolean;
  /** Resolves when all changes are durable. */
  sync(): Promise<void>;
  /**
   * Gives the storage back if it is empty, so that an unused channel costs nothing. That deletes the alarm too, so
   * nothing may be due.
   */
  release(): void;
}

/** The runtime of one object. All times are in milliseconds, and points in time since 1970. */
export interface Runtime {
  /** The object's name. */
  readonly name: string;
  readonly store: Store;
  /**
   * Calls another object, which may be late, fail, or execute the call and still fail.
   * @param hasOwnBudget whether the caller limits its calls itself; other calls wait while too many are in flight
   * @throws CallFailed if the cause is known; else anything
   */
  call<Kind extends keyof Calls>(
    object: string,
    kind: Kind,
    ask: Calls[Kind]["request"],
    hasOwnBudget?: boolean,
  ): Promise<Calls[Kind]["answer"]>;
  now(): number;
  /** Returns a number from 0 to less than 1. */
  random(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Resolves when `work` has, or after a time; the timer is cancelled if `work` is first. */
  within(milliseconds: number, work: Promise<void>): Promise<void>;
  /** Resolves after one turn of the event loop: after events that are already queued, before others. */
  turn(): Promise<void>;
  after(milliseconds: number, act: () => void): void;
  /** Delivers no event until `work` is done, which must not fail; senders wait. */
  hold(work: () => Promise<void>): Promise<void>;
  /** Keeps the object in memory until `work` has settled. */
  keep(work: Promise<unknown>): void;
  /**
   * Sets the object's alarm, in place of an earlier one. It goes off whether the object is in memory or not.
   * @returns whether storage took it; else the earlier one stays
   */
  alarm(time: number): Promise<boolean>;
  /** When the alarm goes off; undefined if it isn't set. */
  alarmTime(): number | undefined;
}

/** One line of the operators' log. */
export interface LogEvent extends LogDetails {
  event: string;
  /** How often it happened since the line before. */
  times: number;
}

/** What a line of the log says about the newest event that it counts. */
export interface LogDetails {
  /** The command that was refused. */
  command?: string;
  /** The object that was called. */
  to?: string;
  /** Why a call or a row failed. */
  cause?: string;
}

/** A runtime as the platform provides it: with stubs, of which `tree/peers.ts` makes calls. */
export interface RawRuntime extends Omit<Runtime, "call"> {
  /** Writes a line to the operators' log. It must not contain messages or tokens. */
  log(event: LogEvent): void;
  /** Returns why storage refused the last row or alarm that it refused. */
  refusal?(): string | undefined;
  /** Opens a stub of another object. It works until a call with it fails. */
  open(object: string): Stub;
}

/** Makes calls to one object. */
export interface Stub {
  /**
   * Makes a call.
   * @param hop the depth of the event at the other object
   * @param givenUp resolves when the caller no longer waits: the call then fails
   * @throws CallFailed if the cause is known; else anything
   */
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop: number,
    givenUp?: Promise<void>,
  ): Promise<Calls[Kind]["answer"]>;
}

/**
 * Why a call failed: the other object is overloaded; its code threw; or the platform rejected the call, which would have
 * been too deep or one too many, so that it was not executed.
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

/** Returns whether a failed call was certainly not executed. */
export function wasNotMade(error: unknown): boolean {
  return error instanceof CallFailed && error.why === "not made";
}

/** Persists properties in a socket's attachment: they outlive hibernation but not a crash, and cost no row. */
export interface Keeper {
  /** Whether there were sockets when the object woke: then it has hibernated rather than crashed. */
  readonly hasSlept: boolean;
  /** The properties, as far as their socket is still open. */
  readonly kept: object | undefined;
  /** Replaces some properties; returns whether a socket had room for them. */
  keep(some: object): boolean;
}
