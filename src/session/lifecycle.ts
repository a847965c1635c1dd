/** Admits, greets and closes connections. */
import type { GrantsFault } from "../auth/grants.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { CLOSINGS, type ClosingCause } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { SERVICE_FULL } from "../protocol/refusals.ts";
import { BUSY, GREETING } from "../protocol/replies.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import type { Router } from "../tree/router.ts";
import { Unreachable } from "../tree/upstream.ts";
import { whenReadable } from "./commits.ts";
import type { Connection, Connections } from "./connections.ts";
import type { Socket } from "./socket.ts";

/** How long a greeting waits for the root of `all`, in milliseconds. */
const ROOT_GRACE = 2_000;

/** How long a client may take to read its greeting, in milliseconds. */
const GREETING_GRACE = 10_000;

/** Counts the connections of the whole service against its limit. */
interface ClientLimit {
  /** Resolves to whether another connection is admitted. */
  admit(): Promise<boolean>;
  /** Frees the slot of an admitted connection. */
  release(): void;
}

export interface LifecycleParts {
  runtime: Runtime;
  connections: Connections;
  router: Router;
  counters: Counters;
  /** Undefined if the number of connections is unlimited. */
  clientLimit: ClientLimit | undefined;
  /** Notified when the last connection has closed. */
  reporter: { emptied(): void };
}

export class Lifecycle {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #router: Router;
  readonly #counters: Counters;
  /** Undefined if the number of connections is not limited. */
  readonly #limit: ClientLimit | undefined;
  readonly #reporter: { emptied(): void };
  /** When connections were greeted, until their clients have read the greeting. */
  readonly #greeted = new Map<Connection, number>();

