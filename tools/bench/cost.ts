/** What the platform bills. */

export interface Cost {
  /**
   * Rows written, by their keys up to a colon; `alarm` is the setting of one, `everything` that storage was given
   * back.
   */
  rows: Counts;
  /** Requests to objects, by what they are: `upgrade`, `alarm`, `message` from a client, or the kind of a call. */
  requests: Counts;
  /** That objects are awake, each by itself. */
  seconds: number;
}

export type Counts = Record<string, number>;

/** Messages from clients that are billed as one request. */
const MESSAGES_A_REQUEST = 20;

export function plus(...costs: Cost[]): Cost {
  return {
    rows: sumOf(costs.map(({ rows }) => rows)),
    requests: sumOf(costs.map(({ requests }) => requests)),
    seconds: costs.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

export function times(factor: number, cost: Cost): Cost {
  return changed(cost, (amount) => factor * amount);
}

/** What one of so many costs that cost this together. */
export function each(count: number, cost: Cost): Cost {
  return changed(cost, (amount) => amount / count);
}

function changed({ rows, requests, seconds }: Cost, change: (amount: number) => number): Cost {
  const all = (counts: Counts) =>
    Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, change(count)]));
  return { rows: all(rows), requests: all(requests), seconds: change(seconds) };
}

/** What is there of one and not of the other. */
export function minus(cost: Cost, other: Cost): Cost {
  return plus(cost, times(-1, other));
}

/** Rows, of whichever keys. */
export function written({ rows }: Cost): number {
  return Object.values(rows).reduce((sum, count) => sum + count, 0);
}

/** Requests, as they are billed. */
export function requested({ requests }: Cost): number {
  return Object.entries(requests).reduce(
    (sum, [kind, count]) => sum + (kind === "message" ? count / MESSAGES_A_REQUEST : count),
    0,
  );
}

/** What there is none of is left out. */
function sumOf(all: Counts[]): Counts {
  const sum = new Map<string, number>();
  for (const [name, count] of all.flatMap((counts) => Object.entries(counts))) {
    sum.set(name, (sum.get(name) ?? 0) + count);
  }
  return Object.fromEntries([...sum].filter(([, count]) => count !== 0).sort());
}
