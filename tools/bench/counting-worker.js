/**
 * Wraps the Worker's class to count what the platform bills for each object. A request for `/!costs`, which can't be a
 * channel, returns all counts as JSON. Each object that becomes idle writes a line to the console.
 *
 * - Rows: each put, delete, and setting or deleting of the alarm, by its key up to the colon; `deleteAll` counts as one.
 * - Requests: each upgrade, call (by its kind), alarm, and message from a client.
 * - Seconds awake: from an event until neither it nor anything it started is in progress: timers, calls to other
 *   objects, and other promises the object waits for. A timer belongs to the event that set it, wherever in its code
 *   that happens, which needs the flag `nodejs_als`. An idle object may hibernate, and is not billed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import worker, { Channel as Real } from "./worker.js";

const REPORT = "/!costs";

/** By object name. Tallies outlive the object's time in memory. */
const tallies = new Map();
/** The tally of the object whose event is being handled. */
const current = new AsyncLocalStorage();

class Tally {
  rows = {};
  requests = {};
  seconds = 0;
  /** Number of times it was awake. */
  periods = 0;
  connections = 0;
  hasAlarm = false;
  isAwake = false;
  #name;
  #inFlight = 0;
  #since = 0;

  static of(name) {
    const known = tallies.get(name) ?? new Tally(name);
    tallies.set(name, known);
    return known;
  }

  constructor(name) {
    this.#name = name;
  }

  wrote(key) {
    const [kind] = key.split(":");
    this.rows[kind] = (this.rows[kind] ?? 0) + 1;
  }

  /** Handles an event. */
  event(request, act) {
    if (request) this.requests[request] = (this.requests[request] ?? 0) + 1;
    this.begin();
    try {
      const result = current.run(this, act);
      this.during(result);
      return result;
    } finally {
      this.end();
    }
  }

  /** Keeps the object awake until a promise has settled. */
  during(work) {
    if (typeof work?.then !== "function") return;
    this.begin();
    const end = () => this.end();
    work.then(end, end);
  }

  begin() {
    this.#inFlight += 1;
    if (this.isAwake) return;
    this.isAwake = true;
    this.periods += 1;
    this.#since = Date.now();
  }

  end() {
    this.#inFlight -= 1;
    if (this.#inFlight > 0) return;
    this.isAwake = false;
    this.seconds += (Date.now() - this.#since) / 1000;
    console.log(`quiet ${this.#name}`);
  }
}

/** The tally that each pending timer belongs to. */
const timers = new Map();
const { setTimeout: set, clearTimeout: clear } = globalThis;

globalThis.setTimeout = (act, ...more) => {
  const tally = current.getStore();
  tally?.begin();
  const timer = set(
    () => {
      timers.delete(timer);
      try {
        act();
      } finally {
        tally?.end();
      }
    },
    ...more,
  );
  if (tally) timers.set(timer, tally);
  return timer;
};

globalThis.clearTimeout = (timer) => {
  clear(timer);
  timers.get(timer)?.end();
  timers.delete(timer);
};

/** Calls `act` before each call of a method, with the same arguments. */
function before(object, method, act) {
  const real = object[method].bind(object);
  object[method] = (...given) => {
    act(...given);
    return real(...given);
  };
}

function countWrites({ storage }, tally) {
  for (const method of ["put", "delete"]) before(storage.kv, method, (key) => tally.wrote(key));
  const alarm = (isSet) => () => {
    tally.wrote("alarm");
    tally.hasAlarm = isSet;
  };
  before(storage, "setAlarm", alarm(true));
  before(storage, "deleteAlarm", alarm(false));
  before(storage, "deleteAll", () => {
    tally.wrote("everything");
    tally.hasAlarm = false;
  });
}

/** Wraps the namespace through which an object reaches others. */
function counting(namespace, tally) {
  return {
    getByName(...which) {
      const stub = namespace.getByName(...which);
      return {
        call(...ask) {
          const answer = stub.call(...ask);
          tally.during(answer);
          return answer;
        },
      };
    },
  };
}

export class Channel extends Real {
  #tally;
  /** Holds references, because the changes to these objects last only as long as the objects. */
  #storage;

  constructor(context, env) {
    const tally = Tally.of(context.id.name);
    countWrites(context, tally);
    before(context, "waitUntil", (work) => tally.during(work));
    super(context, { ...env, CHANNEL: counting(env.CHANNEL, tally) });
    this.#tally = tally;
    this.#storage = [context.storage, context.storage.kv];
  }

  fetch(request) {
    this.#tally.connections += 1;
    return this.#tally.event("upgrade", () => super.fetch(request));
  }

  webSocketMessage(...event) {
    return this.#tally.event("message", () => super.webSocketMessage(...event));
  }

  /** Not billed as a request. */
  webSocketClose(...event) {
    this.#tally.connections -= 1;
    return this.#tally.event(undefined, () => super.webSocketClose(...event));
  }

  alarm(...event) {
    this.#tally.hasAlarm = false;
    return this.#tally.event("alarm", () => super.alarm(...event));
  }

  call(kind, ...ask) {
    return this.#tally.event(kind, () => super.call(kind, ...ask));
  }
}

export default {
  fetch(request, ...more) {
    if (new URL(request.url).pathname !== REPORT) return worker.fetch(request, ...more);
    return Response.json(Object.fromEntries(tallies));
  },
};
