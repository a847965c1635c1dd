/** The view of one client, and its controls. */
import type { Change, Message } from "../client/fanout.ts";
import { ConsoleClient, LAST } from "./console-client.ts";
import { CopiedCode } from "./copied-code.ts";
import { copy, find, make } from "./elements.ts";
import { List } from "./list.ts";
import { MembersView } from "./members-view.ts";
import { RawLines } from "./raw-lines.ts";
import { Terminal } from "./terminal.ts";
import type { Traffic } from "./traffic.ts";

/** What all panes share. */
export interface PageContext {
  /** The server's address. */
  base: string;
  traffic: Traffic;
  token(): string | undefined;
  /** Called when the pane's channels change, and when it is removed. */
  changed(): void;
}

/** How long the offline button takes a client offline, in milliseconds. */
const OFFLINE_MS = 10_000;

export class Pane {
  readonly element = copy("#pane");
  readonly #context: PageContext;
  readonly #messages: List;
  readonly #raw: RawLines;
  readonly #terminal: Terminal;
  readonly #code: CopiedCode;
  readonly #members: MembersView;
  #client: ConsoleClient;

  /** @param name the pane's heading */
  constructor(name: string, channels: string[], context: PageContext) {
    this.#context = context;
    const log = this.#part(".messages", HTMLElement);
    const count = this.#part(".count", HTMLElement);
    this.#messages = new List(log, (all) => {
      count.textContent = all === 1 ? "1 message" : `${all.toLocaleString()} messages`;
    });
    this.#raw = new RawLines(this.#part(".raw", HTMLDetailsElement));
    const typed = new RawLines(this.#part(".terminal", HTMLDetailsElement));
    this.#terminal = new Terminal(typed, () => this.#connect());
    this.#code = new CopiedCode(this.#part(".code", HTMLElement), () => {
      return { base: context.base, needsToken: context.token() !== undefined };
    });
    this.#members = new MembersView(this.#part(".presence", HTMLDetailsElement), {
      client: () => this.#client,
      acted: (action) => this.#code.show(action),
    });
    this.#name(name);
    this.#addListeners();
    this.#client = this.#newClient();
    for (const channel of channels) this.#subscribe(channel);
    this.#showChannels();
  }

  get channels(): string[] {
    return this.#client.channels;
  }

  /** Reconnects with a new client, for example after a change of token, and resumes. */
  restart(): void {
    const before = this.#client;
    this.#client = this.#newClient();
    for (const channel of before.channels) this.#client.subscribe(channel, before.position(channel));
    this.#client.enterLike(before);
    this.#members.restart();
    before.close();
  }

  /** Creates a client whose events are ignored after another one has replaced it. */
  #newClient(): ConsoleClient {
    const ifCurrent =
      <Args extends unknown[]>(show: (...args: Args) => void) =>
      (...args: Args) => {
        if (this.#client === client) show(...args);
      };
    const client: ConsoleClient = new ConsoleClient(this.#context.base, this.#context.token(), {
      state: ifCurrent((change, text) => this.#showState(change, text)),
      message: ifCurrent((message, isLate) => this.#showMessage(message, isLate)),
      gap: ifCurrent(({ channel, from, to }) => {
        const messages =
          from === undefined || to === undefined
            ? "messages"
            : `${to - from} messages after position ${from}, up to ${to},`;
        this.#note(`gap in ${channel}: ${messages} are unavailable`);
      }),
      refused: ifCurrent((channel, why) => this.#note(`not subscribed to ${channel}: ${why}`)),
      notMember: ifCurrent((channel, why) => {
        this.#note(`not a member of ${channel}: ${why}`);
        this.#members.draw();
      }),
      missed: ifCurrent((text) => {
        this.#part(".missed", HTMLElement).textContent = text;
      }),
      frame: ifCurrent((direction, frame) => this.#raw.add(direction, frame)),
    });
    return client;
  }

  #subscribe(channel: string): void {
    this.#client.subscribe(channel);
    this.#code.show({ kind: "subscribe", channel, last: LAST });
  }

  #showMessage(message: Message, isLate: boolean): void {
    this.#context.traffic.received(message.channel, message.text, isLate);
    const receivedAt = Date.now();
    this.#messages.add(() => messageRow(message, receivedAt));
  }

  #part<Kind extends Element>(selector: string, kind: new () => Kind): Kind {
    return find(this.element, selector, kind);
  }

  #name(name: string): void {
    this.element.setAttribute("aria-label", name);
    this.#part("h2", HTMLElement).textContent = name;
    this.#part(".messages", HTMLElement).setAttribute("aria-label", `Messages of ${name}`);
    this.#describe(".cut", ".actions-hint", `${name} actions`);
    this.#describe(".offline", ".actions-hint", `${name} actions`);
  }

  /** Makes a visible hint the description of a control. */
  #describe(control: string, hint: string, name: string): void {
    const id = name.replaceAll(" ", "-");
    this.#part(hint, HTMLElement).id = id;
    this.#part(control, HTMLElement).setAttribute("aria-describedby", id);
  }

  #addListeners(): void {
    const onClick = (selector: string, act: () => void) =>
      this.#part(selector, HTMLButtonElement).addEventListener("click", act);
    onClick(".cut", () => this.#client.cut());
    onClick(".offline", () => this.#client.goOffline(OFFLINE_MS));
    onClick(".reconnect", () => this.restart());
    onClick(".remove", () => {
      this.#client.close();
      this.#terminal.close();
      this.element.remove();
      this.#context.changed();
    });
    this.#onSubmit(".subscribe", (channel) => {
      this.#subscribe(channel);
      this.#channelsChanged();
    });
    this.#onSubmit(".announce", (text) => {
      const channel = this.#part(".announce select", HTMLSelectElement).value;
      this.#context.traffic.sent(channel, text);
      this.#client.announce(channel, text).catch((error: Error) => this.#note(`not announced: ${error.message}`));
      this.#code.show({ kind: "announce", channel, text });
    });
    this.#onSubmit(".type", (line) => this.#terminal.send(line));
  }

  /** Opens a connection to the first channel for the terminal, independent of the client. */
  #connect(): WebSocket {
    const [channel = ""] = this.channels;
    const address = `${this.#context.base.replace(/^http/, "ws")}/${encodeURIComponent(channel)}`;
    const token = this.#context.token();
    return new WebSocket(address, token === undefined ? [] : ["fanout", token]);
  }

  /** Calls `act` with a form's text on submit, then clears the field. */
  #onSubmit(selector: string, act: (text: string) => void): void {
    const form = this.#part(selector, HTMLFormElement);
    const field = find(form, "input", HTMLInputElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        act(field.value);
        field.value = "";
      } catch (error) {
        this.#note(error instanceof Error ? error.message : String(error));
      }
    });
  }

  #note(text: string): void {
    this.#messages.note(() => make("p", "note", text));
  }

  #showState({ state, willRetry }: Change, text: string): void {
    this.element.dataset.state = state;
    this.#part(".state", HTMLElement).textContent = text;
    this.#part(".reconnect", HTMLElement).hidden = willRetry;
  }

  #channelsChanged(): void {
    this.#showChannels();
    this.#context.changed();
  }

  #showChannels(): void {
    const { channels } = this.#client;
    this.#part(".channels", HTMLElement).replaceChildren(...channels.map((channel) => this.#chip(channel)));
    const select = this.#part(".announce select", HTMLSelectElement);
    const chosen = select.value;
    select.replaceChildren(...channels.map((channel) => new Option(channel, channel)));
    if (channels.includes(chosen)) select.value = chosen;
    this.#members.offer(channels);
  }

  #chip(channel: string): HTMLElement {
    const leave = make("button", "leave", "×");
    leave.setAttribute("aria-label", `Unsubscribe from ${channel}`);
    leave.addEventListener("click", () => {
      this.#client.unsubscribe(channel);
      this.#channelsChanged();
      this.#part(".subscribe input", HTMLInputElement).focus();
    });
    return make("li", "chip", make("bdi", "", channel), leave);
  }
}

/** Shows a position's last digits, which tell neighbours apart; a tooltip or a click shows all of them. */
function positionOf(position: number | undefined): HTMLElement {
  if (position === undefined) return make("span", "position", "–");
  const full = String(position);
  const short = full.length > 6 ? `…${full.slice(-4)}` : full;
  const element = make("span", "position", short);
  element.title = `Position ${full}`;
  element.addEventListener("click", () => {
    element.textContent = element.textContent === full ? short : full;
  });
  return element;
}

/** @param receivedAt Unix milliseconds */
function messageRow({ channel, text, position }: Message, receivedAt: number): HTMLElement {
  return make(
    "p",
    "message",
    make("time", "time", new Date(receivedAt).toLocaleTimeString()),
    " ",
    positionOf(position),
    " ",
    make("bdi", "channel", channel),
    " ",
    make("bdi", "text", text),
  );
}
