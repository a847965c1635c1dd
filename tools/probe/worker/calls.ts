/** Many calls: at a time, and in one event. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import { pause, type Self } from "./self.ts";

/** Calls that `many` has under way at a time. */
const BATCH = 50;

export class Calls {
  readonly #self: Self;
  #underWay = 0;

  constructor(self: Self) {
    this.#self = self;
  }

  /**
   * Takes its time; answers with how many such calls were under way in this object when it began.
   * @param ask `milliseconds`
   */
  async linger(ask: Facts): Promise<Facts> {
    this.#underWay += 1;
    const underWay = this.#underWay;
    await pause(numberIn(ask, "milliseconds"));
    this.#underWay -= 1;
    return { underWay };
  }

  /**
   * Makes calls at once, each of which takes a while; answers with `elapsed`, the milliseconds until all
   * were answered, and with the most that were under way in one callee.
   * @param ask `calls`: how many; `callees`: to how many objects; `milliseconds`: that each call takes
   */
  async atOnce(ask: Facts): Promise<Facts> {
    const callees = numberIn(ask, "callees");
    const milliseconds = numberIn(ask, "milliseconds");
    const began = Date.now();
    const calls = Array.from({ length: numberIn(ask, "calls") }, (_, i) =>
      this.#self.peer(`${this.#self.name}/${i % callees}`).ask("linger", { milliseconds }),
    );
    const answers = await Promise.all(calls);
    const underWay = answers.map((answer) => numberIn(answer, "underWay"));
    return { elapsed: Date.now() - began, underWay: Math.max(...underWay) };
  }

  /**
   * Makes calls in this one event, until one fails; answers with how many were answered, and why one was not.
   * @param ask `calls`: how many at most
   */
  async many(ask: Facts): Promise<Facts> {
    const calls = numberIn(ask, "calls");
    const peer = `${this.#self.name}/callee`;
    let answered = 0;
    for (let made = 0; made < calls; made += BATCH) {
      const batch = await this.queue({ peer, calls: Math.min(BATCH, calls - made) });
      answered += numberIn(batch, "answered");
      if (batch.failure !== undefined) return { answered, failure: batch.failure };
    }
    return { answered };
  }

  /**
   * Makes calls to one object, all at once, by one stub; answers with how many were answered, and why others
   * were not.
   * @param ask `peer`: the object; `calls`: how many
   */
  async queue(ask: Facts): Promise<Facts> {
    const stub = this.#self.peer(textIn(ask, "peer"));
    const calls = Array.from({ length: numberIn(ask, "calls") }, () => stub.ask("nothing", {}));
    const outcomes = await Promise.allSettled(calls);
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [textOf(outcome.reason)] : [],
    );
    const answered = outcomes.length - failures.length;
    return failures.length === 0 ? { answered } : { answered, failure: [...new Set(failures)].join(" | ") };
  }
}
