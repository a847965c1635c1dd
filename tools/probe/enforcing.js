/**
 * Wraps the probe in the local runtime to enforce the assumed limits of the platform: the depth of nested calls, the
 * calls in flight, and the calls per event. The probe must then find exactly these. Requests, messages, alarms and calls
 * are events; calls carry their depth with them.
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
    // Calls of the object to itself carry no depth.
    if (depth !== undefined) this.#own.newest = eventAt(depth);
    return super.ask(experiment, ask);
  }
}

function eventAt(depth) {
  return { depth, calls: 0, inFlight: 0, queued: [] };
}

/** A stub has the depth of its object's newest event at the stub's first use. */
function limited(stub, own) {
  let from;
  return {
    async ask(experiment, ask) {
      const event = own.newest;
      from ??= event.depth;
      if (from >= DEEPEST) throw new Error("Subrequest depth limit exceeded.");
      event.calls += 1;
      if (event.calls > CALLS) throw new Error("Too many subrequests.");
      if (event.inFlight === AT_ONCE) await new Promise((resolve) => event.queued.push(resolve));
      else event.inFlight += 1;
      try {
        return await stub.ask(experiment, { ...ask, depth: from + 1 });
      } finally {
        const next = event.queued.shift();
        if (next) next();
        else event.inFlight -= 1;
      }
    },
  };
}
