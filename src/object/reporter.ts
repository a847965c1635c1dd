/** What this object says of itself and, at the root of `all`, of the whole service. */

import { EVERYONE } from "../protocol/channels.ts";
import type { CounterReport, Figures, FiguresRequest, ServiceFigures, Totals } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Connections } from "../session/connections.ts";
import type { Counters } from "../stats/counters.ts";
import { hashesOf } from "../stats/distinct.ts";
import { formatInfo } from "../stats/info.ts";
import { Polling } from "../stats/polling.ts";
import { Service } from "../stats/service.ts";
import { sumOfFigures } from "../stats/totals.ts";
import type { Downstream } from "../tree/downstream.ts";
import type { Peers } from "../tree/peers.ts";

export class Reporter {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #downstream: Downstream;
  readonly #counters: Counters;
  readonly #clientLimit: number;
  readonly #peers: Pick<Peers, "deepest">;
  readonly #polling: Polling<ServiceFigures>;
  /** At the root of `all`. */
  readonly #service: Service | undefined;
  /** What names of channels are hashed with, for as long as this object is in memory. */
  #seed: number | undefined;

  constructor(
    runtime: Runtime,
    peers: Pick<Peers, "deepest">,
    connections: Connections,
    downstream: Downstream,
    counters: Counters,
    clientLimit: number,
  ) {
    this.#peers = peers;
    this.#runtime = runtime;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#counters = counters;
    this.#clientLimit = clientLimit;
    if (runtime.name === EVERYONE) this.#service = new Service(runtime.store, runtime.now());
    const objectsOf = ({ objects, unreachable }: ServiceFigures) => objects + unreachable;
    this.#polling = new Polling(() => this.#poll(), objectsOf, runtime.now);
  }

  /** The lines that answer `info`. */
  async info(): Promise<string> {
    const figures = await (this.#service
      ? this.serviceFigures()
      : this.#runtime.call(EVERYONE, "serviceFigures", undefined));
    return formatInfo(figures, this.#clientLimit, this.#runtime.now());
  }

  /** Of the whole service; only the root of `all` can tell. */
  serviceFigures(): Promise<ServiceFigures> {
    return this.#polling.answer();
  }

  async #poll(): Promise<ServiceFigures> {
    if (!this.#service) throw new Error("only the root of `all` knows the figures of the service");
    this.#seed ??= Math.floor(this.#runtime.random() * 2 ** 32);
    return this.#service.figures(await this.figures({ seed: this.#seed }));
  }

  /** Of this object, and in the tree of `all` of those linked to it. */
  async figures(request: FiguresRequest): Promise<Figures> {
    if (channelOf(this.#runtime.name) !== EVERYONE) return this.#own(request);
    const objects = [...this.#downstream.objects];
    const asked = objects.map(async (object) => {
      const epoch = this.#downstream.epochOf(object);
      return { object, epoch, figures: await this.#runtime.call(object, "figures", request) };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    // An object that has unlinked since it was asked has reported its counters.
    const linked = answered.filter(({ object, epoch }) => epoch === this.#downstream.epochOf(object));
    const figures = linked.map((answer) => answer.figures);
    return sumOfFigures(this.#own(request), figures, objects.length - answered.length);
  }

  #own({ seed }: FiguresRequest): Figures {
    const { size, subscriptions, channels } = this.#connections;
    return {
      ...this.#counters.figures(size),
      connections: size,
      subscriptions,
      requested: subscriptions - this.#connections.subscribers(EVERYONE),
      channels: hashesOf(channels, seed),
      objects: size > 0 ? 1 : 0,
      unreachable: 0,
      deepest: this.#peers.deepest,
      kept: this.#downstream.history?.size ?? 0,
    };
  }

  /** Adds the counters of an object that has unlinked. */
  takeOver(report: CounterReport): void {
    if (this.#service) this.#service.add(report, this.#downstream.size + this.#connections.size);
    else this.#counters.add(report.totals);
  }

  /** At the root of `all`: takes over what an object has counted that is not linked to it. */
  tally(totals: Totals): void {
    if (this.#service) this.#counters.add(totals);
  }

  /** Tells the root of `all` what would be forgotten otherwise. If that fails, so it is. */
  #tell(): void {
    if (this.#service || this.#connections.size > 0) return;
    const report = this.#counters.takeWorthwhile();
    if (report) this.#runtime.keep(this.#runtime.call(EVERYONE, "tally", report.totals).catch(() => {}));
  }

  /** The last connection has gone. Other objects hand over how many they had at most. */
  emptied(): void {
    this.#service?.note(this.#counters.takePeak() + this.#downstream.size);
  }

  /** Writes what has changed, now and then. */
  save(): void {
    // Who has no connection tells it when all is quiet: a row would have to be deleted then.
    if (this.#connections.size > 0 || this.#service) this.#counters.save();
  }

  /** Has what must not be forgotten outlive this object's time in memory. */
  settle(): void {
    this.#tell();
    this.#counters.settle();
    this.#service?.note(0);
  }
}
