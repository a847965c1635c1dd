/** How often everyone is asked for the figures of the service, as anyone may want to know at any time. */
import type { ServiceFigures } from "../links/messages.ts";

/** Objects that are asked whenever somebody wants to know. */
const ALWAYS_ASKED = 100;
/** Of more objects, what they said is told again for so long, in milliseconds for each of them. */
const TOLD_FOR = 10;

export class Polling {
  readonly #ask: () => Promise<ServiceFigures>;
  readonly #now: () => number;
  /** Ends when the question that goes round now is answered. */
  #current: Promise<unknown> = Promise.resolve();
  /** The question that goes round after that. */
  #next: Promise<ServiceFigures> | undefined;
  #told: { figures: ServiceFigures; until: number } | undefined;

  /** @param ask asks everyone */
  constructor(ask: () => Promise<ServiceFigures>, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** One question goes round at a time; all who want to know meanwhile share the answer to the next one. */
  figures(): Promise<ServiceFigures> {
    if (this.#told && this.#now() < this.#told.until) return Promise.resolve(this.#told.figures);
    this.#next ??= this.#askNext();
    return this.#next;
  }

  async #askNext(): Promise<ServiceFigures> {
    await this.#current;
    this.#next = undefined;
    const asking = this.#ask();
    this.#current = asking.catch(() => {});
    const figures = await asking;
    const objects = figures.objects + figures.unreachable;
    if (objects > ALWAYS_ASKED) this.#told = { figures, until: this.#now() + objects * TOLD_FOR };
    return figures;
  }
}
