/** A list that grows as fast as anything comes: of all, the page holds the newest, and it is drawn once a frame. */

/** Rows that the page holds. */
const MOST = 500;

export class List {
  /** All that ever were added. */
  count = 0;
  readonly #element: HTMLElement;
  readonly #drawn: (count: number) => void;
  #waiting: (() => HTMLElement)[] = [];
  #isDue = false;

  /** @param drawn called after each drawing, with the count of all */
  constructor(element: HTMLElement, drawn: (count: number) => void = () => {}) {
    this.#element = element;
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
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#isDue = false;
    const element = this.#element;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 8;
    const rows = this.#waiting.splice(0).slice(-MOST);
    element.append(...rows.map((row) => row()));
    while (element.childElementCount > MOST) element.firstElementChild?.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
    this.#drawn(this.count);
  }
}
