/** One client of the page: its connection, its messages, and those it missed while disconnected. */
import { type Change, Fanout, type Gap, type Message, type Subscription } from "../client/fanout.ts";
import type { Member } from "../protocol/members.ts";
import type { Direction } from "./direction.ts";
import { countMissed, fetchRetained, formatMissed, sumOf } from "./missed-messages.ts";
import { Network } from "./network.ts";
import { stateText } from "./state-text.ts";

/** Receives a client's events. */
export interface ClientListener {
  state(change: Change, text: string): void;
  /** @param isLate whether the client has just reconnected, so that the message may be an old one */
  message(message: Message, isLate: boolean): void;
  gap(gap: Gap): void;
  /** The server refused a subscription. */
  refused(channel: string, why: string): void;
  /** The server refuses the client as a member. */
  notMember(channel: string, why: string): void;
  /** Reports the counts of missed messages; empty while they are unknown. */
  missed(text: string): void;
  /** Reports a frame sent or received. */
  frame(direction: Direction, frame: string): void;
}

/** A period without a connection, until its missed messages are counted. */
interface Outage {
  /** The client's position in each channel when it began. */
  since: Map<string, number>;
  messages: Message[];
  /** The client's own announcements since, which are sent after it ends, so aren't missed. */
  announced: { channel: string; text: string }[];
}

/** The number of newest messages with which subscriptions start. */
export const LAST = 20;

/** How long to wait for missed messages, in milliseconds. */
const RESUME_TIMEOUT = 15_000;

export class ConsoleClient {
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #listener: ClientListener;
  readonly #network: Network;
  readonly #fanout: Fanout;
  readonly #subscriptions = new Map<string, Subscription>();
  /** The position in each channel, also after a refusal. */
  readonly #positions = new Map<string, number>();
  #outage: Outage | undefined;
  /** Increases when an outage begins or ends, which outdates a count in progress. */
  #generation = 0;
  #offlineUntil: Date | undefined;
  /** The members that it has entered as, by channel. */
  readonly #entered = new Map<string, Member>();
  readonly #waiters = new Set<() => void>();

  constructor(base: string, token: string | undefined, listener: ClientListener) {
    this.#base = base;
    this.#token = token;
    this.#listener = listener;
    this.#network = new Network((direction, frame) => listener.frame(direction, frame));
    const onState = (change: Change) => this.#stateChanged(change);
    const { WebSocket, fetch } = this.#network;
    this.#fanout = new Fanout(base, { onState, token, WebSocket, fetch });
  }

