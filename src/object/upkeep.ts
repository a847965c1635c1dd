/** Work that an object does without an event: when it has been quiet for a second, and when its alarm goes off. */
import type { Authority } from "../presence/authority.ts";
import type { Presence } from "../presence/presence.ts";
import type { CommandParts } from "../session/commands.ts";
import type { Peers } from "../tree/peers.ts";
import type { Alarm } from "./alarm.ts";
import type { ClientLimit } from "./client-limit.ts";
import type { Reporter } from "./reporter.ts";
import type { RevokedTokens } from "./revocations.ts";
import type { ObjectSchedule } from "./schedule.ts";

export interface UpkeepParts extends CommandParts {
  readonly alarm: Alarm;
  readonly schedule: ObjectSchedule;
  readonly peers: Peers;
  readonly reporter: Reporter;
  readonly clientLimit: ClientLimit | undefined;
  readonly presence: Presence;
  readonly revokedTokens: RevokedTokens;
  readonly authority: Authority | undefined;
}

export class Upkeep {
  readonly #parts: UpkeepParts;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /**
   * Handles the alarm: continues the work that a crash or an unreachable object left unfinished,
   * closes expired connections and deletes expired messages. The alarm is set again first, as a crash may follow.
   */
  alarmed(): void {
    const { runtime, alarm, schedule, router, tokens, outage, clientLimit, presence, authority, revokedTokens } =
      this.#parts;
    tokens.closeExpired();
    tokens.start();
    authority?.alarmed();
    this.#setAlarm();
    const { mayAsk } = outage;
    if (mayAsk && clientLimit?.isKnown === false) clientLimit.recount();
    const joined = mayAsk ? router.joinEveryone() : undefined;
    router.expire();
    if (router.downstream.isBusy) {
      alarm.mark();
      schedule.flush();
    }
    router.downstream.reportLosses();
    router.upstream.unlinks.retry();
    presence.retry();
    revokedTokens.proceed();
    if (joined || router.channel.hasHistory || runtime.alarmTime() !== undefined) schedule.note();
  }

  passed(milliseconds: number): boolean {
    const { counters, reporter, router, lifecycle, authority } = this.#parts;
    const isAsking = authority?.proceed() ?? false;
    counters.note("awake", milliseconds);
    reporter.save();
    const isAwaited = router.upstream.loseOverdue();
    return lifecycle.closeUnread() || isAwaited || isAsking;
  }

  /**
   * Persists the object's state. The alarm goes first, because rows record its time; the counters go last, because they
   * count rows. When nothing is due, releases empty storage, and the alarm with it.
   */
  settle(): void {
    const { runtime, alarm, schedule, connections, router, reporter, presence } = this.#parts;
    if (connections.size === 0) alarm.expireAt(Number.POSITIVE_INFINITY);
    const dueAt = this.#setAlarm();
    if (!router.settle()) schedule.stay();
    presence.settle();
    reporter.settle();
    if (!Number.isFinite(dueAt)) runtime.store.release();
    // Hold the object in memory until the write commits.
    runtime.keep(runtime.store.sync());
  }

  /**
   * Sets the alarm for the earliest due time. If storage refuses that while links are lost or members are about to leave, keeps the object in memory,
   * because the alarm alone would report that.
   * @returns when something is due, in milliseconds since 1970; infinite if nothing is
   */
  #setAlarm(): number {
    const { runtime, peers, alarm, schedule, router, outage, clientLimit, presence, authority, revokedTokens } =
      this.#parts;
    const { downstream, upstream } = router;
    if (router.hasEveryone && clientLimit?.isKnown !== false) outage.end();
    else outage.begin();
    const callsAt = peers.hasDeferred ? runtime.now() : Number.POSITIVE_INFINITY;
    const linksAt = Math.min(downstream.lossReportAt, upstream.unlinks.dueAt);
    const membersAt = Math.min(presence.dueAt, authority?.dueAt ?? Number.POSITIVE_INFINITY);
    const dueAt = Math.min(alarm.expiry, outage.askAgainAt, linksAt, callsAt, membersAt, revokedTokens.dueAt);
    void alarm.due(dueAt).then((isSet) => {
      if (!isSet && Number.isFinite(Math.min(downstream.lossReportAt, membersAt))) schedule.stay();
    });
    return dueAt;
  }
}
