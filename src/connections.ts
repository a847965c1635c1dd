/** The sockets of one object, what each is subscribed to, and what is about to be sent to them. */
import { type Bucket, newBucket } from "./bucket.ts";
import { type Grants, hasEnded, isGrants, isNames } from "./grants.ts";
import { isLongerThan } from "./protocol.ts";
import { type Backlog, framesOf, newBacklog, type Sender, sendFrames, weightOf } from "./sending.ts";

/**
 * Bytes that the names in a connection's attachment may take. The runtime allows 16,384 in all,
 * https://developers.cloudflare.com/durable-objects/best-practices/websockets/
 */
const MAX_ATTACHED_BYTES = 15_000;

/** Sent to a client whose stream would have a hole: come back and subscribe again. */
export const TRY_AGAIN = 1013;
/** Sent to a client that broke a limit. */
export const POLICY = 1008;
/** Sent to a client whose frame is too long. */
export const TOO_BIG = 1009;

/** What survives hibernation, as the socket's attachment. A socket that we have closed has none. */
interface Attachment {
  channels: string[];
  grants?: Grants | undefined;
}

/** What else is used of a WebSocket of the runtime's. */
export interface Socket extends Sender {
  close(code: number, reason: string): void;
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

/** Where the runtime keeps the sockets of an object while that is not in memory. */
export interface Sockets {
  acceptWebSocket(socket: Socket): void;
  getWebSockets(): Socket[];
}

export interface Connection {
  readonly socket: Socket;
  readonly channels: Set<string>;
  /** What its token allows; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** Lines gathered for the next frame. */
  outgoing: string;
  readonly backlog: Backlog;
  /** Lines that it may send. */
  readonly lines: Bucket;
  /** Lines too many that it may send. */
  readonly refusals: Bucket;
  /** Whether it has been let in, where the number of connections is limited. */
  admitted: boolean;
  closed: boolean;
}

function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== "object" || value === null || !("channels" in value)) return false;
  return isNames(value.channels) && (!("grants" in value) || isGrants(value.grants));
}

/** Bytes that one name takes in an attachment: V8 writes Latin-1 as it is and all else as UTF-16. */
function attachedBytes(name: string): number {
  return 8 + name.length * (isLongerThan(name, name.length) ? 2 : 1);
}

/**
 * Holds the sockets and an index from channel to sockets. What is said to them is gathered until
 * `flush`, which sends each socket one frame with all of it, in the order in which it was said.
 */
export class Connections {
  readonly #sockets: Sockets;
  readonly #onOutgoing: () => void;
  readonly #maxBuffered: number;
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #byChannel = new Map<string, Set<Connection>>();
  readonly #unflushed = new Set<Connection>();
  /** Lines of one channel in a row, not yet handed to each of its subscribers. */
  #run: { channel: string; lines: string } | undefined;
  #subscriptions = 0;
  #gathered = 0;

  /**
   * Takes up the sockets that hibernated with this object.
   * @param maxBuffered bytes that may wait for one client before it counts as too slow
   * @param onOutgoing called when something has been gathered, so that a flush is due
   */
  constructor(sockets: Sockets, maxBuffered: number, onOutgoing: () => void) {
    this.#sockets = sockets;
    this.#maxBuffered = maxBuffered;
    this.#onOutgoing = onOutgoing;
    for (const socket of sockets.getWebSockets()) {
      const attached: unknown = socket.deserializeAttachment();
      if (!isAttachment(attached)) continue;
      const connection = this.#add(socket, attached.grants);
      connection.admitted = true;
      for (const channel of attached.channels) this.#index(connection, channel);
    }
  }

  get size(): number {
    return this.#bySocket.size;
  }

  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** The channels that have subscribers here. */
  get channels(): Iterable<string> {
    return this.#byChannel.keys();
  }

  /** How many are subscribed to `channel` here. */
  subscribers(channel: string): number {
    return this.#byChannel.get(channel)?.size ?? 0;
  }

  /** Takes a new socket in, subscribed to nothing yet. */
  accept(socket: Socket, grants: Grants | undefined): Connection {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attach(connection);
    return connection;
  }

  /** The connection of a socket; undefined once it has been removed. */
  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** Whether `connection` could have these subscriptions and grants, as far as its attachment goes. */
  hasRoomFor(channels: Iterable<string>, grants: Grants | undefined): boolean {
    let bytes = 0;
    for (const name of channels) bytes += attachedBytes(name);
    for (const name of grants?.subscribe ?? []) bytes += attachedBytes(name);
    for (const name of grants?.announce ?? []) bytes += attachedBytes(name);
    return bytes <= MAX_ATTACHED_BYTES;
  }

  /** Gives `connection` other grants than it had. */
  grant(connection: Connection, grants: Grants): void {
    connection.grants = grants;
    this.#attach(connection);
  }

  /** When the first of all grants ends, in milliseconds since 1970; infinite if none does. */
  get grantsEndAt(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { grants } of this.#bySocket.values()) if (grants) first = Math.min(first, grants.until);
    return first;
  }

