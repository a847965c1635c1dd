/** The channels in use, page by page, and the tree of the selected one, for operators. */
import { find, make } from "./elements.ts";
import { type Access, fetchPage } from "./operator-page.ts";
import { showTree } from "./tree.ts";
import { counted, NOT_FANOUT } from "./wording.ts";

/** Channels in a page; each may take two calls between objects. */
const LIMIT = 20;

/** A channel in use; members and position are null while they are unknown. */
interface ChannelInUse {
  channel: string;
  subscribers: number;
  members: number | null;
  position: number | null;
}

interface Page {
  channels: ChannelInUse[];
  /** The name after which the next page begins; undefined on the last one. */
  next: string | undefined;
  /** The number of objects that didn't answer. */
  unreachable: number;
}

export class ChannelsView {
  readonly #access: Access;
  readonly #element = find(document, "#in-use", HTMLElement);
  readonly #status = find(this.#element, "[role=status]", HTMLElement);
  readonly #rows = find(this.#element, "tbody", HTMLElement);
  readonly #previous = find(this.#element, ".previous", HTMLButtonElement);
  readonly #next = find(this.#element, ".next", HTMLButtonElement);
  readonly #treeOf = find(document, "#tree-of", HTMLElement);
  readonly #tree = find(document, "#service-tree", HTMLElement);
  #prefix = "";
  /** The names after which the pages up to the current one begin. */
  #starts = [""];
  /** The name after which the next page begins. */
  #nextStart: string | undefined;
  /** Counts requests, of which only the newest counts. */
  #request = 0;
  #treeRequest = 0;

  constructor(access: Access) {
    this.#access = access;
    const form = find(this.#element, "form", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#prefix = find(form, "input", HTMLInputElement).value.trim();
      this.list();
    });
    this.#previous.addEventListener("click", () => this.#turn(this.#starts.slice(0, -1)));
    this.#next.addEventListener("click", () => this.#turn([...this.#starts, this.#nextStart ?? ""]));
    // Makes them scrollable by keyboard.
    find(this.#element, ".table", HTMLElement).tabIndex = this.#tree.tabIndex = 0;
  }

  /** Shows the first page. */
  list(): void {
    this.#turn([""]);
  }

  /** Forgets the list and the tree, which another token may not see. */
  clear(): void {
    this.#request += 1;
    this.#treeRequest += 1;
    this.#show({ channels: [], next: undefined, unreachable: 0 }, "");
    this.#treeOf.textContent = "Select a channel to see the objects that carry it";
    this.#tree.replaceChildren();
  }

  /** @param starts those of the pages up to the one to show */
  async #turn(starts: string[]): Promise<void> {
    this.#request += 1;
    const request = this.#request;
    const query = new URLSearchParams({ prefix: this.#prefix, after: starts.at(-1) ?? "", limit: String(LIMIT) });
    const answer = await fetchPage(this.#access, `channels?${query}`);
    if (request !== this.#request) return;
    const page = "value" in answer ? pageIn(answer.value) : undefined;
    if (!page) {
      this.#status.textContent = "why" in answer ? answer.why : NOT_FANOUT;
      return;
    }
    this.#starts = starts;
    this.#show(page, this.#summaryOf(page));
  }

  #summaryOf({ channels, unreachable }: Page): string {
    const missing =
      unreachable > 0 ? `; ${counted(unreachable, "object")} unreachable, so subscribers are missing` : "";
    const none = this.#prefix === "" ? "No channel is in use" : `No channel in use begins with ${this.#prefix}`;
    const first = (this.#starts.length - 1) * LIMIT + 1;
    const some = `Channels ${first.toLocaleString()} to ${(first + channels.length - 1).toLocaleString()} by name`;
    return `${channels.length === 0 ? none : some}${missing}`;
  }

  #show({ channels, next }: Page, summary: string): void {
    const wasNext = document.activeElement === this.#next;
    this.#nextStart = next;
    this.#rows.replaceChildren(...channels.map((channel) => this.#rowOf(channel)));
    find(this.#element, ".table", HTMLElement).scrollTop = 0;
    this.#previous.disabled = this.#starts.length < 2;
    this.#next.disabled = next === undefined;
    this.#status.textContent = summary;
    // A disabled button would lose the focus.
    if (this.#next.disabled && wasNext) this.#previous.focus();
    if (this.#previous.disabled && document.activeElement === this.#previous) this.#next.focus();
  }

  #rowOf({ channel, subscribers, members, position }: ChannelInUse): HTMLElement {
    const button = make("button", "name", make("bdi", "", channel));
    button.title = "Show the objects that carry it";
    button.addEventListener("click", () => this.#showTree(channel));
    const name = make("th", "", button);
    name.setAttribute("scope", "row");
    const cells = [subscribers, members, position].map((figure) => make("td", "", figure?.toLocaleString() ?? "–"));
    return make("tr", "", name, ...cells);
  }

  #showTree(channel: string): void {
    this.#treeRequest += 1;
    const request = this.#treeRequest;
    this.#treeOf.replaceChildren("Server objects that carry ", make("bdi", "", channel), ", with their subscribers");
    const { base, token } = this.#access;
    showTree(this.#tree, base, token(), channel, () => request === this.#treeRequest).catch(() => {});
  }
}

/** Returns a page of the list; undefined if it isn't Fanout's. */
function pageIn(value: unknown): Page | undefined {
  if (typeof value !== "object" || value === null || !("channels" in value && "unreachable" in value)) return undefined;
  const { channels, unreachable } = value;
  const next = "next" in value && typeof value.next === "string" ? value.next : undefined;
  if (!Array.isArray(channels) || !channels.every(isChannel) || typeof unreachable !== "number") return undefined;
  return { channels, next, unreachable };
}

function isChannel(value: unknown): value is ChannelInUse {
  if (typeof value !== "object" || value === null) return false;
  const { channel, subscribers, members, position }: { [name in keyof ChannelInUse]?: unknown } = value;
  const isKnown = (figure: unknown) => figure === null || typeof figure === "number";
  return typeof channel === "string" && typeof subscribers === "number" && isKnown(members) && isKnown(position);
}
