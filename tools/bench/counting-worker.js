/**
 * The Worker, counting what the platform bills of each object, around its own class. A request for `/!costs`,
 * which no channel can be, is answered with all of it as JSON; each object whose awake time has ended says so on
 * the console.
 *
 * - Rows: each put, delete, and setting or deleting of the alarm, by its key up to a colon; `deleteAll` is one.
 * - Requests: each upgrade, call (by its kind), alarm, and message from a client.
 * - Seconds awake: from an event until neither it nor anything that came of it is under way, be it a timer, a call
 *   to another object, or what the object waits for. Timers belong to the event from which they are set, wherever
 *   in it that is; so this needs the flag `nodejs_als`. An object without all that may sleep, and is not billed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import worker, { Channel as Real } from "./worker.js";

const REPORT = "/!costs";

/** By an object's name. Tallies outlive the object's time in memory. */
const tallies = new Map();
/** The tally of the object whose event is being carried out. */
const current = new AsyncLocalStorage();

class Tally {
  rows = {};
  requests = {};
  seconds = 0;
  /** How often it has been awake. */
  periods = 0;
  connections = 0;
  hasAlarm = false;
  isAwake = false;
  #name;
  #underWay = 0;
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

  /** Carries out an event. */
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

  /** Is awake until something has settled. */
  during(work) {
    if (typeof work?.then !== "function") return;
    this.begin();
    const end = () => this.end();
    work.then(end, end);
  }

  begin() {
    this.#underWay += 1;
    if (this.isAwake) return;
    this.isAwake = true;
    this.periods += 1;
    this.#since = Date.now();
  }

  end() {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    this.isAwake = false;
    this.seconds += (Date.now() - this.#since) / 1000;
    console.log(`quiet ${this.#name}`);
  }
}

/** Timers that are set: whose they are. */
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

/** Has something done before each call of a method, with what that is given. */
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

/** What an object reaches others by. */
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
  /** What has been changed of it lasts only as long as it is kept. */
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

  /** Is not billed as a request. */
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