  constructor({ runtime, connections, router, counters, clientLimit, reporter }: LifecycleParts) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#router = router;
    this.#counters = counters;
    this.#limit = clientLimit;
    this.#reporter = reporter;
  }

  /**
   * Admits a connection, subscribes it to this object's channel and `all`, and greets it.
   * @param resume subscribes it to the channel from a position, if its URL has one
   */
  async greet(connection: Connection, resume?: (channel: string) => Promise<void>): Promise<void> {
    if (this.#limit) await this.#withGrace(this.#admit(connection, this.#limit));
    if (connection.closed) return;
    this.#counters.count("connections");
    this.#counters.holds(this.#connections.size);
    const joined = this.#router.joinEveryone();
    if (joined) await this.#withGrace(joined);
    const channel = channelOf(this.#runtime.name);
    try {
      while (!connection.closed && !this.#router.isLive(channel)) await this.#router.join(channel);
      if (connection.closed) this.#router.leaveIfUnneeded(channel);
      else await this.#subscribeAndGreet(connection, channel, resume);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "subscribing to the channel failed";
      this.close(connection, "unreachable", `${why}; connect again`);
    }
  }

  async #subscribeAndGreet(connection: Connection, channel: string, resume?: (channel: string) => Promise<void>) {
    for (const each of new Set([EVERYONE, channel])) {
      if (each !== channel || !resume) this.subscribe(connection, each);
    }
    this.#connections.send(connection, GREETING);
    this.#greeted.set(connection, this.#runtime.now());
    await resume?.(channel);
  }

  /**
   * Subscribes a connection to a channel that is live here, unless it is subscribed already.
   * @param isCounted whether the server has sent the client its position
   */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    if (connection.channels.has(channel)) {
      if (isCounted) this.#connections.markCounted(connection, channel);
      return;
    }
    this.#connections.subscribe(connection, channel, isCounted);
    this.#counters.count("subscribes");
  }

  /** Ends a subscription, if there is one. */
  unsubscribe(connection: Connection, channel: string): void {
    if (!connection.channels.has(channel)) return;
    if (connection.counted.has(channel)) this.#router.retainPosition(channel);
    this.#connections.unsubscribe(connection, channel);
    this.#counters.count("unsubscribes");
    this.#router.leaveIfUnneeded(channel);
  }

  /** Closes a connection, with the close code and the error code of `cause`. */
  close(connection: Connection, cause: ClosingCause, why: string): void {
    if (connection.closed) return;
    this.#counters.note(`closes.${cause}`);
    // Closing sends buffered lines. Store their messages first, so that a crash can't take them back.
    this.#router.store();
    const { status, code } = CLOSINGS[cause];
    this.#end(connection, () => this.#connections.close(connection, status, formatReason({ code, why })));
  }

  /** Closes all subscribers of a channel after its messages were lost. */
  lost(channel: string): void {
    for (const connection of this.#connections.subscribersOf(channel)) {
      this.close(connection, "lost", "messages may be missing; connect again");
    }
  }

  /** Closes a slow consumer. */
  closeSlow(connection: Connection): void {
    this.#connections.discardBuffered(connection);
    this.close(connection, "slow", "the client reads too slowly, so messages would be missing; connect again");
  }

  /** Closes a connection whose grants don't fit the server's settings. */
  closeOutdated(connection: Connection, fault: GrantsFault): void {
    if (fault === "outdated") {
      const why = "your token's key is no longer valid; connect again with a new token";
      this.close(connection, "outdated", why);
    } else if (fault === "missing") {
      this.close(connection, "unauthorized", "this server requires a token now; connect again with one");
    } else {
      this.close(connection, "settings", "this server no longer requires tokens; connect again");
    }
  }

  /** Closes a connection whose grants have expired. Discards its buffered lines, which may be newer than that. */
  closeExpired(connection: Connection): void {
    this.#connections.discardBuffered(connection);
    this.close(connection, "expired", "your token has expired; connect again with a new one");
  }

  /** Closes a connection whose state can't be persisted, because it would receive nothing after hibernation. */
  closeUnkept(connection: Connection): void {
    this.close(connection, "unkept", "the server can't store this connection's subscriptions; connect again");
  }

  /** Handles the end of a socket's network connection. */
  socketClosed(socket: Socket): void {
    const connection = this.#connections.of(socket);
    if (connection) {
      this.#counters.note("closes.client");
      this.#end(connection, () => this.#connections.remove(connection));
    } else this.#connections.socketClosed(socket);
  }

  /**
   * Closes connections whose clients don't read their greeting. The runtime doesn't report clients that disconnect during
   * the upgrade, so their connections would stay open forever.
   * @returns whether any greetings are still unread
   */
  closeUnread(): boolean {
    const due: Connection[] = [];
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || connection.output.hasBeenRead) this.#greeted.delete(connection);
      else if (this.#runtime.now() - since >= GREETING_GRACE) due.push(connection);
    }
    if (due.length > 0) this.#runtime.keep(this.#closeIfUnread(due));
    return this.#greeted.size > 0;
  }

  /** Closes them after the commit that may hold back their greetings. */
  async #closeIfUnread(greeted: Connection[]): Promise<void> {
    const unread = () => greeted.filter(({ output }) => !output.hasBeenRead);
    await whenReadable(this.#runtime, () => unread().length === 0);
    for (const connection of unread()) {
      this.close(connection, "greeting", "the client didn't read the greeting; connect again");
    }
  }

  /** Waits for the root of `all`, but only briefly, so that the service works without it. */
  #withGrace(work: Promise<void>): Promise<void> {
    return this.#runtime.within(ROOT_GRACE, work);
  }

  /** Admits a connection, or closes it if the service is full. */
  async #admit(connection: Connection, limit: ClientLimit): Promise<void> {
    const admitted = await limit.admit();
    if (connection.closed && admitted) limit.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.#connections.send(connection, BUSY);
    this.close(connection, "busy", SERVICE_FULL);
  }

  /** Removes a connection, and what existed only for it. */
  #end(connection: Connection, end: () => void): void {
    const channels = [...connection.channels];
    for (const channel of connection.counted) this.#router.retainPosition(channel);
    end();
    this.#counters.count("unsubscribes", channels.length);
    for (const channel of channels) this.#router.leaveIfUnneeded(channel);
    this.#router.leaveIfUnneeded(EVERYONE);
    if (connection.admitted) this.#limit?.release();
    if (this.#connections.size === 0) this.#reporter.emptied();
  }
}
