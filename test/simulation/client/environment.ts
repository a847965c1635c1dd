/** Time, timers and pending events for a simulated client; choices pick what happens next. */

import type { Environment } from "../../../src/client/environment.ts";
import type { FetchLike, WebSocketConstructor } from "../../../src/client/types.ts";

/** Something that happens when it is picked. */
export interface Pending {
  label: string;
  happen(): void;
}

interface Timer {
  due: number;
  act(): void;
}

/** A promise that a simulated run breaks. */
export class Breach extends Error {}

export class SimulatedEnvironment {
  /** Picks a number below `among`. */
  readonly choose: (among: number) => number;
  now = 0;
  /** How far the client's calendar is ahead of the server's, in milliseconds. */
  skew = 0;
  readonly script: string[] = [];
  readonly timers = new Set<Timer>();
  /** Frames, responses and tokens on their way; those of one queue keep their order. */
  readonly queues = new Set<Pending[]>();
  readonly looks = new Set<() => void>();
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
      onWaking: (look) => {
        this.looks.add(look);
        return () => this.looks.delete(look);
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

  note(what: string): void {
    this.script.push(`${(this.now / 1_000).toFixed(3)} ${what}`);
  }

  /** Puts something behind all that is in a queue. */
  enqueue(queue: Pending[], pending: Pending): void {
    queue.push(pending);
    this.queues.add(queue);
  }

  /** What could happen next, without the passing of time. */
  due(): Pending[] {
    const heads: Pending[] = [];
    for (const queue of this.queues) {
      const [head] = queue;
      if (!head) this.queues.delete(queue);
      else heads.push({ label: head.label, happen: () => queue.shift()?.happen() });
    }
    return heads;
  }

  /** The timer that goes off first. */
  get nextTimer(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) if (!first || timer.due < first.due) first = timer;
    return first;
  }

  /** Lets time pass until the next timer goes off. */
  fire(timer: Timer): void {
    this.timers.delete(timer);
    this.now = Math.max(this.now, timer.due);
    this.note("a timer goes off");
    timer.act();
  }
}

/** Lets everything run that waits for nothing else. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
