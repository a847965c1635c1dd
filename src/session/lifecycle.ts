/** Admits, greets and closes connections. */
import { EVERYONE } from "../protocol/channels.ts";
import { CLOSINGS, type ClosingCause } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { SERVICE_FULL } from "../protocol/refusals.ts";
import { BUSY, GREETING } from "../protocol/replies.ts";
import { channelOf } from "../runtime/object-names.ts";
import { Unreachable } from "../tree/upstream.ts";
import { whenReadable } from "./commits.ts";
import type { Connection } from "./connection.ts";
import type { SessionParts } from "./parts.ts";
import type { Socket } from "./socket.ts";

/** How long a greeting waits for the root of `all`, in milliseconds: only briefly, so that the service works without it. */
const ROOT_GRACE = 2_000;

/** How long a client may take to read its greeting, in milliseconds. */
const GREETING_GRACE = 10_000;

export class Lifecycle {
  readonly #parts: SessionParts;
  /** When connections were greeted, until their clients have read the greeting. */
  readonly #greeted = new Map<Connection, number>();

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /**
   * Admits a connection, subscribes it to this object's channel and `all`, and greets it.
   * @param resume subscribes it to the channel from a position, if its URL has one
   */
  async greet(connection: Connection, resume?: (channel: string) => Promise<void>): Promise<void> {
    const { runtime, connections, router, counters, clientLimit } = this.#parts;
    if (clientLimit) await runtime.within(ROOT_GRACE, this.#admit(connection, clientLimit));
    if (connection.closed) return;
    counters.count("connections");
    counters.holds(connections.size);
    const joined = router.joinEveryone();
    if (joined) await runtime.within(ROOT_GRACE, joined);
    const channel = channelOf(runtime.name);
    try {
      while (!connection.closed && !router.isLive(channel)) await router.upstream.join(channel);
      if (connection.closed) router.leaveIfUnneeded(channel);
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
    this.#parts.connections.send(connection, GREETING);
    this.#greeted.set(connection, this.#parts.runtime.now());
    await resume?.(channel);
  }

  /**
   * Subscribes a connection to a channel that is live here, unless it is subscribed already.
   * @param isCounted whether the server has sent the client its position
   */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    const { connections, counters } = this.#parts;
    if (connection.channels.has(channel)) {
      if (isCounted) connections.markCounted(connection, channel);
      return;
    }
    connections.subscribe(connection, channel, isCounted);
    counters.count("subscribes");
  }

  /** Ends a subscription, if there is one. */
  unsubscribe(connection: Connection, channel: string): void {
    if (!connection.channels.has(channel)) return;
    const { connections, counters, router } = this.#parts;
    if (connection.counted.has(channel)) router.retainPosition(channel);
    connections.unsubscribe(connection, channel);
    counters.count("unsubscribes");
    router.leaveIfUnneeded(channel);
  }

  /** Closes a connection, with the close code and the error code of `cause`. */
  close(connection: Connection, cause: ClosingCause, why: string): void {
    if (connection.closed) return;
    const { connections, counters, router } = this.#parts;
    counters.note(`closes.${cause}`);
    // Closing sends buffered lines. Store their messages first, so that a crash can't take them back.
    router.channel.store();
    const { status, code } = CLOSINGS[cause];
    this.#end(connection, () => connections.close(connection, status, formatReason({ code, why })));
  }

  /** Closes all subscribers of a channel after its messages were lost. */
  lost(channel: string): void {
    for (const connection of [...this.#parts.connections.subscriptions.of(channel)]) {
      this.close(connection, "lost", "messages may be missing; connect again");
    }
  }

  /** Closes a slow consumer. */
  closeSlow(connection: Connection): void {
    this.#parts.connections.discardBuffered(connection);
    this.close(connection, "slow", "the client reads too slowly, so messages would be missing; connect again");
  }

  /** Handles the end of a socket's network connection. */
  socketClosed(socket: Socket): void {
    const { connections, counters } = this.#parts;
    const connection = connections.of(socket);
    if (connection) {
      counters.note("closes.client");
      this.#end(connection, () => connections.remove(connection));
    } else connections.budget.socketClosed(socket);
  }

  /**
   * Closes connections whose clients don't read their greeting. The runtime doesn't report clients that disconnect during
   * the upgrade, so their connections would stay open forever.
   * @returns whether any greetings are still unread
   */
  closeUnread(): boolean {
    const { runtime } = this.#parts;
    const due: Connection[] = [];
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || connection.output.hasBeenRead) this.#greeted.delete(connection);
      else if (runtime.now() - since >= GREETING_GRACE) due.push(connection);
    }
    if (due.length > 0) runtime.keep(this.#closeIfUnread(due));
    return this.#greeted.size > 0;
  }

  /** Closes them after the commit that may hold back their greetings. */
  async #closeIfUnread(greeted: Connection[]): Promise<void> {
    const unread = () => greeted.filter(({ output }) => !output.hasBeenRead);
    await whenReadable(this.#parts.runtime, () => unread().length === 0);
    for (const connection of unread()) {
      this.close(connection, "greeting", "the client didn't read the greeting; connect again");
    }
  }

  /** Admits a connection, or closes it if the service is full. */
  async #admit(connection: Connection, limit: NonNullable<SessionParts["clientLimit"]>): Promise<void> {
    const admitted = await limit.admit();
    if (connection.closed && admitted) limit.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.#parts.connections.send(connection, BUSY);
    this.close(connection, "busy", SERVICE_FULL);
  }

  /** Removes a connection, and what existed only for it. */
  #end(connection: Connection, end: () => void): void {
    const { connections, counters, router, clientLimit, reporter, presence } = this.#parts;
    presence.end(connection);
    const channels = [...connection.channels];
    for (const channel of connection.counted) router.retainPosition(channel);
    end();
    counters.count("unsubscribes", channels.length);
    for (const channel of channels) router.leaveIfUnneeded(channel);
    router.leaveIfUnneeded(EVERYONE);
    if (connection.admitted) clientLimit?.release();
    if (connections.size === 0) reporter.emptied();
  }
}
