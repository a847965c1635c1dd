/**
 * The figures of the whole service, which `info` shows. The root of `all`, to which every object
 * with sockets is linked, asks them all when somebody wants to know, and remembers the totals of
 * those whose link has ended.
 */
import type { Store } from "./links.ts";
import { add, type Farewell, type Figures, noTotals, type Totals } from "./stats.ts";

export interface ServiceFigures extends Omit<Figures, "farewell" | "channels"> {
  /** Milliseconds since 1970 at which the service was first used. */
  since: number;
  /** How many channels have subscribers. */
  channels: number;
}

/** An object's figures, and the epoch of the link on record for it. */
export interface Answer {
  epoch: number | undefined;
  figures: Figures;
}

/** Adds what linked objects say of themselves to what an object says of itself. */
export function sum(own: Figures, answers: Answer[], unreachable: number): Figures {
  const all = { ...own, totals: { ...own.totals }, unreachable: own.unreachable + unreachable };
  const channels = new Set(own.channels);
  for (const { epoch, figures } of answers) {
    add(all.totals, figures.totals);
    // A farewell whose link is still on record has not been taken over yet.
    if (figures.farewell && figures.farewell.period === epoch) add(all.totals, figures.farewell.totals);
    all.peak += figures.peak;
    all.connections += figures.connections;
    all.subscriptions += figures.subscriptions;
    all.requested += figures.requested;
    all.objects += figures.objects;
    all.unreachable += figures.unreachable;
    for (const channel of figures.channels) channels.add(channel);
  }
  return { ...all, channels: [...channels] };
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

  /** What the whole service says of itself, given what all that is linked says together. */
  of(figures: Figures): ServiceFigures {
    this.note(figures.peak);
    const totals = { ...this.#remembered.totals };
    add(totals, figures.totals);
    const { since, peak } = this.#remembered;
    return { ...figures, since, totals, peak, channels: figures.channels.length };
  }

  #write(): void {
    this.#store.put(CENSUS, this.#remembered);
  }
}

/** Hibernatable sockets that one object may hold, by the platform's documentation. */
const SOCKETS_OF_AN_OBJECT = 32_768;

/** The lines that answer `info`: those of the original server, then our own. */
export function formatInfo(figures: ServiceFigures, clientLimit: number, now: number): string {
  const { totals } = figures;
  const rows: [string, string | number][] = [
    ["uptime", formatDuration(now - figures.since)],
    ["client-limit", clientLimit],
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
