/** Shows protocol lines as sent and received, each with its explanation. */

import type { Direction } from "./direction.ts";
import { find, make } from "./elements.ts";
import { explain } from "./explanations.ts";
import { List } from "./list.ts";

const SIGNS = { in: "<", out: ">" };

export class RawLines {
  readonly #list: List;

  constructor(details: HTMLDetailsElement) {
    this.#list = new List(find(details, ".lines", HTMLElement));
  }

  /** Adds a remark between the lines. */
  note(text: string): void {
    this.#list.note(() => make("p", "note", text));
  }

  add(direction: Direction, frame: string): void {
    for (const line of frame.replace(/\n$/, "").split("\n")) {
      this.#list.add(() => row(direction, line));
    }
  }
}

/** Creates the row of a line, with its explanation. */
function row(direction: Direction, line: string): HTMLElement {
  const shown = make("p", direction, `${SIGNS[direction]} `, make("bdi", "", line));
  return make("div", "", shown, make("p", "meaning", explain(direction, line)));
}
