/**
 * Remembers the positions to which roots have moved their newest messages because storage was full. If such a root
 * crashes, it continues with lower positions, and so a position below its floor reveals the crash. Floors are saved in a
 * socket's attachment while the object hibernates. An object without sockets has no links when it wakes.
 */
import type { Keeper } from "../runtime/runtime.ts";
import { isTally } from "../stats/tally.ts";

/** The most characters of channel names in the attachment, which also holds other state. */
const MAX_CHARACTERS = 1_000;

export class PositionFloors {
  readonly #keeper: Keeper;
  #byChannel = new Map<string, number>();

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** Restores the floors that were persisted when the object hibernated. */
  start(): void {
    const { kept } = this.#keeper;
    const floors = kept && "floors" in kept && isTally(kept.floors) ? kept.floors : {};
    this.#byChannel = new Map(Object.entries(floors));
  }

  /** Whether a position is below the channel's floor, so that its root must have lost positions. */
  isBelow(channel: string, position: number): boolean {
    return position < (this.#byChannel.get(channel) ?? 0);
  }

  /** Sets the floor of a channel whose root has moved its newest messages after a position. */
  raise(channel: string, position: number): void {
    this.#byChannel.delete(channel);
    this.#byChannel.set(channel, position);
    this.#save();
  }

  /** Deletes the floor of a channel, once its link has ended. */
  forget(channel: string): void {
    if (this.#byChannel.delete(channel)) this.#save();
  }

  /** Saves the newest floors, as many as there is room for. */
  #save(): void {
    const floors: Record<string, number> = {};
    let characters = 0;
    for (const [channel, position] of [...this.#byChannel].reverse()) {
      characters += channel.length;
      if (characters > MAX_CHARACTERS) break;
      floors[channel] = position;
    }
    this.#keeper.keep({ floors: characters > 0 ? floors : undefined });
  }
}
