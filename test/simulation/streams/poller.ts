/** A client that polls, and checks that it receives exactly the missed messages. */
import type { Fault } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import type { Budget } from "../../../src/streams/backlog.ts";
import type { StreamEnvironment } from "../../../src/streams/environment.ts";
import type { ObjectConnection } from "../../../src/streams/object-connection.ts";
import { poll } from "../../../src/streams/poll.ts";
import { type ObjectSide, SILENCE_TIMEOUT } from "./object-side.ts";
import { isTight } from "./reader.ts";
import type { Truth } from "./truth.ts";
import { check } from "./violation.ts";

export class Poller {
  readonly name: string;
  readonly object: ObjectSide;
  readonly #truth: Truth;
  readonly #from: From;
  readonly #connection: ObjectConnection;
  readonly #isTight: boolean;
  over: "answered" | "denied" | "left" | undefined;
  denial: Fault | undefined;
  violation: unknown;

  constructor(
    name: string,
    object: ObjectSide,
    truth: Truth,
    from: From,
    { environment, budget }: { environment: StreamEnvironment; budget: Budget },
  ) {
    this.name = name;
    this.object = object;
    this.#truth = truth;
    this.#from = from;
    this.#isTight = isTight(budget);
    this.#connection = object.connect({ environment, budget });
    this.#poll(environment, budget).catch((error: unknown) => {
      this.violation = error;
    });
  }

  leave(): void {
    this.over ??= "left";
    this.#connection.drop();
  }

  async #poll(environment: StreamEnvironment, budget: Budget): Promise<void> {
    const polled = await poll(this.#connection, this.object.channel, environment, budget);
    check(this.object.isClosedByWorker || this.object.isClosing, () => "an answered poll has left its connection open");
    if ("code" in polled) {
      this.over ??= "denied";
      this.denial = polled;
      check(polled.why !== "", () => "a denial has no sentence");
      check(this.#mayFail, () => `it is denied without a cause: ${polled.why}`);
      return;
    }
    this.over ??= "answered";
    const lines: string[] = [];
    let length = 0;
    for (let piece = polled.lines.take(environment.now()); piece !== ""; piece = polled.lines.take(environment.now())) {
      length += piece.length;
      lines.push(...piece.split("\n").slice(0, -1));
    }
    if (this.object.hasSentInvalid) return;
    this.#check(lines, polled.position);
    const { answered } = this.object;
    const isLong = length > budget.limits.forOne / 10;
    if (answered === undefined) check(isLong || this.#mayFail, () => "it is answered too early");
    else if (!isLong) check(polled.position === answered, () => `it is told ${polled.position}, not ${answered}`);
  }

  /** Whether the poll may fail: the client left, or there is a reason. */
  get #mayFail(): boolean {
    return this.over === "left" || this.#isTight || this.object.hasFailed || this.object.age >= SILENCE_TIMEOUT;
  }

  /** Checks that messages and gaps continue from the client's position up to the new one. */
  #check(lines: string[], position: number): void {
    const { channel } = this.object;
    const since = "since" in this.#from ? this.#from.since : undefined;
    let at = typeof since === "number" ? since : position - lines.length;
    for (const line of lines) {
      const [, from, to] = /^debug!gap \S+ (\d+) (\d+)$/.exec(line) ?? [];
      if (from !== undefined) {
        check(Number(from) === at, () => `'${line}' does not go on from ${at}`);
        at = Number(to);
      } else {
        at += 1;
        const text = this.#truth.at(channel, at);
        check(line === `${channel}!${text}`, () => `${line} is not ${text}, which has position ${at}`);
      }
    }
    check(at === position, () => `the messages end at ${at}, and the position is ${position}`);
  }
}
