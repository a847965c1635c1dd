/** The lines of the protocol, as they come and go, for who wants to see them, and what each means where one asks. */
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

  /** Says something that is no line. */
  note(words: string): void {
    this.#list.note(() => make("p", "note", words));
  }

  add(direction: Direction, frame: string): void {
    for (const line of frame.replace(/\n$/, "").split("\n")) {
      this.#list.add(() => row(direction, line));
    }
  }
}

/** A line, which opens to what it means. */
function row(direction: Direction, line: string): HTMLElement {
  const summary = make("summary", "", `${SIGNS[direction]} `, make("bdi", "", line));
  const details = make("details", direction, summary);
  details.addEventListener("toggle", () => details.append(make("p", "meaning", explain(direction, line))), {
    once: true,
  });
  return details;
}
