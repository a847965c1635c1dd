/** What an object does for each call that comes to it; `runtime/calls.ts` says what they mean. */

import type {
  Announced,
  Announcement,
  Answering,
  Batch,
  BatchAnswer,
  Claim,
  Delivery,
  DeliveryAnswer,
  Described,
  Description,
  Figures,
  FiguresRequest,
  Filling,
  Kept,
  LinkAnswer,
  LinkRequest,
  Missing,
  ServiceFigures,
  Totals,
  UnlinkRequest,
} from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Room } from "../tree/capacity.ts";
import type { Downstream } from "../tree/downstream.ts";
import { BatchNumbers } from "../tree/forwarding.ts";
import type { Peers } from "../tree/peers.ts";
import type { Router } from "../tree/router.ts";
import type { Tree } from "../tree/topology.ts";
import type { Activity } from "./activity.ts";
import type { ClientLimit } from "./client-limit.ts";
import type { Flush } from "./flush.ts";
import type { Reporter } from "./reporter.ts";

interface AnswerParts {
  runtime: Runtime;
  peers: Pick<Peers, "forget">;
  activity: Activity;
  downstream: Downstream;
  router: Router;
  room: Room;
  reporter: Reporter;
  flush: Flush;
  /** Undefined where the number of connections is not limited. */
  limit: ClientLimit | undefined;
  tree: Tree;
  /** Sends what has been gathered for sockets, if that is much. */
  sendIfMuch: () => void;
}

export class Answers implements Answering {
  readonly #runtime: Runtime;
  readonly #peers: Pick<Peers, "forget">;
  readonly #activity: Activity;
  readonly #downstream: Downstream;
  readonly #router: Router;
  readonly #room: Room;
  readonly #reporter: Reporter;
  readonly #flush: Flush;
  readonly #limit: ClientLimit | undefined;
  readonly #sendIfMuch: () => void;
  readonly #tree: Tree;
  readonly #batches = new BatchNumbers();

  constructor(parts: AnswerParts) {
    this.#runtime = parts.runtime;
    this.#peers = parts.peers;
    this.#activity = parts.activity;
    this.#downstream = parts.downstream;
    this.#router = parts.router;
    this.#room = parts.room;
    this.#reporter = parts.reporter;
    this.#flush = parts.flush;
    this.#limit = parts.limit;
    this.#tree = parts.tree;
    this.#sendIfMuch = parts.sendIfMuch;
  }

  async link(request: LinkRequest): Promise<LinkAnswer> {
    this.#activity.note();
    const { from, region = "", still, vouched } = request;
    // An object that has crashed asks anew. What is delivered to it must not fail: it could not tell what it missed.
    if (!still) this.#peers.forget(from);
    if (!this.#router.isVouchedFor(vouched)) {
      const channel = channelOf(this.#runtime.name);
      this.#router.doubtOwn();
      while (!this.#router.isLive(channel)) await this.#router.join(channel);
    }
    if (this.#room.isChild(from)) {
      if (!still) this.#room.add(from, region);
    } else if (!still && this.#downstream.epochOf(from) === undefined && this.#room.isFull("links")) {
      const instead = this.#room.childForLink();
      return { instead, vouched: this.#downstream.vouchFor(instead) };
    }
    const answer = this.#downstream.link(request);
    this.#room.tellParent("links");
    return answer;
  }

  unlink(request: UnlinkRequest): undefined {
    this.#activity.note();
    this.#downstream.unlink(request);
  }

  /** Answers when what was delivered has been sent on, so that meanwhile more gathers for the next call. */
  async deliver(delivery: Delivery): Promise<DeliveryAnswer> {
    this.#activity.note();
    const answer = this.#router.deliver(delivery);
    this.#sendIfMuch();
    await this.#flush.done;
    return answer;
  }

  async forward(batch: Batch): Promise<BatchAnswer> {
    const newer = this.#batches.newerThan(batch);
    if (newer !== undefined) return { newer };
    this.#activity.note();
    const { keys, lines } = batch;
    const { position: before = 0 } = this.#downstream.log;
    if (keys) {
      const each = this.#router.takeEachOnce(keys, lines);
      return this.#whenStored(() => ({ before, positions: each.map((placed) => placed?.last) }));
    }
    const placed = this.#router.take(batch);
    return this.#whenStored(() => ({ before, last: placed.last }));
  }

  async announce(announcement: Announcement): Promise<Announced> {
    this.#activity.note();
    return this.#whenStored(this.#router.announceHere(announcement));
  }

  /** Positions are final when they are stored. */
  async #whenStored<T>(answer: () => T): Promise<T> {
    this.#sendIfMuch();
    if (this.#downstream.keepsHistory) await this.#flush.done;
    return answer();
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  recover(missing: Missing): Kept {
    return this.#downstream.recover(missing);
  }

  fill(filling: Filling): undefined {
    this.#room.note(filling);
  }

  claim(claim: Claim): number {
    this.#activity.note();
    return this.#limit?.claim(claim) ?? claim.wanted;
  }

  recount(): undefined {
    this.#activity.note();
    this.#limit?.recount();
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  figures(request: FiguresRequest): Promise<Figures> {
    return this.#reporter.figures(request);
  }

  serviceFigures(): Promise<ServiceFigures> {
    this.#activity.note();
    return this.#reporter.serviceFigures();
  }

  tally(totals: Totals): undefined {
    this.#activity.note();
    this.#reporter.tally(totals);
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  describe({ channel }: Described): Promise<Description> {
    return this.#tree.describe(channel);
  }
}