  /** Those whose grants have ended at `now`. */
  expired(now: number): Connection[] {
    return [...this.#bySocket.values()].filter(({ grants }) => hasEnded(grants, now));
  }

  /** Subscribes `connection`, which must not be subscribed yet. */
  subscribe(connection: Connection, channel: string): void {
    this.#endRun();
    this.#index(connection, channel);
    this.#attach(connection);
  }

  /** Unsubscribes `connection`, which must be subscribed. */
  unsubscribe(connection: Connection, channel: string): void {
    this.#endRun();
    this.#unindex(connection, channel);
    this.#attach(connection);
  }

  /** Forgets `connection` and its subscriptions. */
  remove(connection: Connection): void {
    this.#endRun();
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
  }

  /** Sends what is gathered for `connection`, then closes it and forgets it. */
  close(connection: Connection, code: number, reason: string): void {
    this.#endRun();
    this.#send(connection);
    this.remove(connection);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
      // It was closed from the other side; then there is nothing to do.
    }
  }

  /** Those subscribed to `channel`, as they are now. */
  subscribersOf(channel: string): Connection[] {
    return [...(this.#byChannel.get(channel) ?? [])];
  }

  /** Gathers a line for one connection. */
  tell(connection: Connection, line: string): void {
    if (connection.closed) return;
    this.#gathered += line.length;
    this.#endRun();
    this.#gather(connection, line);
    this.#onOutgoing();
  }

  /** Gathers lines for everyone subscribed to `channel`. */
  publish(channel: string, lines: string): void {
    if (!this.#byChannel.has(channel)) return;
    this.#gathered += lines.length;
    if (this.#run?.channel === channel) {
      this.#run.lines += lines;
      return;
    }
    this.#endRun();
    this.#run = { channel, lines };
    this.#onOutgoing();
  }

  /** Characters gathered since the last flush. */
  get gathered(): number {
    return this.#gathered;
  }

  /** How many sockets something has been gathered for. */
  get due(): number {
    return this.#unflushed.size + (this.#run ? this.subscribers(this.#run.channel) : 0);
  }

  /**
   * Sends what has been gathered.
   * @returns those to whom nothing was sent, as they have not taken what was sent to them earlier
   */
  flush(): Connection[] {
    const slow: Connection[] = [];
    this.#gathered = 0;
    if (this.#run && this.#unflushed.size === 0) this.#flushRun(this.#run, slow);
    this.#endRun();
    for (const connection of this.#unflushed) {
      if (this.#isSlow(connection)) slow.push(connection);
      else this.#send(connection);
    }
    this.#unflushed.clear();
    return slow;
  }

  /** The common case, and the quickest: everyone who is due gets the same. */
  #flushRun({ channel, lines }: { channel: string; lines: string }, slow: Connection[]): void {
    this.#run = undefined;
    const frames = framesOf(lines);
    for (const connection of this.#byChannel.get(channel) ?? []) {
      if (this.#isSlow(connection)) slow.push(connection);
      else sendFrames(connection.socket, frames, connection.backlog);
    }
  }

  /** Before anything else is gathered or anyone comes or goes, a run must have reached its readers. */
  #endRun(): void {
    if (!this.#run) return;
    const { channel, lines } = this.#run;
    this.#run = undefined;
    for (const connection of this.#byChannel.get(channel) ?? []) this.#gather(connection, lines);
  }

  #gather(connection: Connection, lines: string): void {
    if (connection.outgoing === "") this.#unflushed.add(connection);
    connection.outgoing += lines;
  }

  /** Whether too much of what was sent to `connection` earlier still waits for its client to take it. */
  #isSlow({ socket, backlog }: Connection): boolean {
    return weightOf(socket, backlog) > this.#maxBuffered;
  }

  #send(connection: Connection): void {
    const frames = framesOf(connection.outgoing);
    connection.outgoing = "";
    sendFrames(connection.socket, frames, connection.backlog);
  }

  #add(socket: Socket, grants: Grants | undefined): Connection {
    const connection = {
      socket,
      grants,
      channels: new Set<string>(),
      outgoing: "",
      backlog: newBacklog(),
      lines: newBucket(),
      refusals: newBucket(),
      admitted: false,
      closed: false,
    };
    this.#bySocket.set(socket, connection);
    return connection;
  }

  #index(connection: Connection, channel: string): void {
    connection.channels.add(channel);
    this.#subscriptions += 1;
    const subscribers = this.#byChannel.get(channel);
    if (subscribers) subscribers.add(connection);
    else this.#byChannel.set(channel, new Set([connection]));
  }

  #unindex(connection: Connection, channel: string): void {
    connection.channels.delete(channel);
    this.#subscriptions -= 1;
    const subscribers = this.#byChannel.get(channel);
    subscribers?.delete(connection);
    if (subscribers?.size === 0) this.#byChannel.delete(channel);
  }

  #attach({ socket, channels, grants }: Connection): void {
    const attachment: Attachment = { channels: [...channels], ...(grants && { grants }) };
    socket.serializeAttachment(attachment);
  }
}
