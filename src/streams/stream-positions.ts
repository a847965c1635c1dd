/**
 * The channels of a stream, and its position in each. Subscriptions that the object refuses temporarily are retried
 * with backoff while the other channels continue.
 */
import { EVERYONE } from "../protocol/channels.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, isTemporary, type Refusal } from "../protocol/errors.ts";
import type { Positions } from "../protocol/events.ts";
import type { From } from "../protocol/positions.ts";
import type { StreamEnvironment } from "./environment.ts";

/** The first and the longest delay before a retry, in milliseconds; jitter adds up to as much again. */
const RETRY_DELAY = 1_000;
const LONGEST_RETRY_DELAY = 10_000;

/** Time within which an object has to execute a command, in milliseconds: five calls that each take the longest. */
const COMMAND_TIMEOUT = 120_000;

const PING = "ping\n";

/** Whether resuming delivered all missed messages; undefined while that isn't known, and after it was reported. */
export type Resumed = "complete" | "gap" | undefined;

/** One channel of the stream. */
export interface Subscription {
  readonly channel: string;
  /** Undefined until the object reports it, and on channels without history. */
  position: number | undefined;
  /** Where to start while no position is known. */
  readonly from: From;
  /**
   * - `due`: `subscribe` has to be sent;
   * - `leaving`: `unsubscribe` and `subscribe` are sent, and replies still concern the earlier subscription;
   * - `asked`: `subscribe` is sent;
   * - `live`: the channel's messages are part of the stream;
   * - `refused`: refused for good.
   */
  state: "due" | "leaving" | "asked" | "live" | "refused";
  /** Whether the connection may be subscribed already, at another position. */
  mayBeSubscribed: boolean;
  /** The end of a gap that the object reported after the position. */
  gapTo: number | undefined;
}

export class StreamPositions {
  protected readonly environment: StreamEnvironment;
  readonly #maxPerRound: number;
  /** In the order of the channels. */
  readonly all: readonly Subscription[];
  readonly #byChannel: Map<string, Subscription>;
  /** Pending replies to `ping`. If there are two, the first one marks the end of all `unsubscribe` commands. */
  #pings = 0;
  /** When the object last answered a command in flight, or when the commands were sent. */
  #answeredAt = 0;
  /** When the next commands are due, unless some are in flight; Infinity for never. */
  #dueAt = 0;
  /** Consecutive rounds of commands that left channels due, since the last round that made one live. */
  #failures = 0;
  #hasProgressed = false;
  /** Whether the result of resuming hasn't been reported yet. */
  #isResuming: boolean;
  #hasAllMessages: boolean;

  /**
   * @param channels the connection's own channel first
   * @param resumed the positions of the stream to resume; undefined for a new stream
   * @param from where a new stream starts in each channel; undefined for now
   * @param linesPerSecond the object's limit
   */
  constructor(
    channels: string[],
    resumed: Positions | undefined,
    from: From | undefined,
    environment: StreamEnvironment,
    linesPerSecond: number,
  ) {
    this.environment = environment;
    // A channel needs up to two commands, and each round up to two pings.
    this.#maxPerRound = Math.max(1, Math.floor((linesPerSecond - 2) / 2));
    this.all = channels.map((channel, i) => {
      // Every connection is subscribed to `all`.
      const mayBeSubscribed = channel === EVERYONE && i > 0;
      return {
        channel,
        position: resumed?.[i],
        from: from === undefined || mayBeSubscribed ? { since: "now" } : from,
        state: i === 0 ? "asked" : "due",
        mayBeSubscribed,
        gapTo: undefined,
      };
    });
    this.#byChannel = new Map(this.all.map((subscription) => [subscription.channel, subscription]));
    this.#isResuming = resumed !== undefined;
    this.#hasAllMessages = !resumed || this.all.every((subscription) => positionOf(subscription) !== undefined);
  }

  /** The position in each channel. */
  protected get positions(): Positions {
    return this.all.map(({ position }) => position);
  }

  /** Sets the position in each channel, after messages that another stream has counted. */
  protected setPositions(positions: Readonly<Positions>): void {
    for (const [i, subscription] of this.all.entries()) subscription.position = positions[i];
  }

  /** Whether the messages of all channels are part of the stream. */
  protected get isLive(): boolean {
    return this.all.every(({ state }) => state === "live");
  }

  /** Where to start in the connection's own channel. */
  get from(): From | undefined {
    return this.all[0] && fromOf(this.all[0]);
  }

  /** Returns the subscription of a live channel; undefined for others. */
  liveSubscription(channel: string): Subscription | undefined {
    const subscription = this.#byChannel.get(channel);
    return subscription?.state === "live" ? subscription : undefined;
  }

  /** When to call `commands` next, in milliseconds since 1970; Infinity for never. */
  get dueAt(): number {
    return this.#pings > 0 ? this.#answeredAt + COMMAND_TIMEOUT : this.#dueAt;
  }

  /** Why the stream can't continue; undefined if it can. */
  get fault(): Fault | undefined {
    const isStuck = this.#pings > 0 && this.environment.now() >= this.dueAt;
    if (!isStuck) return undefined;
    return { code: "unavailable", why: "the channel's object doesn't execute commands; connect again" };
  }

