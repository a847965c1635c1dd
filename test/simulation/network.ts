/**
 * Calls between simulated objects. They are late, overtake each other, fail before or after they were carried
 * out, or are carried out long after they failed: as somebody chooses.
 */

import { CallFailed } from "../../src/runtime/runtime.ts";
import { Outages } from "./outages.ts";
import type { Rarity } from "./rarities.ts";

/** After so long a call has failed, in milliseconds, as in `src/worker/calls.ts`. */
const CALL_TIMEOUT = 15_000;

/** Something that can happen next. */
export interface Action {
  label: string;
  happen: () => void;
  isFault?: boolean;
  /** When it is due, in milliseconds; it may be late, but not early: the time is this then. */
  at?: number;
}

/** What a network needs of its surroundings. */
export interface Around {
  now(): number;
  meet(rarity: Rarity): void;
  /** Calls of one object that are under way at one time; more wait. */
  mostUnderWay: number;
  /** Whether an object lets nothing come in for now. */
  isHolding(object: string): boolean;
  /** Whether calls that take too long fail. */
  timesOut: boolean;
}

interface Call {
  label: string;
  from: string;
  to: string;
  /** Whether the far object may have to make a call like this one before it answers. */
  isNested: boolean;
  /** Carries the call out and keeps its outcome. */
  run: () => void;
  /** Tells the caller the outcome, once there is one. */
  settle: (() => void) | undefined;
  fail: (cause?: unknown) => void;
  /** When it was made, in milliseconds. */
  since: number;
  state: "sent" | "done" | "failed";
  /** Whether the far object does nothing with it until its time is over. */
  isStalled: boolean;
}

export class Network {
  readonly #around: Around;
  readonly outages: Outages;
  #calls: Call[] = [];

  constructor(around: Around) {
    this.#around = around;
    this.outages = new Outages(() => around.now());
  }

  /**
   * Has `act` done by the object `to`, for the object `from`.
   * @param isOver whether the caller has crashed or left memory, so that nobody waits for the answer
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
      const since = this.#around.now();
      const made = { label, from, to, isNested, since, fail };
      const call: Call = { ...made, state: "sent", isStalled: false, settle: undefined, run: () => {} };
      call.run = () => {
        const answer = (value: T) => {
          call.settle = () => {
            if (!isOver()) resolve(structuredClone(value));
          };
        };
        new Promise<T>((resolve) => resolve(act())).then(answer, (error: unknown) => {
          call.settle = () => fail(new CallFailed("thrown", error));
        });
      };
      this.#calls.push(call);
    });
  }

  /** What would happen by itself, oldest first. */
  pending(): Action[] {
    const underWay = new Map<string, number>();
    return this.#calls.flatMap((call): Action[] => {
      // Objects that ask each other for links, and wait for their turn in between, could wait for ever.
      if (!call.isNested) {
        const before = underWay.get(call.from) ?? 0;
        underWay.set(call.from, before + 1);
        if (before >= this.#around.mostUnderWay) return [];
      }
      return this.#next(call);
    });
  }

  /** What becomes of a call next. */
  #next(call: Call): Action[] {
    const { label, state, settle } = call;
    if (state !== "failed" && this.#around.timesOut && this.#around.now() >= call.since + CALL_TIMEOUT) {
      return [this.#timeout(call)];
    }
    if (call.isStalled && state === "sent") return [];
    if (state === "sent" && this.outages.isCut(call.from, call.to)) {
      const fail = () => this.#take(call, () => call.fail());
      return [{ label: `unreachable: ${label}`, happen: fail, isFault: true }];
    }
    if (state !== "done" && this.#around.isHolding(call.to)) return [];
    if (state !== "done") return [{ label, happen: () => this.#carryOut(call) }];
    if (!settle) return [];
    return [{ label: `answer to ${label}`, happen: () => this.#take(call, settle) }];
  }

  /** When the time of stalled calls is over. */
  timeouts(): Action[] {
    const stalled = this.#calls.filter(({ isStalled, state }) => isStalled && state === "sent");
    return stalled.map((call) => ({ ...this.#timeout(call), at: call.since + CALL_TIMEOUT }));
  }

  #timeout(call: Call): Action {
    return { label: `timed out: ${call.label}`, happen: () => this.#timeOut(call), isFault: true };
  }

  /** What can go wrong. */
  faults(): Action[] {
    return this.#calls.flatMap((call): Action[] => {
      if (call.state === "failed") return [];
      const lose = () => this.#take(call, () => call.fail());
      const lost = { label: `lost: ${call.label}`, happen: lose, isFault: true };
      const overload = () => this.#take(call, () => call.fail(new CallFailed("overloaded", "by chance")));
      const overloaded = { label: `overloaded: ${call.label}`, happen: overload, isFault: true };
      const late = {
        label: `failed, carried out later: ${call.label}`,
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

  /** Whether something is on its way to an object, or under way there. */
  concerns(object: string): boolean {
    return this.#calls.some(({ to }) => to === object);
  }

  /**
   * An object has crashed. What its callers have given up on dies with it; what is on its way may reach its
   * next life.
   */
  crash(object: string): void {
    this.#calls = this.#calls.filter(({ to, state }) => to !== object || state !== "failed");
    for (const call of this.#calls) {
      if (call.to === object && call.state === "done") call.settle ??= () => call.fail();
    }
  }

  #carryOut(call: Call): void {
    call.run();
    if (call.state === "failed") this.#remove(call);
    else call.state = "done";
  }

  #timeOut(call: Call): void {
    this.#around.meet("a call timed out");
    if (call.state === "sent") this.#giveUp(call);
    else this.#take(call, () => call.fail());
  }

  /** Its caller waits no longer, but it may still be carried out. */
  #giveUp(call: Call): void {
    call.state = "failed";
    call.fail();
  }

  #take(call: Call, act: () => void): void {
    this.#remove(call);
    act();
  }

  #remove(call: Call): void {
    this.#calls.splice(this.#calls.indexOf(call), 1);
  }
}
