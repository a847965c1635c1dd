/** Many calls, in parallel and in one event. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import { type Host, pause } from "./host.ts";

/** Maximum calls of `many` in flight. */
const BATCH = 50;

export class Calls {
  readonly #host: Host;
  #inFlight = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Waits; returns how many such calls were in flight in this object when it began.
   * @param ask `milliseconds`
   */
  async linger(ask: Facts): Promise<Facts> {
    this.#inFlight += 1;
    const inFlight = this.#inFlight;
    await pause(numberIn(ask, "milliseconds"));
    this.#inFlight -= 1;
    return { inFlight };
  }

  /**
   * Makes slow calls in parallel. Returns `elapsed`, the milliseconds until all were answered, and `inFlight`, the maximum
   * in flight in one callee.
   * @param ask `calls`: how many; `callees`: to how many objects; `milliseconds`: the duration of each
   */
  async atOnce(ask: Facts): Promise<Facts> {
    const callees = numberIn(ask, "callees");
    const milliseconds = numberIn(ask, "milliseconds");
    const began = Date.now();
    const calls = Array.from({ length: numberIn(ask, "calls") }, (_, i) =>
      this.#host.peer(`${this.#host.name}/${i % callees}`).ask("linger", { milliseconds }),
    );
    const answers = await Promise.all(calls);
    const inFlight = answers.map((answer) => numberIn(answer, "inFlight"));
    return { elapsed: Date.now() - began, inFlight: Math.max(...inFlight) };
  }

  /**
   * Makes calls in this one event until one fails; returns how many were answered, and the failure.
   * @param ask `calls`: the maximum
   */
  async many(ask: Facts): Promise<Facts> {
    const calls = numberIn(ask, "calls");
    const peer = `${this.#host.name}/callee`;
    let answered = 0;
    for (let made = 0; made < calls; made += BATCH) {
      const batch = await this.queue({ peer, calls: Math.min(BATCH, calls - made) });
      answered += numberIn(batch, "answered");
      if (batch.failure !== undefined) return { answered, failure: batch.failure };
    }
    return { answered };
  }

  /**
   * Makes calls to one object in parallel, through one stub; returns how many were answered, and the failures.
   * @param ask `peer`: the object; `calls`: how many
   */
  async queue(ask: Facts): Promise<Facts> {
    const stub = this.#host.peer(textIn(ask, "peer"));
    const calls = Array.from({ length: numberIn(ask, "calls") }, () => stub.ask("nothing", {}));
    const outcomes = await Promise.allSettled(calls);
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [textOf(outcome.reason)] : []));
    const answered = outcomes.length - failures.length;
    return failures.length === 0 ? { answered } : { answered, failure: [...new Set(failures)].join(" | ") };
  }
}
