/** The members of one of a client's channels, live, and a form to enter it. */
import { listMembers, type Member, presenceFault } from "../protocol/members.ts";
import type { ConsoleClient } from "./console-client.ts";
import { find, make } from "./elements.ts";
import type { Action } from "./snippets.ts";

/** Most members that the page shows. */
const MAX_SHOWN = 100;

/** What the view needs of its pane. */
export interface MembersContext {
  client(): ConsoleClient;
  /** Called when the user enters a channel, and when the user asks for its members. */
  acted(action: Action): void;
}

export class MembersView {
  readonly #details: HTMLDetailsElement;
  readonly #context: MembersContext;
  readonly #select: HTMLSelectElement;
  readonly #exit: HTMLButtonElement;
  readonly #list: HTMLElement;
  /** The channel whose members are followed; "" for none. */
  #channel = "";
  #unfollow = () => {};
  /** The data of each member, by name; undefined until known. It changes by itself. */
  #members: ReadonlyMap<string, string> | undefined;
  #fault = "";
  #isDue = false;

  constructor(details: HTMLDetailsElement, context: MembersContext) {
    this.#details = details;
    this.#context = context;
    this.#select = find(details, "select", HTMLSelectElement);
    this.#exit = find(details, ".exit", HTMLButtonElement);
    this.#list = find(details, "ul", HTMLElement);
    // Makes it scrollable by keyboard.
    this.#list.tabIndex = 0;
    const showCode = () => {
      this.#follow();
      if (this.#channel !== "") context.acted({ kind: "members", channel: this.#channel });
    };
    this.#select.addEventListener("change", showCode);
    find(details, "summary", HTMLElement).addEventListener("click", () => {
      // The click takes effect after its listeners.
      setTimeout(showCode);
    });
    const form = find(details, "form", HTMLFormElement);
    const [name, data] = [find(form, "[name=member]", HTMLInputElement), find(form, "[name=data]", HTMLInputElement)];
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enter({ member: name.value, data: data.value });
    });
    this.#exit.addEventListener("click", () => this.#leave());
  }

  /** Lets the user select one of these channels, and follows the members of the selected one. */
  offer(channels: string[]): void {
    const { value } = this.#select;
    const possible = channels.filter((channel) => presenceFault(channel) === undefined);
    this.#select.replaceChildren(...possible.map((channel) => new Option(channel, channel)));
    if (possible.includes(value)) this.#select.value = value;
    find(this.#details, "label", HTMLElement).hidden = possible.length < 2;
    this.#follow();
  }

  /** Follows the members with the pane's new client. */
  restart(): void {
    this.#unfollow();
    this.#channel = "";
    this.#follow();
  }

  /** Follows the members of the selected channel, while the list is open. */
  #follow(): void {
    const channel = this.#details.open ? this.#select.value : "";
    if (channel === this.#channel) return;
    this.#unfollow();
    this.#channel = channel;
    this.#members = undefined;
    this.#fault = "";
    this.#drawNow();
    const changed = (members: ReadonlyMap<string, string> | undefined, fault: string) => {
      this.#members = members;
      this.#fault = fault;
      this.draw();
    };
    this.#unfollow = channel === "" ? () => {} : this.#context.client().follow(channel, changed);
  }

  #enter(member: Member): void {
    const channel = this.#channel;
    if (channel === "") return;
    this.#context.acted({ kind: "enter", channel, ...member });
    this.#context.client().enter(channel, member);
    this.draw();
  }

  #leave(): void {
    this.#context.client().leave(this.#channel);
    this.#drawNow();
    find(this.#details, "[name=member]", HTMLInputElement).focus();
  }

  /** Shows the current state, at most once per frame. */
  draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawNow();
    });
  }

  #drawNow(): void {
    const own = this.#context.client().memberOf(this.#channel);
    const members = listMembers(this.#members ?? new Map());
    const known = this.#members ? `: ${members.length.toLocaleString()}` : "";
    const fault = this.#fault === "" ? "" : `: ${this.#fault}`;
    const of = this.#channel === "" ? "" : ` of ${this.#channel}`;
    find(this.#details, "summary", HTMLElement).textContent = `Members${of}${fault || known}`;
    const rows = members.slice(0, MAX_SHOWN).map((member) => rowOf(member, own === member.member));
    const more = members.length - rows.length;
    if (more > 0) rows.push(make("li", "data", `and ${more.toLocaleString()} more`));
    this.#list.replaceChildren(...rows);
    this.#exit.hidden = own === undefined;
  }
}

/** @param isSelf whether the client has entered as this member */
function rowOf({ member, data }: Member, isSelf: boolean): HTMLElement {
  const row = make("li", isSelf ? "member self" : "member", make("bdi", "", member));
  if (isSelf) row.title = "This client";
  if (data !== "") row.append(" ", make("bdi", "data", data));
  return row;
}
