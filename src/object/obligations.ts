/** What an object has to do later, whether it is in memory by then or not: its alarm goes off for that. */

import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Downstream } from "../tree/downstream.ts";
import type { Peers } from "../tree/peers.ts";
import type { Router } from "../tree/router.ts";
import type { Activity } from "./activity.ts";
import type { Alarm } from "./alarm.ts";
import type { ClientLimit } from "./client-limit.ts";
import { Outage } from "./outage.ts";

export interface Obliged {
  runtime: Pick<Runtime, "now">;
  peers: Peers;
  activity: Activity;
  alarm: Alarm;
  downstream: Downstream;
  router: Router;
  /** Undefined where the number of connections is not limited. */
  limit: ClientLimit | undefined;
}

export class Obligations {
  readonly #parts: Obliged;
  readonly #outage: Outage;

  /** @param keeper has it outlive sleep for how long the root of `all` has been unreachable */
  constructor(keeper: Keeper, parts: Obliged) {
    this.#parts = parts;
    this.#outage = new Outage(keeper, parts.runtime);
  }

  /** Asks the root of `all` what there is to ask, if it is time to; undefined if there was no need to join `all`. */
  askAll(): Promise<void> | undefined {
    const { limit, router } = this.#parts;
    if (!this.#outage.isOver) return undefined;
    if (limit?.isKnown === false) limit.recount();
    return router.joinEveryone();
  }

  /** The root of `all` does not answer. */
  apart(): void {
    this.#outage.goOn();
    this.unfinished();
  }

  /** What is left to do has an alarm, which has to be known of when this object leaves memory. */
  unfinished(): void {
    this.set();
    this.#parts.activity.note();
  }

  /**
   * Sets the alarm for what is due next. Where storage refuses that, only this object itself can tell a link that
   * messages are missing, so it stays in memory until it has.
   * @returns when something is due next, in milliseconds since 1970; infinite if nothing is
   */
  set(): number {
    const { alarm, activity, downstream } = this.#parts;
    const dueAt = this.#dueAt();
    void alarm.goOffBy(dueAt).then((goesOff) => {
      if (!goesOff && Number.isFinite(downstream.retellAt)) activity.note();
    });
    return dueAt;
  }

  #dueAt(): number {
    const { runtime, peers, alarm, downstream, router, limit } = this.#parts;
    if (router.hearsEveryone && limit?.isKnown !== false) this.#outage.end();
    else this.#outage.begin();
    return Math.min(
      alarm.expiry,
      this.#outage.askAgainAt,
      downstream.retellAt,
      router.dueAt,
      peers.areWaiting ? runtime.now() : Number.POSITIVE_INFINITY,
    );
  }
}
