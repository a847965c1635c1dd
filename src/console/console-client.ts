/** One client on the page: a connection of its own, what it hears, and what it missed while that was broken off. */
import { type Change, Fanout, type Gap, type Message, type Subscription } from "../client/fanout.ts";
import { accountOf, formatAccount, keptAfter, sumOf } from "./missed-messages.ts";
import { type Direction, Network } from "./network.ts";
import { stateText } from "./state-text.ts";

/** What a client tells. */
export interface ClientListener {
  state(change: Change, words: string): void;
  /** @param isLate whether it comes after a time without a connection, and may be of that time */
  message(message: Message, isLate: boolean): void;
  gap(gap: Gap): void;
  /** A channel is not heard, for a reason. */
  refused(channel: string, why: string): void;
  /** What it missed, when that has been counted. */
  account(words: string): void;
  /** Bytes of the protocol, as they come and go. */
  frame(direction: Direction, frame: string): void;
}

/** A time without a connection, until it is settled. */
interface Absence {
  /** Where it was in each channel. */
  since: Map<string, number>;
  messages: Message[];
  /** What it announced itself meanwhile, which goes out later: it does not miss that. */
  said: { channel: string; text: string }[];
}

/** How many of the newest messages come first. */
const LAST = 20;

/** How long what was missed may take to come, in milliseconds. */
const PATIENCE = 15_000;

export class ConsoleClient {
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #listener: ClientListener;
  readonly #network: Network;
  readonly #fanout: Fanout;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Where it is in each channel, which is known after a refusal, too. */
  readonly #positions = new Map<string, number>();
  #absence: Absence | undefined;
  /** Rises with each time that an absence ends, or begins once more. */
  #turn = 0;
  #until: Date | undefined;
  readonly #noticing = new Set<() => void>();

  constructor(base: string, token: string | undefined, listener: ClientListener) {
    this.#base = base;
    this.#token = token;
    this.#listener = listener;
    this.#network = new Network((direction, frame) => listener.frame(direction, frame));
    const onState = (change: Change) => this.#became(change);
    const { WebSocket, fetch } = this.#network;
    this.#fanout = new Fanout(base, { onState, token, WebSocket, fetch });
  }

  /** Those that it is to hear. */
  get channels(): string[] {
    return [...this.#subscriptions.keys()];
  }

  position(channel: string): number | undefined {
    return this.#positions.get(channel);
  }

  /** @throws Error if that is no channel's name */
  subscribe(channel: string, since?: number): void {
    if (this.#subscriptions.has(channel)) return;
    if (since !== undefined) this.#positions.set(channel, since);
    const subscription = this.#fanout.subscribe(channel, {
      since,
      last: LAST,
      onMessage: (message) => this.#hear(message),
      onGap: (gap) => this.#listener.gap(gap),
      onPosition: (position) => {
        this.#positions.set(channel, position);
        this.#notice();
      },
      onState: (state, why) => {
        if (state === "unsubscribed" && why !== undefined) this.#listener.refused(channel, why);
      },
    });
    this.#subscriptions.set(channel, subscription);
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.get(channel)?.unsubscribe();
    this.#subscriptions.delete(channel);
    this.#positions.delete(channel);
  }

  /** @throws Error if the server does not take it */
  announce(channel: string, text: string): Promise<number | undefined> {
    this.#absence?.said.push({ channel, text });
    return this.#fanout.announce(channel, text);
  }

  cut(): void {
    this.#network.cut();
  }

  leave(milliseconds: number): void {
    this.#until = new Date(Date.now() + milliseconds);
    this.#network.leave(milliseconds);
  }

  close(): void {
    this.#turn += 1;
    this.#fanout.close({ within: 0 });
    this.#network.cut();
  }

  #became(change: Change): void {
    if (change.state !== "connecting" && change.state !== "connected") this.#beginAbsence();
    if (!this.#network.isAway) this.#until = undefined;
    this.#listener.state(change, stateText(change, this.#until));
    if (change.state === "connected" && this.#absence) this.#endAbsence(this.#absence);
  }

  #hear(message: Message): void {
    this.#absence?.messages.push(message);
    this.#listener.message(message, this.#absence !== undefined);
  }

  #beginAbsence(): void {
    this.#turn += 1;
    this.#listener.account("");
    if (this.#absence) return;
    if (this.#positions.size > 0) this.#absence = { since: new Map(this.#positions), messages: [], said: [] };
  }

  /** Counts what was missed, when all of that has come. */
  async #endAbsence(absence: Absence): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    const counted = [...absence.since].map(async ([channel, since]) => {
      const kept = await keptAfter(this.#base, this.#token, channel, since);
      await this.#reaches(channel, kept.position);
      const ofChannel = (one: { channel: string }) => one.channel === channel;
      return accountOf(since, kept, absence.messages.filter(ofChannel), absence.said.filter(ofChannel));
    });
    const words = await Promise.all(counted).then(
      (accounts) => formatAccount(sumOf(accounts)),
      (error: unknown) => `what was missed cannot be counted: ${String(error)}`,
    );
    // It has broken off again meanwhile: then all of it is counted together.
    if (turn !== this.#turn) return;
    this.#absence = undefined;
    this.#listener.account(words);
  }

  /** Ends when a channel has been heard up to a position, or that takes too long. */
  async #reaches(channel: string, position: number): Promise<void> {
    const end = Date.now() + PATIENCE;
    while ((this.#positions.get(channel) ?? Number.POSITIVE_INFINITY) < position && Date.now() < end) {
      await this.#noticed(end - Date.now());
    }
  }

  /** Ends when a position has been reached, or after so many milliseconds. */
  #noticed(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#notice(), milliseconds);
      this.#noticing.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #notice(): void {
    const noticing = [...this.#noticing];
    this.#noticing.clear();
    for (const noticed of noticing) noticed();
  }
}
