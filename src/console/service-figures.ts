/** The figures of the whole service, from `/-/info`. */

export interface ServiceFigures {
  connections: number;
  channels: number;
  subscriptions: number;
  /** Messages announced, and messages sent to subscribers, since the service was first used. */
  announcements: number;
  messages: number;
  objects: number;
  unreachable: number;
}

/** Returns the figures in a response; undefined if it isn't Fanout's. */
export function figuresIn(value: unknown): ServiceFigures | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const figures = new Map(Object.entries(value));
  const number = (name: string) => {
    const figure: unknown = figures.get(name);
    return typeof figure === "number" ? figure : Number.NaN;
  };
  const found = {
    connections: number("current connections"),
    channels: number("current channels"),
    subscriptions: number("current subscriptions"),
    announcements: number("total announcements"),
    messages: number("total messages"),
    objects: number("objects"),
    unreachable: number("unreachable objects"),
  };
  return Object.values(found).every(Number.isFinite) ? found : undefined;
}

/** Messages per second. */
export interface Rates {
  messages: number;
  announcements: number;
}

/**
 * Returns the rates between two requests; undefined if the totals don't allow that: they shrink while an object is
 * unreachable, and jump when it is back.
 */
export function ratesBetween(before: ServiceFigures, after: ServiceFigures, seconds: number): Rates | undefined {
  const messages = (after.messages - before.messages) / seconds;
  const announcements = (after.announcements - before.announcements) / seconds;
  const isComparable = seconds > 0 && before.unreachable === after.unreachable;
  return isComparable && messages >= 0 && announcements >= 0 ? { messages, announcements } : undefined;
}
