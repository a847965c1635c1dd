/** The lines of the protocol, as they come and go, for who wants to see them. */
import { find, make } from "./elements.ts";
import { List } from "./list.ts";
import type { Direction } from "./wire.ts";

const SIGNS = { in: "<", out: ">" };

export class RawLines {
  readonly #list: List;

  constructor(details: HTMLDetailsElement) {
    this.#list = new List(find(details, ".lines", HTMLElement));
  }

  add(direction: Direction, frame: string): void {
    for (const line of frame.replace(/\n$/, "").split("\n")) {
      this.#list.add(() => make("p", direction, SIGNS[direction], " ", make("bdi", "", line)));
    }
  }
}
