/**
 * Wraps the Worker's class to enforce rules that the platform has and the local runtime lacks: the depth of calls
 * between objects is limited, as are the calls per event and the calls in flight.
 *
 * - An event from a socket or an alarm has depth 1, an upgrade 2, and a call one more than the stub it comes through.
 *   A stub has the depth of its object at the stub's first use.
 * - An object has the depth of its newest event; when that is over, in the worst case that of any event in progress.
 *
 * Each new depth, and each violation, is written to the console.
 */
import worker, { Channel as Real } from "./worker.js";

export default worker;

/** The maximum depth. */
const DEEPEST = 16;
/** Maximum calls per event, as on the free plan. */
const CALLS = 1_000;
/** Maximum calls in flight per object; more are queued. */
const MAX_IN_FLIGHT = 6;

let deepest = 0;

class Rules {
  newest = 0;
  isOver = true;
  unfinished = new Set();
  calls = 0;
  inFlight = 0;
  queued = [];

  begin(depth) {
    this.newest = depth;
    this.isOver = false;
    this.calls = 0;
    if (depth > deepest) {
      deepest = depth;
      console.log(`depth ${depth}`);
    }
  }

  get depth() {
    if (!this.isOver) return this.newest;
    return Math.max(this.newest, ...[...this.unfinished].map((event) => event.depth));
  }

  async during(depth, act) {
    this.begin(depth);
    const event = { depth };
    this.unfinished.add(event);
    try {
      return await act();
    } finally {
      this.unfinished.delete(event);
      this.isOver = true;
    }
  }

  countCall() {
    this.calls += 1;
    if (this.calls > CALLS) fail("Too many subrequests by single Worker invocation.");
  }

  async queue(act) {
    if (this.inFlight >= MAX_IN_FLIGHT) await new Promise((resolve) => this.queued.push(resolve));
    else this.inFlight += 1;
    try {
      return await act();
    } finally {
      const next = this.queued.shift();
      if (next) next();
      else this.inFlight -= 1;
    }
  }
}

function fail(what) {
  console.log(`violation: ${what}`);
  throw new Error(what);
}

/** Wraps the namespace through which an object reaches others. */
function strict(namespace, rules) {
  return {
    getByName(name, options) {
      let depth;
      return {
        call(...ask) {
          depth ??= rules.depth;
          if (depth >= DEEPEST) fail("Subrequest depth limit exceeded.");
          rules.countCall();
          const at = depth + 1;
          return rules.queue(() => namespace.getByName(name, options).callAt(at, ...ask));
        },
      };
    },
  };
}

export class Channel extends Real {
  #rules;

  constructor(context, env) {
    const rules = new Rules();
    super(context, { ...env, CHANNEL: strict(env.CHANNEL, rules) });
    this.#rules = rules;
  }

  fetch(request) {
    this.#rules.begin(2);
    return super.fetch(request);
  }

  webSocketMessage(...event) {
    this.#rules.begin(1);
    return super.webSocketMessage(...event);
  }

  webSocketClose(...event) {
    this.#rules.begin(1);
    return super.webSocketClose(...event);
  }

  alarm(...event) {
    this.#rules.begin(1);
    return super.alarm(...event);
  }

  callAt(depth, ...ask) {
    return this.#rules.during(depth, () => super.call(...ask));
  }
}
