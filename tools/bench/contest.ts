/** Puts servers under the same load in turns, so that a noisy machine treats them alike. */
import { Crowd, type Seating } from "./crowd.ts";
import type { Server } from "./peers/peer.ts";
import { type Load, type Run, run } from "./run.ts";

export interface Contender {
  name: string;
  server: Server;
  seating: Seating;
  load: Load;
}

/** Number of runs per contender, and the length of each. */
export interface Pace {
  rounds: number;
  milliseconds: number;
}

export interface Outcome {
  name: string;
  /** Medians of all runs; times are those of all runs together, in ascending order. */
  rate: number;
  /** The least and the greatest rate of a run. */
  spread: [number, number];
  /** The first contender's rate divided by this one's, per round; the median. */
  behind: number;
  latencies: Float64Array;
  rounds: Float64Array;
  serverCpu: number;
  generatorCpu: number;
}

const WARM_UP = { milliseconds: 300, window: 4 };

/** Crowds that stay connected, because several contests use them. */
export class Crowds {
  readonly #open = new Map<Server, Map<string, Crowd>>();

  async at(server: Server, seating: Seating): Promise<Crowd> {
    const crowds = this.#open.get(server) ?? new Map<string, Crowd>();
    this.#open.set(server, crowds);
    const crowd = crowds.get(seating.name) ?? (await Crowd.open(server, seating));
    crowds.set(seating.name, crowd);
    return crowd;
  }

  close(): void {
    for (const crowds of this.#open.values()) for (const crowd of crowds.values()) crowd.close();
    this.#open.clear();
  }
}

/**
 * Measures the contenders in turns.
 * @param apart measures one contender after the other, because their connections together would be too many
 * @param onStep called before each step with its description
 */
export async function contest(
  contenders: Contender[],
  crowds: Crowds,
  pace: Pace,
  apart: boolean,
  onStep: (step: string) => void,
): Promise<Outcome[]> {
  const runs = contenders.map((): Run[] => []);
  const prepare = async ({ name, server, seating, load }: Contender) => {
    onStep(`${name} connects and warms up`);
    const crowd = await crowds.at(server, seating);
    const warmUp = { ...load, window: Math.min(load.window, WARM_UP.window) };
    await run(server, crowd, warmUp, WARM_UP.milliseconds);
  };
  const measure = async ({ name, server, seating, load }: Contender, index: number, round: number) => {
    onStep(`${name}, run ${round + 1} of ${pace.rounds}`);
    const crowd = await crowds.at(server, seating);
    runs[index]?.push(await run(server, crowd, load, pace.milliseconds));
  };
  for (const group of apart ? contenders.map((contender) => [contender]) : [contenders]) {
    if (apart) crowds.close();
    for (const contender of group) await prepare(contender);
    for (let round = 0; round < pace.rounds; round++) {
      for (const contender of group) await measure(contender, contenders.indexOf(contender), round);
    }
  }
  if (apart) crowds.close();
  const first = runs[0] ?? [];
  return contenders.map(({ name }, index) => sum(name, runs[index] ?? [], first));
}

function sum(name: string, runs: Run[], first: Run[]): Outcome {
  const rates = runs.map(({ rate }) => rate);
  return {
    name,
    rate: median(rates),
    spread: [Math.min(...rates), Math.max(...rates)],
    behind: median(runs.map(({ rate }, round) => (first[round]?.rate ?? 0) / rate)),
    latencies: Float64Array.from(runs.flatMap(({ latencies }) => latencies)).sort(),
    rounds: Float64Array.from(runs.flatMap(({ rounds }) => rounds)).sort(),
    serverCpu: median(runs.map(({ serverCpu }) => serverCpu)),
    generatorCpu: median(runs.map(({ generatorCpu }) => generatorCpu)),
  };
}

/** Returns the middle one of some values. */
export function median(values: number[]): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/** Returns a quantile; NaN if there are too few values for it. */
export function quantile(sorted: Float64Array, part: number): number {
  const above = Math.floor(sorted.length * (1 - part));
  return above === 0 && part > 0.5 ? Number.NaN : (sorted[Math.floor(sorted.length * part)] ?? Number.NaN);
}
