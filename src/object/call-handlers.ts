/**
 * What an object does for each call; `runtime/calls.ts` says what calls mean. Calls that change nothing don't note an
 * event, so they don't keep the object in memory.
 */
import type { Handlers } from "../runtime/calls.ts";
import type { Drain } from "../session/drain.ts";
import { BatchNumbers } from "../tree/forwarding.ts";
import type { Topology } from "../tree/topology.ts";
import type { UpkeepParts } from "./upkeep.ts";

interface HandlerParts extends UpkeepParts {
  readonly drain: Drain;
  readonly topology: Topology;
}

export function handlersOf(parts: HandlerParts): Handlers {
  return { ...linkHandlers(parts), ...announcementHandlers(parts), ...serviceHandlers(parts) };
}

type LinkCalls = "link" | "unlink" | "deliver" | "fill" | "describe";

function linkHandlers({ peers, schedule, router, drain, reporter, topology }: HandlerParts): Pick<Handlers, LinkCalls> {
  const { downstream, capacity, upstream } = router;
  return {
    async link(request) {
      schedule.note();
      const { from, region = "", still, vouched } = request;
      // The object may have crashed. A delivery to it must not fail, as it couldn't tell what it missed.
      if (!still) peers.forget(from);
      if (!router.isVouchedFor(vouched)) await router.confirmOwn();
      if (capacity.isChild(from)) {
        if (!still) capacity.add(from, region);
      } else if (!still && !downstream.linkTo(from) && capacity.isFull("links")) {
        const instead = capacity.childForLink();
        return { instead, vouched: downstream.linkTo(instead)?.vouched };
      }
      const answer = downstream.link(request);
      capacity.report("links");
      return answer;
    },
    unlink(request) {
      schedule.note();
      downstream.unlink(request);
      if (request.counters) reporter.add(request.counters);
    },
    /** Answers when the messages have been sent on, so that later ones gather for the next call. */
    async deliver(delivery) {
      schedule.note();
      const answer = upstream.deliver(delivery);
      drain.flushIfLarge();
      await schedule.flushed;
      return answer;
    },
    fill(report) {
      capacity.note(report);
    },
    describe: ({ channel }) => topology.describe(channel),
  };
}

type AnnouncementCalls = "forward" | "announce" | "recover";

function announcementHandlers({ schedule, router, drain }: HandlerParts): Pick<Handlers, AnnouncementCalls> {
  const { channel } = router;
  const batches = new BatchNumbers();
  /** Positions are final when they are stored. */
  const whenStored = async <T>(answer: () => T): Promise<T> => {
    drain.flushIfLarge();
    if (channel.hasHistory) await schedule.flushed;
    return answer();
  };
  return {
    async forward(batch) {
      const newer = batches.outdatedBy(batch);
      if (newer !== undefined) return { newer };
      schedule.note();
      const { keys, lines } = batch;
      const { position: before = 0 } = channel;
      if (keys) {
        const each = router.appendEachOnce(keys, lines);
        return whenStored(() => ({ before, positions: each.map((appended) => appended?.last) }));
      }
      const appended = router.append(batch);
      return whenStored(() => ({ before, last: appended.last }));
    },
    async announce(announcement) {
      schedule.note();
      return whenStored(router.announceHere(announcement));
    },
    recover: (missing) => channel.readMissed(missing),
  };
}

type ServiceCalls = "claim" | "recount" | "figures" | "serviceFigures" | "tally";

function serviceHandlers({ schedule, reporter, clientLimit }: HandlerParts): Pick<Handlers, ServiceCalls> {
  return {
    claim(claim) {
      schedule.note();
      return clientLimit?.claim(claim) ?? claim.wanted;
    },
    recount() {
      schedule.note();
      clientLimit?.recount();
    },
    figures: ({ seed }) => reporter.figures(seed),
    serviceFigures() {
      schedule.note();
      return reporter.serviceFigures();
    },
    tally(totals) {
      schedule.note();
      reporter.tally(totals);
    },
  };
}
