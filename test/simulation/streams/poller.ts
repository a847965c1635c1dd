/** A client that polls, and checks that the answer is what it missed. */
import type { Fault } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import type { Budget } from "../../../src/streams/backlog.ts";
import type { Clock } from "../../../src/streams/environment.ts";
import { Tap } from "../../../src/streams/object-connection.ts";
import { poll } from "../../../src/streams/poll.ts";
import { hold } from "./breach.ts";
import { isTight } from "./reader.ts";
import { PATIENCE, type Served } from "./served.ts";
import type { Truth } from "./truth.ts";

export class Poller {
  readonly name: string;
  readonly served: Served;
  readonly #truth: Truth;
  readonly #from: From;
  readonly #tap: Tap;
  readonly #isTight: boolean;
  over: "answered" | "denied" | "left" | undefined;
  denial: Fault | undefined;
  breach: unknown;

  constructor(
    name: string,
    served: Served,
    truth: Truth,
    from: From,
    { clock, budget }: { clock: Clock; budget: Budget },
  ) {
    this.name = name;
    this.served = served;
    this.#truth = truth;
    this.#from = from;
    this.#isTight = isTight(budget);
    this.#tap = new Tap(served.open, clock, budget);
    this.#poll(clock, budget).catch((error: unknown) => {
      this.breach = error;
    });
  }

  leave(): void {
    this.over ??= "left";
    this.#tap.drop();
  }

  async #poll(clock: Clock, budget: Budget): Promise<void> {
    const polled = await poll(this.#tap, this.served.channel, clock, budget);
    hold(this.served.isLeft || this.served.isClosing, () => "an answered poll has left its connection open");
    if ("code" in polled) {
      this.over ??= "denied";
      this.denial = polled;
      hold(polled.why !== "", () => "a denial has no sentence");
      hold(this.#mayFail, () => `it is denied without a cause: ${polled.why}`);
      return;
    }
    this.over ??= "answered";
    const lines: string[] = [];
    let length = 0;
    for (let piece = polled.lines.take(clock.now()); piece !== ""; piece = polled.lines.take(clock.now())) {
      length += piece.length;
      lines.push(...piece.split("\n").slice(0, -1));
    }
    if (this.served.hasLied) return;
    this.#check(lines, polled.position);
    const { answered } = this.served;
    const isLong = length > budget.limits.forOne / 10;
    if (answered === undefined) hold(isLong || this.#mayFail, () => "it is answered too early");
    else if (!isLong)
      hold(polled.position === answered, () => `it is told ${polled.position}, not ${answered}`);
  }

  /** Whether it may end before its answer: it was given up, or there is a cause. */
  get #mayFail(): boolean {
    return this.over === "left" || this.#isTight || this.served.hasFailed || this.served.age >= PATIENCE;
  }

  /** Messages and gaps go on from where it was up to the position that it is told. */
  #check(lines: string[], position: number): void {
    const { channel } = this.served;
    const since = "since" in this.#from ? this.#from.since : undefined;
    let at = typeof since === "number" ? since : position - lines.length;
    for (const line of lines) {
      const [, from, to] = /^debug!gap \S+ (\d+) (\d+)$/.exec(line) ?? [];
      if (from !== undefined) {
        hold(Number(from) === at, () => `'${line}' does not go on from ${at}`);
        at = Number(to);
      } else {
        at += 1;
        const text = this.#truth.at(channel, at);
        hold(line === `${channel}!${text}`, () => `${line} is not ${text}, which has position ${at}`);
      }
    }
    hold(at === position, () => `the messages end at ${at}, and the position is ${position}`);
  }
}
