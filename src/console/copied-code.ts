/** Copies code that repeats the last action of a client. */
import { find } from "./elements.ts";
import { type Action, type Language, snippetFor, type Target } from "./snippets.ts";

const LANGUAGES: Language[] = ["curl", "JavaScript", "Python"];

/** Descriptions of actions, before the channel. */
const WHAT: Record<Action["kind"], string> = {
  announce: "the announcement on",
  subscribe: "the subscription to",
  enter: "the entry into",
  members: "the list of members of",
};

export class CopiedCode {
  readonly #element: HTMLElement;
  readonly #target: () => Target;
  #action: Action | undefined;

  /** @param element the buttons in the order of LANGUAGES, and a place each for the action, the code and the result */
  constructor(element: HTMLElement, target: () => Target) {
    this.#element = element;
    this.#target = target;
    for (const [i, button] of element.querySelectorAll("button").entries()) {
      button.addEventListener("click", () => this.#copy(LANGUAGES[i] ?? "curl"));
    }
  }

  /** Sets the action to copy, and hides the code of the previous one. */
  show(action: Action): void {
    this.#action = action;
    find(this.#element, ".action", HTMLElement).textContent = `Copy ${WHAT[action.kind]} ${action.channel} as`;
    find(this.#element, "pre", HTMLElement).hidden = true;
    this.#report("");
  }

  async #copy(language: Language): Promise<void> {
    if (!this.#action) return;
    const code = find(this.#element, "pre", HTMLElement);
    code.textContent = snippetFor(language, this.#action, this.#target());
    code.hidden = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      this.#report("Copied:");
    } catch {
      // Pages without HTTPS have no access to the clipboard.
      getSelection()?.selectAllChildren(code);
      this.#report("The browser doesn't let this page copy. The code is selected; press Ctrl+C or ⌘C:");
    }
  }

  #report(text: string): void {
    find(this.#element, "[role=status]", HTMLElement).textContent = text;
  }
}
