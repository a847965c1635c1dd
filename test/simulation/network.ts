/**
 * Calls between simulated objects. As the choices say, they are delayed, overtake each other, fail before or after they
 * are executed, or are executed long after they failed.
 */

import { CallFailed } from "../../src/runtime/runtime.ts";
import { copy } from "./copy.ts";
import type { CoverageGoal } from "./coverage.ts";
import { Outages } from "./outages.ts";

/** A call fails after this long, in milliseconds, as in `src/worker/calls.ts`. */
const CALL_TIMEOUT = 15_000;

/** Something that can happen next. */
export interface Action {
  label: string;
  happen: () => void;
  isFault?: boolean;
  /** When it is due, in milliseconds. It may happen later; if it happens earlier, the clock jumps to this time. */
  at?: number;
}

/** The service, as the network sees it. */
export interface NetworkOptions {
  now(): number;
  cover(goal: CoverageGoal): void;
  /** Maximum calls in flight per object; more are queued. */
  maxInFlight: number;
  /** Whether an object blocks its input. */
  isHolding(object: string): boolean;
  /** Whether calls time out. */
  timesOut: boolean;
}

interface Call {
  label: string;
  from: string;
  to: string;
  /** Whether the callee may have to make a call of the same kind before it answers. */
  isNested: boolean;
  /** Executes the call and stores its outcome. */
  run: () => void;
  /** Reports the outcome to the caller; undefined until there is one. */
  settle: (() => void) | undefined;
  fail: (cause?: unknown) => void;
  /** When it was made, in milliseconds. */
  since: number;
  state: "sent" | "done" | "failed";
  /** Whether the callee doesn't execute it before it times out. */
  isStalled: boolean;
}

export class Network {
  readonly #options: NetworkOptions;
  readonly outages: Outages;
  #calls: Call[] = [];

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.outages = new Outages(() => options.now());
  }

  /**
   * Has the object `to` perform `act` for the object `from`.
   * @param isOver whether the caller has left memory, so that the answer doesn't matter
   */
  call<T>(
    label: string,
    { from, to, isNested }: Pick<Call, "from" | "to" | "isNested">,
    act: () => T | Promise<T>,
    isOver: () => boolean,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown = new Error("the network failed")) => {
        if (!isOver()) reject(cause);
      };
      const since = this.#options.now();
      const made = { label, from, to, isNested, since, fail };
      const call: Call = { ...made, state: "sent", isStalled: false, settle: undefined, run: () => {} };
      call.run = () => {
        const answer = (value: T) => {
          call.settle = () => {
            if (!isOver()) resolve(copy(value));
          };
        };
        new Promise<T>((resolve) => resolve(act())).then(answer, (error: unknown) => {
          call.settle = () => fail(new CallFailed("thrown", error));
        });
      };
      this.#calls.push(call);
    });
  }

  /** Returns the actions that follow by themselves, oldest first. */
  pending(): Action[] {
    const inFlight = new Map<string, number>();
    return this.#calls.flatMap((call): Action[] => {
      // Objects that link to each other could deadlock if these calls were queued.
      if (!call.isNested) {
        const before = inFlight.get(call.from) ?? 0;
        inFlight.set(call.from, before + 1);
        if (before >= this.#options.maxInFlight) return [];
      }
      return this.#next(call);
    });
  }

  /** Returns the actions that a call allows next. */
  #next(call: Call): Action[] {
    const { label, state, settle } = call;
    if (state !== "failed" && this.#options.timesOut && this.#options.now() >= call.since + CALL_TIMEOUT) {
      return [this.#timeout(call)];
    }
    if (call.isStalled && state === "sent") return [];
    if (state === "sent" && this.outages.isCut(call.from, call.to)) {
      const fail = () => this.#settle(call, () => call.fail());
      return [{ label: `unreachable: ${label}`, happen: fail, isFault: true }];
    }
    if (state !== "done" && this.#options.isHolding(call.to)) return [];
    if (state !== "done") return [{ label, happen: () => this.#execute(call) }];
    if (!settle) return [];
    return [{ label: `answer to ${label}`, happen: () => this.#settle(call, settle) }];
  }

  /** The timeouts of stalled calls. */
  timeouts(): Action[] {
    const stalled = this.#calls.filter(({ isStalled, state }) => isStalled && state === "sent");
    return stalled.map((call) => ({ ...this.#timeout(call), at: call.since + CALL_TIMEOUT }));
  }

  #timeout(call: Call): Action {
    return { label: `timed out: ${call.label}`, happen: () => this.#timeOut(call), isFault: true };
  }

  /** Returns the possible faults. */
  faults(): Action[] {
    return this.#calls.flatMap((call): Action[] => {
      if (call.state === "failed") return [];
      const lose = () => this.#settle(call, () => call.fail());
      const lost = { label: `lost: ${call.label}`, happen: lose, isFault: true };
      const overload = () => this.#settle(call, () => call.fail(new CallFailed("overloaded", "by chance")));
      const overloaded = { label: `overloaded: ${call.label}`, happen: overload, isFault: true };
      const late = {
        label: `failed, executed later: ${call.label}`,
        happen: () => this.#giveUp(call),
        isFault: true,
      };
      const stall = () => {
        call.isStalled = true;
      };
      const stalled = { label: `stalled: ${call.label}`, happen: stall, isFault: true };
      return call.state === "sent" ? [lost, late, overloaded, stalled] : [lost];
    });
  }

  /** Whether any call to an object is in flight. */
  concerns(object: string): boolean {
    return this.#calls.some(({ to }) => to === object);
  }

  /** The labels of the calls to an object that are in flight. */
  labelsOf(object: string): string[] {
    return this.#calls.filter(({ to }) => to === object).map(({ label }) => label);
  }

  /**
   * Handles an object's crash. Calls that their callers gave up on are lost with it; calls on their way still reach the
   * object when it wakes.
   */
  crash(object: string): void {
    this.#calls = this.#calls.filter(({ to, state }) => to !== object || state !== "failed");
    for (const call of this.#calls) {
      if (call.to === object && call.state === "done") call.settle ??= () => call.fail();
    }
  }

  #execute(call: Call): void {
    call.run();
    if (call.state === "failed") this.#remove(call);
    else call.state = "done";
  }

  #timeOut(call: Call): void {
    this.#options.cover("a call timed out");
    if (call.state === "sent") this.#giveUp(call);
    else this.#settle(call, () => call.fail());
  }

  /** Fails a call for its caller; it may still be executed. */
  #giveUp(call: Call): void {
    call.state = "failed";
    call.fail();
  }

  #settle(call: Call, act: () => void): void {
    this.#remove(call);
    act();
  }

  #remove(call: Call): void {
    this.#calls.splice(this.#calls.indexOf(call), 1);
  }
}
