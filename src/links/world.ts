/** What an object needs from the runtime that it lives in. A simulation can be one. */
import type { Calls } from "./messages.ts";

/** An object's durable memory; writes are atomic with everything else done in the same turn. */
export interface Store {
  get(key: string): unknown;
  put(key: string, value: unknown): void;
  delete(key: string): void;
  list(prefix: string): Iterable<[key: string, value: unknown]>;
  /** Resolves when all that was put and deleted is durable. */
  sync(): Promise<void>;
  /** Gives the storage back if it has become empty, so that a channel costs nothing once it is over. */
  release(): void;
}

export interface World {
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
  /** Resolves when the event loop has turned: after events that wait already, before any that do not. */
  turn(): Promise<void>;
  after(milliseconds: number, act: () => void): void;
  /** Keeps this object in memory until `work` has settled. */
  keep(work: Promise<unknown>): void;
  /**
   * Has this object's alarm go off at `time`, in milliseconds since 1970, whether it is in memory by then
   * or not; undefined says that it need not. Each call takes the place of the one before.
   */
  alarm(time: number | undefined): void;
}

/** A call that failed for a known cause: the far object is overloaded, or its own code threw. */
export class CallFailed extends Error {
  readonly why: "overloaded" | "thrown";

  constructor(why: "overloaded" | "thrown", cause: unknown) {
    super(`a call failed: ${why}`, { cause });
    this.why = why;
  }
}
