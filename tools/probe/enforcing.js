/**
 * Takes the probe's place in the local runtime, and enforces there what is assumed of the platform: how deep
 * calls may be nested, how many may be under way at a time, and how many an event may make. So the probe has
 * to find just that. Requests, messages and alarms are events; so are calls, which bring along their depth.
 */
import worker, { Probe as Unlimited } from "./worker.js";

export default worker;

const DEEPEST = 16;
const CALLS = 1_000;
const AT_ONCE = 6;

export class Probe extends Unlimited {
  #own;

  constructor(context, env) {
    const own = { newest: eventAt(0) };
    super(context, {
      ...env,
      PROBE: { getByName: (name) => limited(env.PROBE.getByName(name), own) },
    });
    this.#own = own;
  }

  fetch(request) {
    this.#own.newest = eventAt(2);
    return super.fetch(request);
  }

  webSocketMessage(socket, frame) {
    this.#own.newest = eventAt(1);
    return super.webSocketMessage(socket, frame);
  }

  alarm(info) {
    this.#own.newest = eventAt(1);
    return super.alarm(info);
  }

  ask(experiment, { depth, ...ask }) {
    // What the object asks of itself brings none.
    if (depth !== undefined) this.#own.newest = eventAt(depth);
    return super.ask(experiment, ask);
  }
}

function eventAt(depth) {
  return { depth, calls: 0, underWay: 0, waiting: [] };
}

/** A stub keeps the depth of the event that was its object's newest when it was first used. */
function limited(stub, own) {
  let from;
  return {
    async ask(experiment, ask) {
      const event = own.newest;
      from ??= event.depth;
      if (from >= DEEPEST) throw new Error("Subrequest depth limit exceeded.");
      event.calls += 1;
      if (event.calls > CALLS) throw new Error("Too many subrequests.");
      if (event.underWay === AT_ONCE) await new Promise((resolve) => event.waiting.push(resolve));
      else event.underWay += 1;
      try {
        return await stub.ask(experiment, { ...ask, depth: from + 1 });
      } finally {
        const next = event.waiting.shift();
        if (next) next();
        else event.underWay -= 1;
      }
    },
  };
}
