/**
 * Messages that were rendered as events: most streams of a Worker have the same positions in the same channels and
 * receive the same lines, so they render the same text.
 */

/** What a stream rendered. */
export interface Rendered {
  /** The stream's channels, and its id before the lines. */
  channels: string;
  id: string;
  /** Messages only. */
  lines: string;
  events: string;
  /** The positions after the lines, and the id that they form. */
  positions: readonly (number | undefined)[];
  nextId: string;
}

/** Number of renderings that are remembered: as many channels may flush at about the same time. */
const REMEMBERED = 4;

export class SharedEvents {
  readonly #remembered: Rendered[] = [];
  #oldest = 0;

  /** Returns what another stream rendered from these lines in the same state; undefined if none did. */
  find(channels: string, id: string, lines: string): Rendered | undefined {
    for (const known of this.#remembered) {
      if (known.id === id && known.channels === channels && known.lines === lines) return known;
    }
    return undefined;
  }

  remember(rendered: Rendered): void {
    this.#remembered[this.#oldest] = rendered;
    this.#oldest = (this.#oldest + 1) % REMEMBERED;
  }
}