  /** Returns the commands that are due: subscriptions, and a `ping` whose reply shows that all are executed. */
  commands(): string {
    if (this.#pings > 0 || this.environment.now() < this.dueAt) return "";
    const due = this.all.filter(({ state }) => state === "due").slice(0, this.#maxPerRound);
    const leave: string[] = [];
    for (const subscription of due) {
      subscription.state = mustUnsubscribe(subscription) ? "leaving" : "asked";
      const { channel, state } = subscription;
      if (state === "leaving") leave.push(`${formatCommand({ kind: "unsubscribe", channel })}\n`);
    }
    if (leave.length > 0) leave.push(PING);
    this.#pings = leave.length > 0 ? 2 : 1;
    this.#answeredAt = this.environment.now();
    return [...leave, ...due.map(subscribeCommand), PING].join("");
  }

  /**
   * Handles a position that the object reports.
   * @returns whether it concerns the stream, and not an earlier subscription
   */
  onPosition(channel: string, position: number): boolean {
    const subscription = this.#byChannel.get(channel);
    if (subscription?.state === "asked" && isAnswer(subscription, position)) this.#goLive(subscription);
    if (subscription?.state !== "live") return false;
    subscription.position = position;
    return true;
  }

  /** Handles a gap that the object reports. Returns like `onPosition`. */
  onGap(channel: string, from: number, to: number): boolean {
    const subscription = this.#byChannel.get(channel);
    if (subscription?.state !== "asked" && subscription?.state !== "live") return false;
    if (subscription.position === undefined || subscription.position === from) subscription.gapTo = to;
    this.#hasAllMessages = false;
    return true;
  }

  /** Handles a command that the object refused. Returns like `onPong`. */
  onError({ command, argument, code }: Refusal): Resumed {
    if (command === "ping") return this.onPong();
    const subscription = this.#byChannel.get(argument ?? "");
    const isAnswer = command === "subscribe" && subscription?.state === "asked";
    const isStillSubscribed = command === "unsubscribe" && subscription?.state === "leaving";
    if (!subscription || !(isAnswer || isStillSubscribed)) return undefined;
    if (code === "no-history") {
      this.#goLive(subscription);
      subscription.position = undefined;
      this.#hasAllMessages = false;
    } else if (isTemporary(code)) this.#postpone(subscription);
    else {
      subscription.state = "refused";
      this.#hasAllMessages = false;
    }
    return undefined;
  }

  /**
   * Handles a reply to `ping`.
   * @returns the result of resuming, when that is complete
   */
  onPong(): Resumed {
    if (this.#pings === 0) return undefined;
    this.#pings -= 1;
    this.#answeredAt = this.environment.now();
    for (const subscription of this.all) {
      if (subscription.state === "leaving") subscription.state = "asked";
      else if (subscription.state === "asked" && this.#pings === 0) this.#postpone(subscription);
    }
    if (this.#pings > 0) return undefined;
    const isDone = this.all.every(({ state }) => state !== "due");
    this.#dueAt = isDone ? Number.POSITIVE_INFINITY : this.environment.now() + this.#retryDelay();
    if (!this.#isResuming || !isDone) return undefined;
    this.#isResuming = false;
    return this.#hasAllMessages ? "complete" : "gap";
  }

  /** Returns the delay before the next round of commands, in milliseconds. */
  #retryDelay(): number {
    if (this.#hasProgressed) this.#failures = 0;
    const delay = Math.min(LONGEST_RETRY_DELAY, RETRY_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    this.#hasProgressed = false;
    return delay * (1 + this.environment.random());
  }

  #goLive(subscription: Subscription): void {
    subscription.state = "live";
    this.#hasProgressed = true;
    this.#answeredAt = this.environment.now();
  }

  #postpone(subscription: Subscription): void {
    subscription.state = "due";
    // Also after a refusal: an object always subscribes a connection to its own channel.
    subscription.mayBeSubscribed = true;
    this.#answeredAt = this.environment.now();
  }
}

/** Whether a reported position can be the answer to `subscribe`: it is the one asked for, or the end of a gap. */
function isAnswer(subscription: Subscription, position: number): boolean {
  const since = positionOf(subscription);
  return since === undefined || position === since || position === subscription.gapTo;
}

function positionOf(subscription: Subscription): number | undefined {
  const from = fromOf(subscription);
  return "since" in from && from.since !== "now" ? from.since : undefined;
}

function fromOf({ position, from }: Subscription): From {
  return position === undefined ? from : { since: position };
}

/** While a connection is subscribed, it can't subscribe again, except with `since now`. */
function mustUnsubscribe(subscription: Subscription): boolean {
  const from = fromOf(subscription);
  return subscription.mayBeSubscribed && ("last" in from || from.since !== "now");
}

function subscribeCommand(subscription: Subscription): string {
  return `${formatCommand({ kind: "subscribe", channel: subscription.channel, from: fromOf(subscription) })}\n`;
}
