/**
 * What an object does for each call; `runtime/calls.ts` says what calls mean. Calls that change nothing don't note an
 * event, so they don't keep the object in memory.
 */
import { assert } from "../assert.ts";
import type { Handlers } from "../runtime/calls.ts";
import { batchNumbers } from "../tree/forwarding.ts";
import { describerOf } from "../tree/topology.ts";
import type { UpkeepParts } from "./upkeep.ts";

export function handlersOf(parts: UpkeepParts): Handlers {
  return {
    ...linkHandlers(parts),
    ...announcementHandlers(parts),
    ...presenceHandlers(parts),
    ...serviceHandlers(parts),
  };
}

function linkHandlers(parts: UpkeepParts) {
  const { peers, schedule, router, drain, reporter } = parts;
  const { downstream, capacity, upstream } = router;
  const describe = describerOf(parts);
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
        const { object: instead } = capacity.choose("links");
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
    describe: ({ channel }) => describe(channel),
  } satisfies Partial<Handlers>;
}

function announcementHandlers({ schedule, router, drain, authority }: UpkeepParts) {
  const { channel } = router;
  const outdatedBy = batchNumbers();
  const checkAnnounced = () => assert(!authority, "only the server announces on a presence channel");
  /** Positions are final when they are stored. */
  const whenStored = async <T>(answer: () => T): Promise<T> => {
    drain.flushIfLarge();
    if (channel.hasHistory) await schedule.flushed;
    return answer();
  };
  return {
    async forward(batch) {
      checkAnnounced();
      const newer = outdatedBy(batch);
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
      checkAnnounced();
      schedule.note();
      return whenStored(router.announceHere(announcement));
    },
    recover: (missing) => channel.readMissed(missing),
  } satisfies Partial<Handlers>;
}

function presenceHandlers({ schedule, presence, authority }: UpkeepParts) {
  return {
    async present(report) {
      schedule.note();
      assert(authority !== undefined, "members are reported to the root of a presence channel");
      return authority.report(report);
    },
    restate(request) {
      schedule.note();
      presence.restate(request);
    },
    members() {
      assert(authority !== undefined, "the root of a presence channel is asked for members");
      return authority.members();
    },
  } satisfies Partial<Handlers>;
}

function serviceHandlers({ schedule, reporter, clientLimit }: UpkeepParts) {
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
  } satisfies Partial<Handlers>;
}
