/** A fast-growing list: it renders only its newest rows, at most once per frame. */

import { make } from "./elements.ts";

/** Rendered rows. */
const MAX_ROWS = 500;

/** After rendering more rows than this, the list pauses for PAUSE milliseconds, so that the page stays responsive. */
const MANY = 100;
const PAUSE = 250;

export class List {
  /** The number of rows ever added, without notes. */
  count = 0;
  readonly #rows = make("div", "rows");
  readonly #onDraw: (count: number) => void;
  #undrawn: (() => HTMLElement)[] = [];
  #isDue = false;
  #pause = 0;

  /**
   * @param element the container; CSS keeps it scrolled to the end, as reading the scroll position would force a layout
   * @param onDraw called after each rendering with the total count
   */
  constructor(element: HTMLElement, onDraw: (count: number) => void = () => {}) {
    element.append(this.#rows);
    this.#onDraw = onDraw;
    // Makes it scrollable by keyboard.
    element.tabIndex = 0;
  }

  /** @param row creates the row, if it is ever rendered */
  add(row: () => HTMLElement): void {
    this.count += 1;
    this.note(row);
  }

  /** Adds a row without counting it. */
  note(row: () => HTMLElement): void {
    this.#undrawn.push(row);
    // Trim only at twice the length, so that most calls don't copy the array.
    if (this.#undrawn.length > 2 * MAX_ROWS) this.#undrawn = this.#undrawn.slice(-MAX_ROWS);
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => requestAnimationFrame(() => this.#draw()), this.#pause);
  }

  #draw(): void {
    this.#isDue = false;
    const rows = this.#undrawn.splice(0).slice(-MAX_ROWS);
    this.#pause = rows.length > MANY ? PAUSE : 0;
    this.#rows.append(...rows.map((row) => row()));
    while (this.#rows.childElementCount > MAX_ROWS) this.#rows.firstElementChild?.remove();
    this.#onDraw(this.count);
  }
}
