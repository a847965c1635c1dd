/**
 * The figures of the whole service, which `info` shows. The root of `all`, to which every object
 * with sockets is linked, asks them all when somebody wants to know, and remembers the totals of
 * those whose link has ended.
 */
import type { Store } from "./links.ts";
import { add, type Farewell, type Figures, noTotals, type Totals } from "./stats.ts";

export interface ServiceFigures {
  /** Milliseconds since 1970 at which the service was first used. */
  since: number;
  totals: Totals;
  /** The most connections at one time: the sum of what objects that overlapped each saw at most. */
  peak: number;
  connections: number;
  channels: number;
  subscriptions: number;
  /** Subscriptions other than to `all`. */
  requested: number;
  /** Objects that hold connections. */
  objects: number;
  /** Objects that did not answer; nothing of theirs is counted. */
  unreachable: number;
}

/** An object's figures, and the epoch of the link that the root has on record for it, if it is linked. */
export interface Answer {
  epoch?: number | undefined;
  figures: Figures;
}

interface Remembered {
  since: number;
  peak: number;
  /** Of objects whose link has ended. */
  totals: Totals;
}

const CENSUS = "census";

/** What the root of `all` remembers of the service. */
export class Census {
  readonly #store: Store;
  readonly #remembered: Remembered;

  constructor(store: Store, now: number) {
    this.#store = store;
    this.#remembered = store.get<Remembered>(CENSUS) ?? { since: now, peak: 0, totals: noTotals() };
  }

  /** Notes that the service is in use, and that it had `connections` at one time. */
  note(connections: number): void {
    if (connections <= this.#remembered.peak && this.#store.get(CENSUS) !== undefined) return;
    this.#remembered.peak = Math.max(this.#remembered.peak, connections);
    this.#write();
  }

  /** Takes over the totals of an object whose link has ended, while `others` connections were there. */
  ended({ totals, peak }: Farewell, others: number): void {
    add(this.#remembered.totals, totals);
    this.#remembered.peak = Math.max(this.#remembered.peak, peak + others);
    this.#write();
  }

  /** Adds up the answers of all objects; `unreachable` more did not answer. */
  sum(answers: Answer[], unreachable: number): ServiceFigures {
    const totals = { ...this.#remembered.totals };
    const channels = new Set<string>();
    const service = { connections: 0, subscriptions: 0, requested: 0, objects: 0 };
    let peak = 0;
    for (const { epoch, figures } of answers) {
      add(totals, figures.totals);
      // A farewell whose link is still on record has not been taken over yet.
      if (figures.farewell && figures.farewell.period === epoch) add(totals, figures.farewell.totals);
      peak += figures.peak;
      service.connections += figures.connections;
      service.subscriptions += figures.subscriptions;
      service.requested += figures.requested;
      if (figures.connections > 0) service.objects += 1;
      for (const channel of figures.channels) channels.add(channel);
    }
    if (peak > this.#remembered.peak) {
      this.#remembered.peak = peak;
      this.#write();
    }
    const { since } = this.#remembered;
    return {
      ...service,
      since,
      totals,
      peak: this.#remembered.peak,
      channels: channels.size,
      unreachable,
    };
  }

  #write(): void {
    this.#store.put(CENSUS, this.#remembered);
  }
}

/** Hibernatable sockets that one object may hold, by the platform's documentation. */
const SOCKETS_OF_AN_OBJECT = 32_768;

/** The lines that answer `info`: those of the original server, then our own. */
export function formatInfo(figures: ServiceFigures, now: number): string {
  const { totals } = figures;
  const rows: [string, string | number][] = [
    ["uptime", formatDuration(now - figures.since)],
    ["client-limit", 0],
    ["limit rejected connections", totals.rejected],
    ["rlimits", `Soft=${SOCKETS_OF_AN_OBJECT} Hard=${SOCKETS_OF_AN_OBJECT}`],
    ["max connections", figures.peak],
    ["current connections", figures.connections],
    ["current channels", figures.channels],
    ["current subscriptions", figures.subscriptions],
    ["user-requested subscriptions", figures.requested],
    ["total connections", totals.connections],
    ["total announcements", totals.announcements],
    ["total messages", totals.messages],
    ["total subscribes", totals.subscribes],
    ["total unsubscribes", totals.unsubscribes],
    ["total pings", totals.pings],
    ["objects", figures.objects],
    ["unreachable objects", figures.unreachable],
  ];
  return rows.map(([key, value]) => `${key}: ${value}\n`).join("");
}

function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h ${minutes % 60}m ${seconds % 60}s`;
}
