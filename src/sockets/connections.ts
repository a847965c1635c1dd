/** The sockets of one object, what each is subscribed to, and what is about to be sent to them. */
import { assert } from "../assert.ts";
import type { Grants } from "../auth/grants.ts";
import { framesOf, insertLine } from "../protocol/frames.ts";
import { attachmentOf, closeUnreadable, isAttachment } from "./attachment.ts";
import { type Backlog, Outbox, type WaitingLimits } from "./outbox.ts";
import { type Bucket, newBucket } from "./rate.ts";
import type { Socket, Sockets } from "./socket.ts";

/** Bytes that all subscriptions of an object together may take: a quarter of its 128 MB. */
const MOST_SUBSCRIBED = 32_000_000;
/** Bytes that a subscription takes besides its name in the attachment, and the first one to a channel besides that. */
const SUBSCRIPTION = 100;
const FIRST_SUBSCRIPTION = 400;

export interface Connection {
  readonly socket: Socket;
  readonly channels: Set<string>;
  /** Those in which its client counts on from a position that it was told. */
  readonly counted: Set<string>;
  /** What its token allows; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** Lines gathered for the next frame. */
  gathered: string;
  readonly outbox: Outbox;
  /** Lines that it may send. */
  readonly lines: Bucket;
  /** Lines too many that it may send. */
  readonly excess: Bucket;
  /** Characters of what it has missed that it may be sent. */
  readonly missed: Bucket;
  /** Whether it has been let in, where the number of connections is limited. */
  admitted: boolean;
  closed: boolean;
}

/**
 * Holds the sockets and an index from channel to sockets. What is said to them is gathered until
 * `flush`, which sends each socket one frame with all of it, in the order in which it was said.
 */
export class Connections {
  readonly #sockets: Sockets;
  readonly #now: () => number;
  readonly #onGathered: () => void;
  readonly #limits: WaitingLimits;
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #byChannel = new Map<string, Set<Connection>>();
  #unflushed = new Set<Connection>();
  /** Whether some of those are still due since the last flush, for want of room. */
  #areHeld = false;
  /** Lines of one channel in a row, not yet handed to each of its subscribers. */
  #run: { channel: string; lines: string } | undefined;
  /** What is kept for this object with one of its sockets. */
  #kept: { value: object; by: Connection } | undefined;
  #subscriptions = 0;
  /** Bytes that they take. */
  #subscribed = 0;
  #gathered = 0;
  /** What waits for the clients of these connections, and of those that were closed: those may never take it. */
  readonly #waiting: Backlog = { bytes: 0 };
  readonly #leftWaiting: Backlog = { bytes: 0 };
  readonly #left = new Map<Socket, Outbox>();
  /** Whether sockets hibernated with this object. */
  readonly hasSlept: boolean;

  /**
   * Takes up the sockets that hibernated with this object.
   * @param onGathered called when something has been gathered, so that a flush is due
   */
  constructor(sockets: Sockets, limits: WaitingLimits, now: () => number, onGathered: () => void) {
    this.#sockets = sockets;
    this.#now = now;
    this.#limits = limits;
    this.#onGathered = onGathered;
    for (const socket of sockets.getWebSockets()) {
      const attached: unknown = socket.deserializeAttachment();
      if (!isAttachment(attached)) {
        if (attached) closeUnreadable(socket);
        continue;
      }
      const connection = this.#add(socket, attached.grants);
      connection.admitted = true;
      if (attached.kept) this.#kept = { value: attached.kept, by: connection };
      for (const channel of attached.channels) this.#index(connection, channel);
      for (const channel of attached.counted ?? []) this.#index(connection, channel, true);
    }
    this.hasSlept = this.#bySocket.size > 0;
  }

  /** How many connections there are. */
  get size(): number {
    return this.#bySocket.size;
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#bySocket.values();
  }

  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** Whether one more subscription is one too many for this object's memory. */
  get isFull(): boolean {
    return this.#subscribed > MOST_SUBSCRIBED;
  }

  /** Whether memory may not do for many more connections, so that new ones had better go elsewhere. */
  get isCrowded(): boolean {
    return (
      this.#subscribed > MOST_SUBSCRIBED * 0.75 || this.#leftWaiting.bytes > this.#limits.mostWaiting / 2
    );
  }

  /** The channels that have subscribers here. */
  get channels(): Iterable<string> {
    return this.#byChannel.keys();
  }

