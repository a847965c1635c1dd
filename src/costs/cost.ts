/** The costs that the platform bills. */

export interface Cost {
  /**
   * Rows written, by their keys up to the colon; `alarm` counts alarms set, and `everything` complete deletions.
   */
  rows: Counts;
  /** Requests to objects, by kind: `upgrade`, `alarm`, `message` from a client, or the kind of a call. */
  requests: Counts;
  /** Seconds that objects are awake, over all objects. */
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

/** Divides a cost by a number. */
export function each(count: number, cost: Cost): Cost {
  return changed(cost, (amount) => amount / count);
}

function changed({ rows, requests, seconds }: Cost, change: (amount: number) => number): Cost {
  const all = (counts: Counts) =>
    Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, change(count)]));
  return { rows: all(rows), requests: all(requests), seconds: change(seconds) };
}

/** Subtracts a cost. */
export function minus(cost: Cost, other: Cost): Cost {
  return plus(cost, times(-1, other));
}

/** Returns the total of rows. */
export function written({ rows }: Cost): number {
  return Object.values(rows).reduce((sum, count) => sum + count, 0);
}

/** Returns the billed requests. */
export function requested({ requests }: Cost): number {
  return Object.entries(requests).reduce(
    (sum, [kind, count]) => sum + (kind === "message" ? count / MESSAGES_A_REQUEST : count),
    0,
  );
}

/** Adds counts, and drops zeros. */
function sumOf(all: Counts[]): Counts {
  const sum = new Map<string, number>();
  for (const [name, count] of all.flatMap((counts) => Object.entries(counts))) {
    sum.set(name, (sum.get(name) ?? 0) + count);
  }
  return Object.fromEntries([...sum].filter(([, count]) => count !== 0).sort());
}
