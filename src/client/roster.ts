/** The members of a channel: a list from the server, and the changes since. */
import { parseChange } from "../protocol/members.ts";
import { Feed } from "./iterator.ts";
import { addFor, emit, type ListenersByKind } from "./listeners.ts";
import type { List } from "./transport.ts";
import type {
  MemberChange,
  Members,
  MembersEvents,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from "./types.ts";

/** Most buffered changes of a loop. */
const BUFFER = 20_000;

/**
 * Subscribes, and asks for the list in the same frame. Then it resumes from the list's position, which takes another
 * round trip only if a change was on its way.
 */
export class Roster implements Members {
  readonly channel: string;
  state: SubscriptionState = "subscribing";
  readonly current = new Map<string, string>();
  readonly ready: Promise<void>;
  readonly #open: (options: SubscribeOptions) => Subscription;
  readonly #ask: (signal: AbortSignal) => Promise<List>;
  readonly #listeners: ListenersByKind<MembersEvents> = {
    added: new Set(),
    updated: new Set(),
    removed: new Set(),
    state: new Set(),
  };
  readonly #feeds = new Set<Feed<MemberChange>>();
  readonly #abort = new AbortController();
  #subscription: Subscription;
  /** Whether `current` was true at the subscription's start. */
  #isListed = false;
  #error: Error | undefined;
  #settleReady: (error?: Error) => void = () => {};

  /**
   * @param open subscribes to its presence channel
   * @param ask returns the channel's members, unless the signal is aborted
   */
  constructor(
    channel: string,
    open: (options: SubscribeOptions) => Subscription,
    ask: (signal: AbortSignal) => Promise<List>,
  ) {
    this.channel = channel;
    this.#open = open;
    this.#ask = ask;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error ? reject(error) : resolve());
    });
    // Programs need not use it.
    this.ready.catch(() => {});
    this.#subscription = this.#subscribe();
    this.#list();
  }

  // --- for programs

  readonly unsubscribe = (): void => this.#end();

  readonly on = <K extends keyof MembersEvents>(kind: K, listener: (event: MembersEvents[K]) => void): (() => void) =>
    addFor(this.#listeners, kind, listener);

  readonly [Symbol.asyncIterator] = (): AsyncIterableIterator<MemberChange> => {
    const feed = new Feed<MemberChange>(() => {
      this.#feeds.delete(feed);
      if (this.#feeds.size === 0) this.unsubscribe();
    });
    const { channel } = this;
    for (const [member, data] of this.current) feed.push({ kind: "added", channel, member, data });
    if (this.state === "unsubscribed") feed.end(this.#error);
    else this.#feeds.add(feed);
    return feed;
  };

  // --- following

  #subscribe(since?: number): Subscription {
    const subscription: Subscription = this.#open({
      since,
      onMessage: ({ text }) => this.#apply(text),
      onGap: () => {
        if (this.#isListed) this.#list();
      },
      onState: (state, _, error) => {
        if (state !== "unsubscribed") this.#refresh();
        else if (subscription === this.#subscription) this.#end(error);
      },
    });
    return subscription;
  }

  /** Asks for the list. Until the reply it ignores changes, as the subscription then resumes from the list's position. */
  #list(): void {
    this.#isListed = false;
    this.#refresh();
    this.#ask(this.#abort.signal).then(
      ({ position, members }) => {
        this.#update(new Set([...this.current.keys(), ...members.keys()]), members);
        if (this.state === "unsubscribed") return;
        this.#isListed = true;
        const before = this.#subscription;
        this.#subscription = this.#subscribe(position);
        before.unsubscribe();
        this.#settleReady();
        this.#refresh();
      },
      (error) => this.#end(error),
    );
  }

  #apply(text: string): void {
    const change = this.#isListed && parseChange(text);
    if (!change) return;
    const { member } = change;
    this.#update([member], new Map(change.kind === "leave" ? [] : [[member, change.data]]));
  }

  /** Updates some members, and reports the changes. */
  #update(some: Iterable<string>, now: ReadonlyMap<string, string>): void {
    const { channel, current } = this;
    const changes: MemberChange[] = [];
    for (const member of some) {
      const [before, after] = [current.get(member), now.get(member)];
      if (before === after) continue;
      if (after === undefined) current.delete(member);
      else current.set(member, after);
      const kind = after === undefined ? "removed" : before === undefined ? "added" : "updated";
      changes.push({ kind, channel, member, data: after ?? before ?? "" });
    }
    for (const change of changes) if (this.state !== "unsubscribed") this.#report(change);
  }

  #report(change: MemberChange): void {
    emit(this.#listeners[change.kind], change);
    for (const feed of this.#feeds) {
      feed.push(change);
      if (feed.size > BUFFER) this.#end(new Error(`more than ${BUFFER} changes are pending; read faster`));
    }
  }

  #refresh(): void {
    const isLive = this.#isListed && this.#subscription.state === "subscribed";
    this.#become(isLive ? "subscribed" : "subscribing");
  }

  #become(state: SubscriptionState, error?: Error): void {
    if (this.state === state || this.state === "unsubscribed") return;
    this.state = state;
    emit(this.#listeners.state, { state, error });
  }

  #end(error?: Error): void {
    if (this.state === "unsubscribed") return;
    this.#error = error;
    this.#become("unsubscribed", error);
    this.#abort.abort();
    this.#subscription.unsubscribe();
    this.#settleReady(error);
    for (const feed of this.#feeds) feed.end(error);
  }
}
