/**
 * Positions that the numbers of channels have passed for certain, where their roots gave new numbers while storage took
 * no rows: a root that crashes then goes on with lower ones. They are kept with a socket; without one, this object has
 * no link when it wakes.
 */
import { isNumber, isRecord } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";

/** Characters of channels' names that are kept, so that there is room for the rest of what an object keeps. */
const MOST_CHARACTERS = 1_000;

export class PositionFloors {
  readonly #keeper: Keeper;
  #byChannel = new Map<string, number>();

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** Restores the floors that were persisted when the object hibernated. */
  start(): void {
    const { kept } = this.#keeper;
    const floors = kept && "floors" in kept && isRecord(kept.floors) ? kept.floors : {};
    this.#byChannel = new Map(Object.entries(floors).filter(isFloor));
  }

  /** Whether a channel is known to have passed a position. */
  isBeyond(channel: string, position: number): boolean {
    return position < (this.#byChannel.get(channel) ?? 0);
  }

  /** A channel's numbers begin anew after a position. */
  raise(channel: string, position: number): void {
    this.#byChannel.delete(channel);
    this.#byChannel.set(channel, position);
    this.#keep();
  }

  /** The link to a channel has ended. */
  forget(channel: string): void {
    if (this.#byChannel.delete(channel)) this.#keep();
  }

  /** Keeps the newest, as many as there is room for. */
  #keep(): void {
    const floors: Record<string, number> = {};
    let characters = 0;
    for (const [channel, position] of [...this.#byChannel].reverse()) {
      characters += channel.length;
      if (characters > MOST_CHARACTERS) break;
      floors[channel] = position;
    }
    this.#keeper.keep({ floors: characters > 0 ? floors : undefined });
  }
}

function isFloor(entry: [string, unknown]): entry is [string, number] {
  return isNumber(entry[1]);
}