  /** The subscribed channels. */
  get channels(): string[] {
    return [...this.#subscriptions.keys()];
  }

  position(channel: string): number | undefined {
    return this.#positions.get(channel);
  }

  /** @throws Error if the channel's name is invalid */
  subscribe(channel: string, since?: number): void {
    if (this.#subscriptions.has(channel)) return;
    if (since !== undefined) this.#positions.set(channel, since);
    const subscription = this.#fanout.subscribe(channel, {
      since,
      last: LAST,
      onMessage: (message) => this.#receive(message),
      onGap: (gap) => this.#listener.gap(gap),
      onPosition: (position) => {
        this.#positions.set(channel, position);
        this.#wakeWaiters();
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
    this.leave(channel);
  }

  /**
   * Follows the members of a channel.
   * @param changed called with the live members, by name, after each change; or why they aren't available
   * @returns a function that ends it
   */
  follow(
    channel: string,
    changed: (members: ReadonlyMap<string, string> | undefined, fault: string) => void,
  ): () => void {
    const list = this.#fanout.members(channel);
    let isFollowed = true;
    const report = () => isFollowed && changed(list.current, "");
    const fail = (error: Error) => isFollowed && changed(undefined, error.message);
    list.ready.then(() => {
      report();
      for (const kind of ["added", "updated", "removed"] as const) list.on(kind, report);
    }, fail);
    list.on("state", ({ error }) => {
      if (error) fail(error);
    });
    return () => {
      isFollowed = false;
      list.unsubscribe();
    };
  }

  /** The name under which the client has entered a channel; undefined if it hasn't. */
  memberOf(channel: string): string | undefined {
    return this.#entered.get(channel)?.member;
  }

  /** Enters a channel; resolves when that is settled. */
  async enter(channel: string, member: Member): Promise<void> {
    const before = this.#entered.get(channel);
    this.#entered.set(channel, member);
    const refused = (error: Error, still: Member | undefined) => {
      if (this.#entered.get(channel) !== member) return;
      if (still) this.#entered.set(channel, still);
      else this.#entered.delete(channel);
      this.#listener.notMember(channel, error.message);
    };
    const onEnd = (error: Error) => refused(error, undefined);
    await this.#fanout
      .enter(channel, member.member, member.data, { onEnd })
      .catch((error: Error) => refused(error, before));
  }

  /** Enters the channels that another client has entered. */
  enterLike(other: ConsoleClient): void {
    for (const [channel, member] of other.#entered) this.enter(channel, member);
  }

  /** Leaves a channel, if the client has entered it. */
  leave(channel: string): void {
    if (this.#entered.delete(channel)) this.#fanout.leave(channel).catch(() => {});
  }

  /** @throws Error if the server refuses the message */
  announce(channel: string, text: string): Promise<number | undefined> {
    this.#outage?.announced.push({ channel, text });
    return this.#fanout.announce(channel, text);
  }

  cut(): void {
    this.#network.cut();
  }

  goOffline(milliseconds: number): void {
    this.#offlineUntil = new Date(Date.now() + milliseconds);
    this.#network.goOffline(milliseconds);
  }

  close(): void {
    this.#generation += 1;
    this.#fanout.close({ within: 0 });
    this.#network.cut();
  }

  #stateChanged(change: Change): void {
    if (change.state !== "connecting" && change.state !== "connected") this.#beginOutage();
    if (!this.#network.isOffline) this.#offlineUntil = undefined;
    this.#listener.state(change, stateText(change, this.#offlineUntil));
    if (change.state === "connected" && this.#outage) this.#endOutage(this.#outage);
  }

  #receive(message: Message): void {
    this.#outage?.messages.push(message);
    this.#listener.message(message, this.#outage !== undefined);
  }

  #beginOutage(): void {
    this.#generation += 1;
    this.#listener.missed("");
    if (this.#outage) return;
    if (this.#positions.size > 0) this.#outage = { since: new Map(this.#positions), messages: [], announced: [] };
  }

  /** Counts the missed messages when they have all been delivered. */
  async #endOutage(outage: Outage): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const counted = [...outage.since].map(async ([channel, since]) => {
      const retained = await fetchRetained(this.#base, this.#token, channel, since);
      await this.#waitForPosition(channel, retained.position);
      const ofChannel = (one: { channel: string }) => one.channel === channel;
      return countMissed(since, retained, outage.messages.filter(ofChannel), outage.announced.filter(ofChannel));
    });
    const text = await Promise.all(counted).then(
      (counts) => formatMissed(sumOf(counts)),
      (error: unknown) => `missed messages can't be counted: ${String(error)}`,
    );
    // The connection has broken again; the next count covers both outages.
    if (generation !== this.#generation) return;
    this.#outage = undefined;
    this.#listener.missed(text);
  }

  /** Resolves when the client has reached a position, or after RESUME_TIMEOUT. */
  async #waitForPosition(channel: string, position: number): Promise<void> {
    const end = Date.now() + RESUME_TIMEOUT;
    while ((this.#positions.get(channel) ?? Number.POSITIVE_INFINITY) < position && Date.now() < end) {
      await this.#nextPosition(end - Date.now());
    }
  }

  /** Resolves at the next change of a position, or after a timeout in milliseconds. */
  #nextPosition(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wakeWaiters(), milliseconds);
      this.#waiters.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wakeWaiters(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }
}
