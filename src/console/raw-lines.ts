/** Shows protocol lines as sent and received; each expands to its explanation. */
import { find, make } from "./elements.ts";
import { explain } from "./explanations.ts";
import { List } from "./list.ts";
import type { Direction } from "./network.ts";

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

/** Creates the row of a line, which expands to its explanation. */
function row(direction: Direction, line: string): HTMLElement {
  const summary = make("summary", "", `${SIGNS[direction]} `, make("bdi", "", line));
  const details = make("details", direction, summary);
  details.addEventListener("toggle", () => details.append(make("p", "explanation", explain(direction, line))), {
    once: true,
  });
  return details;
}
