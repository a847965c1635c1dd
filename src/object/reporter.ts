/** Reports what this object does and, at the root of `all`, what the whole service does. */
import { EVERYONE } from "../protocol/channels.ts";
import type { CounterReport, Figures, ServiceFigures, Totals } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { SessionParts } from "../session/parts.ts";
import { hashesOf } from "../stats/distinct.ts";
import { formatInfo } from "../stats/info.ts";
import { polling } from "../stats/polling.ts";
import { Service } from "../stats/service.ts";
import { sumOfFigures } from "../stats/totals.ts";
import type { Peers } from "../tree/peers.ts";

interface ReporterParts extends SessionParts {
  readonly peers: Pick<Peers, "deepest">;
  readonly presence: SessionParts["presence"] & { readonly size: number };
}

export class Reporter {
  readonly #parts: ReporterParts;
  /** Returns the figures of the whole service. Only the root of `all` has them. */
  readonly serviceFigures: () => Promise<ServiceFigures>;
  /** Only at the root of `all`. */
  readonly #service: Service | undefined;
  /** The seed of the hashes of channel names, while this object is in memory. */
  #seed: number | undefined;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
    const { name, store, now, random } = parts.runtime;
    if (name === EVERYONE) this.#service = new Service(store);
    const objectsOf = ({ objects, unreachable }: ServiceFigures) => objects + unreachable;
    const poll = async () => {
      if (!this.#service) throw new Error("only the root of `all` has the figures of the service");
      this.#seed ??= Math.floor(random() * 2 ** 32);
      return this.#service.figures(await this.figures(this.#seed));
    };
    this.serviceFigures = polling(poll, objectsOf, now);
  }

  /** Restores the service's figures. */
  start(): void {
    this.#service?.start(this.#parts.runtime.now());
  }

  /** Returns the lines that answer `info`. */
  async info(): Promise<string> {
    const { runtime, limits } = this.#parts;
    const figures = await (this.#service ? this.serviceFigures() : runtime.call(EVERYONE, "serviceFigures", undefined));
    return formatInfo(figures, limits.clientLimit, runtime.now());
  }

  /** Returns this object's figures, in the tree of `all` with those of the objects linked to it. */
  async figures(seed: number): Promise<Figures> {
    const { runtime, router } = this.#parts;
    if (channelOf(runtime.name) !== EVERYONE) return this.#own(seed);
    const objects = [...router.downstream.objects];
    const asked = objects.map(async (object) => {
      const epoch = router.downstream.linkTo(object)?.epoch;
      return { object, epoch, figures: await runtime.call(object, "figures", { seed }) };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    // An object that has unlinked since it was asked has reported its counters.
    const linked = answered.filter(({ object, epoch }) => epoch === router.downstream.linkTo(object)?.epoch);
    const figures = linked.map((answer) => answer.figures);
    return sumOfFigures(this.#own(seed), figures, objects.length - answered.length);
  }

  #own(seed: number): Figures {
    const { connections, counters, peers, router, presence } = this.#parts;
    const { size, subscriptions } = connections;
    return {
      ...counters.figures(size),
      connections: size,
      subscriptions: subscriptions.count,
      requested: subscriptions.count - connections.subscribers(EVERYONE),
      channels: hashesOf(subscriptions.channels, seed),
      objects: size > 0 ? 1 : 0,
      unreachable: 0,
      deepest: peers.deepest,
      members: presence.size,
      kept: router.channel.history?.index.size ?? 0,
    };
  }

  /** Adds the counters of an object that has unlinked. */
  add(report: CounterReport): void {
    const { router, connections, counters } = this.#parts;
    if (this.#service) this.#service.add(report, router.downstream.size + connections.size);
    else counters.add(report.totals);
  }

  /** At the root of `all`: adds the counters of an object that isn't linked to it, or of a Worker. */
  tally(totals: Totals): void {
    if (this.#service) this.#parts.counters.add(totals);
  }

  /** The last connection has closed. At the root of `all`, notes how many the service had; others report it. */
  emptied(): void {
    this.#service?.note(this.#parts.counters.takePeak() + this.#parts.router.downstream.size);
  }

  /** Stores counters that have changed, at intervals. */
  save(): void {
    // Without connections they are reported when the object settles: a row would be deleted then.
    if (this.#parts.connections.size > 0 || this.#service) this.#parts.counters.save();
  }

  /** Has counters outlive this time in memory. */
  settle(): void {
    const { runtime, connections, counters } = this.#parts;
    // The counters of an object without connections are reported, if they are worth a call. They are lost if it fails.
    const report = this.#service || connections.size > 0 ? undefined : counters.takeWorthwhile();
    if (report) runtime.keep(runtime.call(EVERYONE, "tally", report.totals).catch(() => {}));
    counters.settle();
    this.#service?.note(0);
  }
}
