/** The newest position of a channel, where storage has refused it: kept with a socket while its object sleeps. */
import { isNumber } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";

export class UnstoredPosition {
  readonly #keeper: Keeper;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** The position that was kept when the object had settled; undefined if storage has it, or no socket does. */
  get position(): number | undefined {
    const { kept } = this.#keeper;
    return kept && "position" in kept && isNumber(kept.position) ? kept.position : undefined;
  }

  /** Keeps a position, or none where storage has it; returns whether it is kept. */
  save(position: number | undefined): boolean {
    return position === this.position || this.#keeper.keep({ position }) || position === undefined;
  }
}