  /** How many are subscribed to `channel` here. */
  subscribers(channel: string): number {
    return this.#byChannel.get(channel)?.size ?? 0;
  }

  /** Those subscribed to `channel`, as they are now. */
  subscribersOf(channel: string): Connection[] {
    return [...(this.#byChannel.get(channel) ?? [])];
  }

  /** The connection of a socket; undefined once it has been removed. */
  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** What an earlier life of this object has kept, if its socket is still there. */
  get kept(): object | undefined {
    return this.#kept?.value;
  }

  /**
   * Keeps some properties for this object with one of its sockets, so that they outlive sleep; says whether there is
   * one.
   */
  keep(some: object): boolean {
    const [first] = this;
    const by = this.#kept && !this.#kept.by.closed ? this.#kept.by : first;
    this.#kept = by && { value: { ...this.#kept?.value, ...some }, by };
    if (by) this.#attach(by);
    return by !== undefined;
  }

  /** Takes a new socket in, subscribed to nothing yet. */
  accept(socket: Socket, grants: Grants | undefined): Connection {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attach(connection);
    return connection;
  }

  /** Gives `connection` other grants than it had. */
  grant(connection: Connection, grants: Grants): void {
    connection.grants = grants;
    this.#attach(connection);
  }

  /** @param isCounted whether its client was told from which position it is subscribed */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    assert(!connection.channels.has(channel), "nobody is subscribed twice");
    this.#endRun();
    this.#index(connection, channel, isCounted);
    this.#attach(connection);
  }

  /** Notes that a subscriber has been told its position in a channel. */
  count(connection: Connection, channel: string): void {
    if (connection.counted.has(channel)) return;
    connection.counted.add(channel);
    this.#attach(connection);
  }

  /** Gathers a line for one connection, before the newest `count` of its gathered lines that begin with `start`. */
  insert(connection: Connection, line: string, start: string, count: number): void {
    this.tell(connection, line);
    connection.gathered = insertLine(connection.gathered.slice(0, -line.length), line, start, count);
  }

  unsubscribe(connection: Connection, channel: string): void {
    assert(connection.channels.has(channel), "who is unsubscribed was subscribed");
    this.#endRun();
    this.#unindex(connection, channel);
    this.#attach(connection);
  }

  /** Forgets `connection` and its subscriptions. */
  remove(connection: Connection): void {
    this.#endRun();
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    connection.outbox.moveTo(undefined);
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
  }

  /** A socket that was closed from this side has gone: nothing waits for its client any more. */
  forget(socket: Socket): void {
    this.#left.get(socket)?.moveTo(undefined);
    this.#left.delete(socket);
  }

  /** Sends what is gathered for `connection`, then closes it and forgets it. */
  close(connection: Connection, code: number, reason: string): void {
    this.#endRun();
    this.#send(connection);
    this.remove(connection);
    connection.outbox.moveTo(this.#leftWaiting);
    this.#left.set(connection.socket, connection.outbox);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
      // It was closed from the other side; then there is nothing to do.
    }
  }

  /** Forgets what is gathered for `connection`. */
  drop(connection: Connection): void {
    this.#endRun();
    this.#unflushed.delete(connection);
    connection.gathered = "";
  }

  /** Gathers a line for one connection. */
  tell(connection: Connection, line: string): void {
    if (connection.closed) return;
    this.#gathered += line.length;
    this.#endRun();
    this.#gather(connection, line);
    this.#onGathered();
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
    this.#onGathered();
  }

  /** Characters gathered since the last flush, however many they are for. */
  get gathered(): number {
    return this.#gathered;
  }

  /** How many sockets something has been gathered for. */
  get due(): number {
    return this.#unflushed.size + (this.#run ? this.subscribers(this.#run.channel) : 0);
  }

  /**
   * Sends what has been gathered, as far as there is room; the rest is due still.
   * @returns those to whom nothing was sent, as they have not taken what was sent to them earlier
   */
  flush(): Connection[] {
    const slow: Connection[] = [];
    this.#gathered = 0;
    if (this.#run && this.#unflushed.size === 0) this.#flushRun(this.#run, slow);
    this.#endRun();
    const held: Connection[] = [];
    for (const connection of this.#inTurn()) {
      if (this.#isSlow(connection)) slow.push(connection);
      else if (this.#hasRoom) this.#send(connection);
      else held.push(connection);
    }
    this.#unflushed = new Set(held);
    this.#areHeld = held.length > 0;
    return slow;
  }

  /** Where some were held up, those come first who were not: they have taken what there was. */
  #inTurn(): Iterable<Connection> {
    if (!this.#areHeld) return this.#unflushed;
    return [...this.#unflushed].sort((a, b) => a.gathered.length - b.gathered.length);
  }

  /** The common case, and the quickest: everyone who is due gets the same. */
  #flushRun({ channel, lines }: { channel: string; lines: string }, slow: Connection[]): void {
    this.#run = undefined;
    const frames = framesOf(lines);
    for (const connection of this.#byChannel.get(channel) ?? []) {
      if (this.#isSlow(connection)) slow.push(connection);
      else if (this.#hasRoom) connection.outbox.send(frames);
      else this.#gather(connection, lines);
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
    if (connection.gathered === "") this.#unflushed.add(connection);
    connection.gathered += lines;
  }

  /** Whether too much of what was sent to `connection` earlier still waits for its client to take it. */
  #isSlow({ outbox }: Connection): boolean {
    return outbox.weight > this.#limits.maxBufferedBytes;
  }

  /** Bytes that may wait for all. What waits for those who were closed leaves less, but never nothing. */
  get #mostWaiting(): number {
    const { mostWaiting } = this.#limits;
    return Math.max(mostWaiting - this.#leftWaiting.bytes, mostWaiting / 4);
  }

  get #hasRoom(): boolean {
    return this.#waiting.bytes <= this.#mostWaiting;
  }

  /** Whether at most half of what may wait for all still does. */
  hasDrained(): boolean {
    for (const { outbox } of this) void outbox.weight;
    for (const outbox of this.#left.values()) void outbox.weight;
    return this.#waiting.bytes <= this.#mostWaiting / 2;
  }

  /**
   * Those to close, as what was sent is not taken: they for whom most waits, until half of what may wait would.
   * Where as much waits for those who were closed before, also they to whom nothing more can be sent.
   */
  get tooSlow(): Connection[] {
    const weighed = [...this].map((connection) => ({ connection, weight: connection.outbox.weight }));
    weighed.sort((a, b) => b.weight - a.weight);
    const tooSlow = new Set(this.#leftWaiting.bytes < this.#limits.mostWaiting ? [] : this.#unflushed);
    let left = this.#waiting.bytes;
    for (const { connection, weight } of weighed) {
      if (left <= this.#mostWaiting / 2) break;
      tooSlow.add(connection);
      left -= weight;
    }
    return [...tooSlow];
  }

  #send(connection: Connection): void {
    const frames = framesOf(connection.gathered);
    connection.gathered = "";
    connection.outbox.send(frames);
  }

  #add(socket: Socket, grants: Grants | undefined): Connection {
    const connection = {
      socket,
      grants,
      channels: new Set<string>(),
      counted: new Set<string>(),
      gathered: "",
      outbox: new Outbox(socket, this.#now, this.#waiting),
      lines: newBucket(),
      excess: newBucket(),
      missed: newBucket(),
      admitted: false,
      closed: false,
    };
    this.#bySocket.set(socket, connection);
    return connection;
  }

  #index(connection: Connection, channel: string, isCounted = false): void {
    const subscribers = this.#byChannel.get(channel) ?? new Set();
    if (subscribers.size === 0) this.#byChannel.set(channel, subscribers);
    this.#subscribed += memoryOf(channel, subscribers.size);
    connection.channels.add(channel);
    if (isCounted) connection.counted.add(channel);
    this.#subscriptions += 1;
    subscribers.add(connection);
  }

  #unindex(connection: Connection, channel: string): void {
    const subscribers = this.#byChannel.get(channel);
    connection.channels.delete(channel);
    connection.counted.delete(channel);
    this.#subscriptions -= 1;
    subscribers?.delete(connection);
    this.#subscribed -= memoryOf(channel, subscribers?.size ?? 0);
    if (subscribers?.size === 0) this.#byChannel.delete(channel);
  }

  #attach(connection: Connection): void {
    const { value, by } = this.#kept ?? {};
    connection.socket.serializeAttachment(attachmentOf(connection, by === connection ? value : undefined));
  }
}

/** Bytes that one more subscription to a channel takes, where there are so many. */
function memoryOf(channel: string, others: number): number {
  return SUBSCRIPTION + channel.length + (others === 0 ? FIRST_SUBSCRIPTION + channel.length : 0);
}
