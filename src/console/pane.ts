/** How one client is shown, and what can be done with it. */
import type { Change, Message } from "../client/fanout.ts";
import { ConsoleClient } from "./console-client.ts";
import { copy, find, make } from "./elements.ts";
import { List } from "./list.ts";
import { RawLines } from "./raw-lines.ts";
import { Terminal } from "./terminal.ts";
import type { Traffic } from "./traffic.ts";

/** What all panes have in common. */
export interface PageContext {
  /** Where the server is. */
  base: string;
  traffic: Traffic;
  token(): string | undefined;
  /** Called when other channels are heard, or the pane is taken away. */
  changed(): void;
}

/** How long "Away" is, in milliseconds. */
const AWAY = 10_000;

export class Pane {
  readonly element = copy("#pane");
  readonly #context: PageContext;
  readonly #messages: List;
  readonly #raw: RawLines;
  readonly #terminal: Terminal;
  #client: ConsoleClient;

  /** @param name that it is called by */
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
    this.#name(name);
    this.#listen();
    this.#client = this.#newClient();
    for (const channel of channels) this.#client.subscribe(channel);
    this.#showChannels();
  }

  get channels(): string[] {
    return this.#client.channels;
  }

  /** Connects anew, as with another token, and goes on where it was. */
  restart(): void {
    const before = this.#client;
    this.#client = this.#newClient();
    for (const channel of before.channels) this.#client.subscribe(channel, before.position(channel));
    before.close();
  }

  /** What one tells that another has taken the context of is of no interest. */
  #newClient(): ConsoleClient {
    const whileThere =
      <Told extends unknown[]>(show: (...told: Told) => void) =>
      (...told: Told) => {
        if (this.#client === client) show(...told);
      };
    const client: ConsoleClient = new ConsoleClient(this.#context.base, this.#context.token(), {
      state: whileThere((change, words) => this.#showState(change, words)),
      message: whileThere((message, isLate) => this.#showMessage(message, isLate)),
      gap: whileThere(({ channel, from, to }) => {
        const isKnown = from !== undefined && to !== undefined;
        const many = isKnown ? `${to - from} messages, up to ${to}, are` : "messages are";
        this.#note(`gap in ${channel}: after ${from ?? "a while"} ${many} not to be had`);
      }),
      refused: whileThere((channel, why) => this.#note(`${channel} is not heard: ${why}`)),
      account: whileThere((words) => {
        this.#part(".account", HTMLElement).textContent = words;
      }),
      frame: whileThere((direction, frame) => this.#raw.add(direction, frame)),
    });
    return client;
  }

  #showMessage(message: Message, isLate: boolean): void {
    this.#context.traffic.heard(message.channel, message.text, isLate);
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
  }

  #listen(): void {
    const onClick = (selector: string, act: () => void) =>
      this.#part(selector, HTMLButtonElement).addEventListener("click", act);
    onClick(".cut", () => this.#client.cut());
    onClick(".away", () => this.#client.leave(AWAY));
    onClick(".again", () => this.restart());
    onClick(".remove", () => {
      this.#client.close();
      this.#terminal.close();
      this.element.remove();
      this.#context.changed();
    });
    this.#onSubmit(".subscribe", (channel) => {
      this.#client.subscribe(channel);
      this.#channelsChanged();
    });
    this.#onSubmit(".say", (text) => {
      const channel = this.#part(".say select", HTMLSelectElement).value;
      this.#context.traffic.announced(channel, text);
      this.#client
        .announce(channel, text)
        .catch((error: Error) => this.#note(`not announced: ${error.message}`));
    });
    this.#onSubmit(".type", (line) => this.#terminal.say(line));
  }

  /** A connection at the first of its channels, of which the client knows nothing. */
  #connect(): WebSocket {
    const [channel = ""] = this.channels;
    const address = `${this.#context.base.replace(/^http/, "ws")}/${encodeURIComponent(channel)}`;
    const token = this.#context.token();
    return new WebSocket(address, token === undefined ? [] : ["fanout", token]);
  }

  /** Does something with what is typed into a form's field, and empties that. */
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

  #note(words: string): void {
    this.#messages.note(() => make("p", "note", words));
  }

  #showState({ state, willRetry }: Change, words: string): void {
    this.element.dataset.state = state;
    this.#part(".state", HTMLElement).textContent = words;
    this.#part(".again", HTMLElement).hidden = willRetry;
  }

  #channelsChanged(): void {
    this.#showChannels();
    this.#context.changed();
  }

  #showChannels(): void {
    const { channels } = this.#client;
    this.#part(".channels", HTMLElement).replaceChildren(...channels.map((channel) => this.#chip(channel)));
    const select = this.#part(".say select", HTMLSelectElement);
    const chosen = select.value;
    select.replaceChildren(...channels.map((channel) => new Option(channel, channel)));
    if (channels.includes(chosen)) select.value = chosen;
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

/** Shows the last digits, in which neighbours differ; a click, or a pointer over it, shows the whole number. */
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
