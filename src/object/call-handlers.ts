/** What an object does for each call; `runtime/calls.ts` says what calls mean. */
import type {
  AnnounceAnswer,
  Announcement,
  Batch,
  BatchAnswer,
  CapacityReport,
  ConnectionClaim,
  Delivery,
  DeliveryAnswer,
  Figures,
  FiguresRequest,
  Handlers,
  LinkAnswer,
  LinkRequest,
  MissedAnswer,
  MissedRequest,
  ServiceFigures,
  Totals,
  TreeDescription,
  TreeRequest,
  UnlinkRequest,
} from "../runtime/calls.ts";
import type { Drain } from "../session/drain.ts";
import { BatchNumbers } from "../tree/forwarding.ts";
import type { Peers } from "../tree/peers.ts";
import type { Router } from "../tree/router.ts";
import type { Topology } from "../tree/topology.ts";
import type { ClientLimit } from "./client-limit.ts";
import type { Reporter } from "./reporter.ts";
import type { ObjectSchedule } from "./schedule.ts";

interface CallHandlerParts {
  peers: Pick<Peers, "forget">;
  schedule: ObjectSchedule;
  router: Router;
  drain: Drain;
  reporter: Reporter;
  topology: Topology;
  /** Undefined if the number of connections is unlimited. */
  clientLimit: ClientLimit | undefined;
}

/** Calls that change nothing don't note an event, so they don't keep the object in memory. */
export class CallHandlers implements Handlers {
  readonly #parts: CallHandlerParts;
  readonly #batches = new BatchNumbers();

  constructor(parts: CallHandlerParts) {
    this.#parts = parts;
  }

  async link(request: LinkRequest): Promise<LinkAnswer> {
    const { peers, schedule, router } = this.#parts;
    const { downstream, capacity } = router;
    schedule.note();
    const { from, region = "", still, vouched } = request;
    // The object may have crashed. A delivery to it must not fail, as it couldn't tell what it missed.
    if (!still) peers.forget(from);
    if (!router.isVouchedFor(vouched)) await router.confirmOwn();
    if (capacity.isChild(from)) {
      if (!still) capacity.add(from, region);
    } else if (!still && downstream.epochOf(from) === undefined && capacity.isFull("links")) {
      const instead = capacity.childForLink();
      return { instead, vouched: downstream.vouchFor(instead) };
    }
    const answer = downstream.link(request);
    capacity.report("links");
    return answer;
  }

  unlink(request: UnlinkRequest): undefined {
    this.#parts.schedule.note();
    this.#parts.router.downstream.unlink(request);
    if (request.counters) this.#parts.reporter.add(request.counters);
  }

  /** Answers when the messages have been sent on, so that later ones gather for the next call. */
  async deliver(delivery: Delivery): Promise<DeliveryAnswer> {
    const { schedule, router, drain } = this.#parts;
    schedule.note();
    const answer = router.deliver(delivery);
    drain.flushIfLarge();
    await schedule.flushed;
    return answer;
  }

  async forward(batch: Batch): Promise<BatchAnswer> {
    const { schedule, router } = this.#parts;
    const newer = this.#batches.outdatedBy(batch);
    if (newer !== undefined) return { newer };
    schedule.note();
    const { keys, lines } = batch;
    const { position: before = 0 } = router.channel;
    if (keys) {
      const each = router.appendEachOnce(keys, lines);
      return this.#whenStored(() => ({ before, positions: each.map((appended) => appended?.last) }));
    }
    const appended = router.append(batch);
    return this.#whenStored(() => ({ before, last: appended.last }));
  }

  async announce(announcement: Announcement): Promise<AnnounceAnswer> {
    this.#parts.schedule.note();
    return this.#whenStored(this.#parts.router.announceHere(announcement));
  }

  /** Positions are final when they are stored. */
  async #whenStored<T>(answer: () => T): Promise<T> {
    const { schedule, router, drain } = this.#parts;
    drain.flushIfLarge();
    if (router.channel.hasHistory) await schedule.flushed;
    return answer();
  }

  recover(missing: MissedRequest): MissedAnswer {
    return this.#parts.router.channel.readMissed(missing);
  }

  fill(filling: CapacityReport): undefined {
    this.#parts.router.capacity.note(filling);
  }

  claim(claim: ConnectionClaim): number {
    this.#parts.schedule.note();
    return this.#parts.clientLimit?.claim(claim) ?? claim.wanted;
  }

  recount(): undefined {
    this.#parts.schedule.note();
    this.#parts.clientLimit?.recount();
  }

  figures(request: FiguresRequest): Promise<Figures> {
    return this.#parts.reporter.figures(request);
  }

  serviceFigures(): Promise<ServiceFigures> {
    this.#parts.schedule.note();
    return this.#parts.reporter.serviceFigures();
  }

  tally(totals: Totals): undefined {
    this.#parts.schedule.note();
    this.#parts.reporter.tally(totals);
  }

  describe({ channel }: TreeRequest): Promise<TreeDescription> {
    return this.#parts.topology.describe(channel);
  }
}
