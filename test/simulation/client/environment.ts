/** Time, timers and pending events for a simulated client; choices pick what happens next. */

import type { Environment } from "../../../src/client/environment.ts";
import type { FetchLike, WebSocketConstructor } from "../../../src/client/types.ts";

/** A pending event; `run` makes it happen. */
export interface Pending {
  label: string;
  run(): void;
}

interface Timer {
  due: number;
  act(): void;
}

/** A broken guarantee. */
export class Breach extends Error {}

export class SimulatedEnvironment {
  /** Chooses a number below `among`. */
  readonly choose: (among: number) => number;
  now = 0;
  /** The client's clock skew, in milliseconds. */
  skew = 0;
  readonly log: string[] = [];
  readonly timers = new Set<Timer>();
  /** Frames, responses and tokens in transit; each queue keeps its order. */
  readonly queues = new Set<Pending[]>();
  readonly wakers = new Set<() => void>();
  #keys = 0;

  constructor(choose: (among: number) => number) {
    this.choose = choose;
  }

  forClient(
    WebSocket: WebSocketConstructor | undefined,
    fetch: FetchLike,
    loadRequests: Environment["loadRequests"],
  ): Environment {
    return {
      now: () => this.now,
      date: () => this.date + this.skew,
      random: () => this.choose(1_000) / 1_000,
      newKey: () => {
        this.#keys += 1;
        return `key-${this.#keys}`;
      },
      later: (milliseconds, act) => {
        if (!(milliseconds >= 0)) throw new Breach(`a timer of ${milliseconds} ms`);
        const timer = { due: this.now + milliseconds, act };
        this.timers.add(timer);
        return () => this.timers.delete(timer);
      },
      onWaking: (wake) => {
        this.wakers.add(wake);
        return () => this.wakers.delete(wake);
      },
      loadRequests,
      WebSocket,
      fetch,
      location: undefined,
    };
  }

  /** The true time, in milliseconds since 1970. */
  get date(): number {
    return 1_700_000_000_000 + this.now;
  }

  record(what: string): void {
    this.log.push(`${(this.now / 1_000).toFixed(3)} ${what}`);
  }

  /** Appends an event to a queue. */
  enqueue(queue: Pending[], pending: Pending): void {
    queue.push(pending);
    this.queues.add(queue);
  }

  /** Returns the events that can happen without time passing. */
  due(): Pending[] {
    const heads: Pending[] = [];
    for (const queue of this.queues) {
      const [head] = queue;
      if (!head) this.queues.delete(queue);
      else heads.push({ label: head.label, run: () => queue.shift()?.run() });
    }
    return heads;
  }

  /** The earliest timer. */
  get nextTimer(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) if (!first || timer.due < first.due) first = timer;
    return first;
  }

  /** Advances time to a timer, and fires it. */
  fire(timer: Timer): void {
    this.timers.delete(timer);
    this.now = Math.max(this.now, timer.due);
    this.record("a timer fires");
    timer.act();
  }
}

/** Runs everything that depends on no event. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
