/** A channel's newest position that storage refused, saved in a socket's attachment while the object hibernates. */
import { isNumber } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";

export class UnstoredPosition {
  readonly #keeper: Keeper;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** The position saved before hibernation; undefined if storage has it, or if no socket could hold it. */
  get position(): number | undefined {
    const { kept } = this.#keeper;
    return kept && "position" in kept && isNumber(kept.position) ? kept.position : undefined;
  }

  /**
   * Saves a position, or clears it.
   * @param position undefined if storage has the newest position
   * @returns whether nothing is left to save
   */
  save(position: number | undefined): boolean {
    return position === this.position || this.#keeper.keep({ position }) || position === undefined;
  }
}
