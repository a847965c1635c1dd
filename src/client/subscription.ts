/** One subscription of a program: callbacks, or an iterator with a buffer of its own. */

export interface Message {
  channel: string;
  text: string;
  /** Undefined where no history is kept. */
  position: number | undefined;
}

/** Messages after `from`, up to `to`, that are not to be had; `to` is undefined where nobody can tell. */
export interface Gap {
  channel: string;
  from: number;
  to: number | undefined;
}

export type SubscriptionState = "subscribing" | "subscribed" | "unsubscribed";

export interface SubscribeOptions {
  /** A position from an earlier time: what came after it comes first. */
  since?: number | undefined;
  /** So many of the newest messages come first, where no position is given. */
  last?: number | undefined;
  /** Called for each message; the position has advanced by then. */
  onMessage?(message: Message): void;
  onGap?(gap: Gap): void;
  /** Called with each position that is reached, so that it can be kept. */
  onPosition?(position: number): void;
  /** Called with a reason where it cannot be subscribed to. */
  onState?(state: SubscriptionState, reason?: string, error?: Error): void;
  /** Messages that may wait for who iterates; 1,000 if nothing is said. */
  buffer?: number;
  /** What becomes of one more: the iteration ends with an error, or the oldest go, which is a gap. */
  overflow?: "end" | "oldest";
}

const BUFFER = 1_000;

export class Subscription implements AsyncIterable<Message> {
  readonly channel: string;
  readonly options: SubscribeOptions;
  state: SubscriptionState = "subscribing";
  /** Of the newest message that has been handed over; undefined before it is known, and where no history is kept. */
  position: number | undefined;
  readonly #leave: (subscription: Subscription) => void;
  #waiting: Message[] | undefined;
  #error: Error | undefined;
  #noticed = () => {};

  /** @param leave ends it */
  constructor(channel: string, options: SubscribeOptions, leave: (subscription: Subscription) => void) {
    this.channel = channel;
    this.options = options;
    this.position = options.since;
    this.#leave = leave;
  }

  unsubscribe(): void {
    this.#leave(this);
  }

  /** What comes from now on, until it is unsubscribed; breaking off unsubscribes. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    const waiting: Message[] = [];
    this.#waiting = waiting;
    try {
      for (;;) {
        const next = waiting.shift();
        if (next) yield next;
        else if (this.#error) throw this.#error;
        else if (this.state === "unsubscribed") return;
        else
          await new Promise<void>((resolve) => {
            this.#noticed = resolve;
          });
      }
    } finally {
      this.#waiting = undefined;
      this.unsubscribe();
    }
  }

  // --- for the client

  hear(message: Message): void {
    this.reach(message.position);
    tell(() => this.options.onMessage?.(message));
    if (!this.#waiting) return;
    this.#waiting.push(message);
    const { buffer = BUFFER, overflow = "end" } = this.options;
    if (this.#waiting.length > buffer) {
      if (overflow === "end") this.fail(new Error(`more than ${buffer} messages wait to be read`));
      else this.#drop(this.#waiting.shift() ?? message);
    }
    this.#noticed();
  }

  reach(position: number | undefined): void {
    if (position === this.position) return;
    this.position = position;
    if (position !== undefined) tell(() => this.options.onPosition?.(position));
  }

  miss(gap: Gap): void {
    tell(() => this.options.onGap?.(gap));
  }

  become(state: SubscriptionState, error?: Error): void {
    if (state === this.state) return;
    this.state = state;
    tell(() => this.options.onState?.(state, error?.message, error));
    this.#noticed();
  }

  /** It is over, and who iterates is to know why. */
  fail(error: Error): void {
    this.#error = error;
    this.become("unsubscribed", error);
    this.#leave(this);
  }

  #drop({ channel, position }: Message): void {
    if (position !== undefined) this.miss({ channel, from: position - 1, to: position });
  }
}

/** Calls what a program has given; what that throws is its own affair, and nothing else is missed for it. */
export function tell(act: () => void): void {
  try {
    act();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
