/** A list that grows as fast as anything comes: of all, the page holds the newest, and it is drawn once a frame, or less. */

import { make } from "./elements.ts";

/** Rows that the page holds. */
const MOST = 500;

/** After a drawing of more rows than that there is none for a while, in milliseconds: the page has more to do. */
const MANY = 100;
const PAUSE = 250;

export class List {
  /** All that ever were added. */
  count = 0;
  readonly #rows = make("div", "rows");
  readonly #drawn: (count: number) => void;
  #waiting: (() => HTMLElement)[] = [];
  #isDue = false;
  #pause = 0;

  /**
   * @param element whose style keeps it at the end while nobody scrolls: to look where it is would take a layout
   * @param drawn called after each drawing, with the count of all
   */
  constructor(element: HTMLElement, drawn: (count: number) => void = () => {}) {
    element.append(this.#rows);
    this.#drawn = drawn;
    // So that it can be scrolled by the keyboard.
    element.tabIndex = 0;
  }

  /** @param row makes the row, if it is ever drawn */
  add(row: () => HTMLElement): void {
    this.count += 1;
    this.note(row);
  }

  /** Adds a row that does not count. */
  note(row: () => HTMLElement): void {
    this.#waiting.push(row);
    // Twice as many, so that not each one has to be moved.
    if (this.#waiting.length > 2 * MOST) this.#waiting = this.#waiting.slice(-MOST);
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => requestAnimationFrame(() => this.#draw()), this.#pause);
  }

  #draw(): void {
    this.#isDue = false;
    const rows = this.#waiting.splice(0).slice(-MOST);
    this.#pause = rows.length > MANY ? PAUSE : 0;
    this.#rows.append(...rows.map((row) => row()));
    while (this.#rows.childElementCount > MOST) this.#rows.firstElementChild?.remove();
    this.#drawn(this.count);
  }
}
