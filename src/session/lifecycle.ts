/** A connection's life: it is let in, greeted, and one day closed or gone. */
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
import { whenTaken } from "./commits.ts";
import type { Connection, Connections } from "./connections.ts";
import type { Socket } from "./socket.ts";

/** How long a connection's greeting waits for the root of `all`, in milliseconds. */
const ROOT_GRACE = 2_000;

/** How long a client may take to take its greeting, in milliseconds. */
const GREETING_GRACE = 10_000;

/** Counts the connections of the whole service against its limit. */
interface ClientLimit {
  /** Resolves with whether one more connection is admitted. */
  admit(): Promise<boolean>;
  /** An admitted connection has closed. */
  release(): void;
}

export interface LifecycleParts {
  runtime: Runtime;
  connections: Connections;
  router: Router;
  counters: Counters;
  /** Undefined if the number of connections is unlimited. */
  clientLimit: ClientLimit | undefined;
  /** Told when the last connection has closed. */
  reporter: { emptied(): void };
}

export class Lifecycle {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #router: Router;
  readonly #counters: Counters;
  /** Undefined where the number of connections is not limited. */
  readonly #limit: ClientLimit | undefined;
  readonly #reporter: { emptied(): void };
  /** When connections were greeted that are not known to have taken that yet. */
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
   * Lets a connection in, if it may come in; its greeting says that it hears this object's channel and `all`.
   * @param resume where it is to hear the channel from somewhere on: subscribes it there
   */
  async greet(connection: Connection, resume?: (channel: string) => Promise<void>): Promise<void> {
    if (this.#limit) await this.#awhile(this.#admit(connection, this.#limit));
    if (connection.closed) return;
    this.#counters.count("connections");
    this.#counters.holds(this.#connections.size);
    const joined = this.#router.joinEveryone();
    if (joined) await this.#awhile(joined);
    const channel = channelOf(this.#runtime.name);
    try {
      while (!connection.closed && !this.#router.isLive(channel)) await this.#router.join(channel);
      if (connection.closed) this.#router.leaveIfUnneeded(channel);
      else await this.#welcome(connection, channel, resume);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "subscribing to the channel failed";
      this.close(connection, "unreachable", `${why}; connect again`);
    }
  }

  async #welcome(connection: Connection, channel: string, resume?: (channel: string) => Promise<void>) {
    for (const heard of new Set([EVERYONE, channel])) {
      if (heard !== channel || !resume) this.subscribe(connection, heard);
    }
    this.#connections.tell(connection, GREETING);
    this.#greeted.set(connection, this.#runtime.now());
    await resume?.(channel);
  }

  /**
   * Subscribes a connection to a channel that reaches this object, unless it is subscribed already.
   * @param isCounted whether its client was told from which position it is subscribed
   */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    if (connection.channels.has(channel)) {
      if (isCounted) this.#connections.count(connection, channel);
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

  /** Closes a connection, with the close code and the error code of the cause, and a sentence. */
  close(connection: Connection, cause: ClosingCause, why: string): void {
    if (connection.closed) return;
    this.#counters.note(`closes.${cause}`);
    // It is sent what is gathered for it: nobody is to know of what a crash could take back.
    this.#router.store();
    const { status, code } = CLOSINGS[cause];
    this.#end(connection, () => this.#connections.close(connection, status, formatReason({ code, why })));
  }

  /** Closes all who are subscribed to a channel of which messages are missing. */
  lost(channel: string): void {
    for (const connection of this.#connections.subscribersOf(channel)) {
      this.close(connection, "lost", "messages may be missing; connect again");
    }
  }

  /** Closes a connection that does not take what is sent to it. */
  closeSlow(connection: Connection): void {
    this.#connections.drop(connection);
    this.close(
      connection,
      "slow",
      "the client reads too slowly, so messages would be missing; connect again",
    );
  }

  /** Closes a connection whose grants don't fit the server's settings. */
  closeOutdated(connection: Connection, fault: GrantsFault): void {
    if (fault === "outdated") {
      const why = "your token's key isn't valid any more; connect again with a new token";
      this.close(connection, "outdated", why);
    } else if (fault === "missing") {
      this.close(connection, "unauthorized", "this server requires a token now; connect again with one");
    } else {
      this.close(connection, "settings", "this server requires no tokens any more; connect again");
    }
  }

  /** Closes a connection whose grants have ended. What is gathered for it may have been announced after that. */
  closeEnded(connection: Connection): void {
    this.#connections.drop(connection);
    this.close(connection, "expired", "your token has expired; connect again with a new one");
  }

  /** Closes a connection that couldn't outlive hibernation, and would miss all that comes after it. */
  closeUnkept(connection: Connection): void {
    this.close(connection, "unkept", "the server can't keep this connection's subscriptions; connect again");
  }

  /** A socket has closed by itself. */
  gone(socket: Socket): void {
    const connection = this.#connections.of(socket);
    if (connection) {
      this.#counters.note("closes.client");
      this.#end(connection, () => this.#connections.remove(connection));
    } else this.#connections.forget(socket);
  }

  /**
   * Closes connections that do not take their greeting. The runtime does not tell that a client has gone
   * before its request was answered: nothing else would ever end what it has left.
   * @returns whether there are some of which that is not known yet
   */
  closeUnreached(): boolean {
    const due: Connection[] = [];
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || connection.outbox.hasTaken) this.#greeted.delete(connection);
      else if (this.#runtime.now() - since >= GREETING_GRACE) due.push(connection);
    }
    if (due.length > 0) this.#runtime.keep(this.#closeUntaken(due));
    return this.#greeted.size > 0;
  }

  /** Not before what a commit holds back has gone out. */
  async #closeUntaken(greeted: Connection[]): Promise<void> {
    const untaken = () => greeted.filter(({ outbox }) => !outbox.hasTaken);
    await whenTaken(this.#runtime, () => untaken().length === 0);
    for (const connection of untaken()) {
      this.close(connection, "greeting", "the client didn't read the greeting; connect again");
    }
  }

  /** Waits for the root of `all`, but not so long that the service fails with it. */
  #awhile(work: Promise<void>): Promise<void> {
    return this.#runtime.within(ROOT_GRACE, work);
  }

  /** Lets a connection in, or turns it away if it is one too many. */
  async #admit(connection: Connection, limit: ClientLimit): Promise<void> {
    const admitted = await limit.admit();
    if (connection.closed && admitted) limit.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.#connections.tell(connection, BUSY);
    this.close(connection, "busy", SERVICE_FULL);
  }

  /** Ends what was only there for a connection. */
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
