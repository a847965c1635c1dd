/** The sockets of one object, what each is subscribed to, and what is about to be sent to them. */
import { assert } from "../assert.ts";
import type { Grants } from "../auth/grants.ts";
import { framesOf, insertLine } from "../protocol/frames.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { closeUnreadable, fitsItself, isAttachment, sizeOf } from "./attachment.ts";
import { Attachments } from "./attachments.ts";
import { Gathering } from "./gathering.ts";
import type { Outbox } from "./outbox.ts";
import { type Bucket, newBucket } from "./rate.ts";
import type { Socket, Sockets } from "./socket.ts";
import { Subscriptions } from "./subscriptions.ts";
import { Waiting, type WaitingLimits } from "./waiting.ts";

/** Characters that are worth a frame of their own: to send them takes about as long as to send any frame. */
const WORTH_A_FRAME = 16_384;
/** Characters that are handed on at a time at most: a quarter of the least that may wait for one client. */
const MOST_AT_ONCE = 250_000;

export interface Connection {
  readonly socket: Socket;
  readonly channels: Set<string>;
  /** Those in which its client counts on from a position that it was told. */
  readonly counted: Set<string>;
  /** What its token allows; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** Bytes that its channels and grants take in its attachment. */
  size: number;
  /** Lines gathered for the next frame. */
  gathered: string;
  readonly outbox: Outbox;
  /** Lines that it may send. */
  readonly lines: Bucket;
  /** Lines too many that it may send. */
  readonly excess: Bucket;
  /** Characters of what it has missed that it may be sent. */
  readonly missed: Bucket;
  /** Tokens that it may hand in. */
  readonly tokens: Bucket;
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
  readonly #schedule: Pick<Schedule, "flush">;
  readonly #limits: WaitingLimits;
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #subscriptions = new Subscriptions<Connection>();
  readonly #attachments: Attachments<Connection>;
  /** Lines of channels, not yet handed to each subscriber. */
  readonly #gathering = new Gathering<Connection>();
  /** Connections that lines were gathered for one by one. */
  #unflushed = new Set<Connection>();
  /** Those of them that something has been due to since an earlier flush, for want of room. */
  #held: ReadonlySet<Connection> = new Set();
  /** Characters gathered for single connections since the last flush. */
  #gatheredApart = 0;
  /** Characters to be sent with the next flush, to all connections together. */
  #outgoing = 0;
  readonly waiting: Waiting;
  #hasSlept = false;

  constructor(sockets: Sockets, limits: WaitingLimits, now: () => number, schedule: Pick<Schedule, "flush">) {
    this.#sockets = sockets;
    this.#limits = limits;
    this.waiting = new Waiting(limits, now);
    this.#schedule = schedule;
    this.#attachments = new Attachments(this);
  }

  /** Restores the connections that hibernated with this object. */
  start(): void {
    for (const socket of this.#sockets.getWebSockets()) {
      const attached: unknown = socket.deserializeAttachment();
      if (!isAttachment(attached)) {
        if (attached) closeUnreadable(socket);
        continue;
      }
      const connection = this.#add(socket, attached.grants);
      connection.admitted = true;
      this.#attachments.takeUp(connection, attached);
      for (const channel of attached.channels) this.#index(connection, channel);
      for (const channel of attached.counted ?? []) this.#index(connection, channel, true);
    }
    this.#hasSlept = this.#bySocket.size > 0;
  }

  /** Whether connections hibernated with this object. */
  get hasSlept(): boolean {
    return this.#hasSlept;
  }

  /** How many connections there are. */
  get size(): number {
    return this.#bySocket.size;
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#bySocket.values();
  }

  get subscriptions(): number {
    return this.#subscriptions.count;
  }

  /** Whether one more subscription is one too many for this object's memory. */
  get isFull(): boolean {
    return this.#subscriptions.areFull;
  }

  /** Whether memory may not do for many more connections, so that new ones had better go elsewhere. */
  get isCrowded(): boolean {
    return this.#subscriptions.areMany || this.waiting.isCrowded;
  }

  /** The channels that have subscribers here. */
  get channels(): Iterable<string> {
    return this.#subscriptions.channels;
  }

  /** How many are subscribed to `channel` here. */
  subscribers(channel: string): number {
    return this.#subscriptions.of(channel).size;
  }

  /** Those subscribed to `channel`, as they are now. */
  subscribersOf(channel: string): Connection[] {
    return [...this.#subscriptions.of(channel)];
  }

  /** The connection of a socket; undefined once it has been removed. */
  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** What an earlier life of this object has kept, if its socket is still there. */
  get kept(): object | undefined {
    return this.#attachments.kept;
  }

  /**
   * Keeps some properties for this object with one of its sockets, so that they outlive sleep; says whether there is
   * one with room for them.
   */
  keep(some: object): boolean {
    return this.#attachments.keep(some);
  }

  /** Takes a new socket in, subscribed to nothing yet. */
  accept(socket: Socket, grants: Grants | undefined): Connection {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attachments.change(connection);
    this.#attachments.write();
    return connection;
  }

  /** Whether one more channel fits into what a connection keeps through hibernation. */
  canSubscribe({ size }: Connection, channel: string): boolean {
    return fitsItself(size + sizeOf(channel));
  }

  /** Whether other grants fit into that, beside the connection's channels. */
  canGrant({ size, grants }: Connection, others: Grants): boolean {
    return fitsItself(size - sizeOf(grants) + sizeOf(others));
  }

  /** Gives `connection` other grants than it had. */
  grant(connection: Connection, grants: Grants): void {
    connection.size += sizeOf(grants) - sizeOf(connection.grants);
    connection.grants = grants;
    this.#change(connection);
  }

  /** @param isCounted whether its client was told from which position it is subscribed */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    assert(!connection.channels.has(channel), "nobody is subscribed twice");
    this.#take(connection);
    this.#index(connection, channel, isCounted);
    this.#change(connection);
  }

  /** Notes that a subscriber has been told its position in a channel. */
  count(connection: Connection, channel: string): void {
    if (connection.counted.has(channel)) return;
    connection.counted.add(channel);
    this.#change(connection);
  }

  /** Whether any subscriber of a channel counts positions on. */
  isCounted(channel: string): boolean {
    for (const { counted } of this.#subscriptions.of(channel)) if (counted.has(channel)) return true;
    return false;
  }

  /**
   * Inserts a line before the newest `count` gathered messages of a channel, for each subscriber that counts positions on.
   */
  insert(channel: string, line: string, count: number): void {
    const counting = this.subscribersOf(channel).filter(({ counted }) => counted.has(channel));
    for (const connection of counting) {
      this.tell(connection, line);
      const before = connection.gathered.slice(0, -line.length);
      connection.gathered = insertLine(before, line, `${channel}!`, count);
    }
  }

  unsubscribe(connection: Connection, channel: string): void {
    assert(connection.channels.has(channel), "who is unsubscribed was subscribed");
    this.#take(connection);
    this.#unindex(connection, channel);
    this.#change(connection);
  }

  /** Forgets `connection` and its subscriptions. */
  remove(connection: Connection): void {
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    this.waiting.remove(connection.outbox);
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
    this.#gathering.forget(connection);
    this.#attachments.forget(connection);
  }

  /** A socket that was closed from this side has gone: nothing waits for its client any more. */
  forget(socket: Socket): void {
    this.waiting.forget(socket);
  }

  /** Sends what is gathered for `connection` if there is room, then closes it and forgets it: many may be closed at once. */
  close(connection: Connection, code: number, reason: string): void {
    this.#take(connection);
    if (this.waiting.hasRoomForLast(connection.outbox)) this.#send(connection);
    this.remove(connection);
    this.waiting.leave(connection.socket, connection.outbox);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
      // It was closed from the other side; then there is nothing to do.
    }
  }

  /** Forgets what is gathered for `connection`. */
  drop(connection: Connection): void {
    this.#gathering.take(connection);
    this.#unflushed.delete(connection);
    connection.gathered = "";
  }

  /** Gathers a line for one connection. */
  tell(connection: Connection, line: string): void {
    if (connection.closed) return;
    this.#take(connection);
    this.#gather(connection, line);
    this.#schedule.flush();
  }

  /** Gathers lines for everyone subscribed to `channel`. */
  publish(channel: string, lines: string): void {
    const subscribers = this.subscribers(channel);
    if (subscribers === 0) return;
    this.#outgoing += lines.length * subscribers;
    this.#gathering.publish(channel, lines);
    this.#schedule.flush();
  }

  /** Characters of messages that go out together best: more of them would fill what may wait for all. */
  portionOf(channel: string): number {
    const fitting = this.#limits.mostWaiting / 2 / Math.max(1, this.subscribers(channel));
    return Math.min(MOST_AT_ONCE, Math.max(WORTH_A_FRAME, fitting));
  }

  /** Memory of what has been gathered since the last flush, in characters: lines of channels count once. */
  get gathered(): number {
    return this.#gathering.size + this.#gatheredApart;
  }

  /**
   * Whether a flush is better not put off: what has been gathered would become much of what may wait for one client,
   * and a flood would look like slow consumers; or it would fill what may wait for all.
   */
  get isMuch(): boolean {
    if (this.gathered > this.#limits.maxBufferedBytes / 4) return true;
    return this.#outgoing > this.#limits.mostWaiting / 2 && this.gathered > WORTH_A_FRAME;
  }

  /** How many sockets something has been gathered for, at most. */
  get due(): number {
    let due = this.#unflushed.size;
    for (const channel of this.#gathering.channels) due += this.subscribers(channel);
    return due;
  }

  /** Whether something is due that there was no room for. */
  get areHeld(): boolean {
    return this.#held.size > 0;
  }

  /**
   * Writes the attachments that have changed, before clients are told of the changes.
   * @returns connections whose attachment the runtime doesn't take, so that they can't outlive hibernation
   */
  writeAttachments(): Connection[] {
    this.#attachments.write();
    return this.#attachments.takeRejected();
  }

  /**
   * Sends what has been gathered, as far as there is room; the rest is due still. Connections that were held up before
   * come last, those first that least is due to: the others have taken what there was.
   */
  flush(): void {
    this.#attachments.write();
    for (const connection of this.#unflushed) this.#take(connection);
    for (const connection of this.#gathering.takers) this.#take(connection);
    this.#gatheredApart = this.#outgoing = 0;
    const apart = [...this.#unflushed];
    const held = apart.filter((connection) => this.#held.has(connection));
    this.#unflushed = new Set();
    for (const connection of apart) if (!this.#held.has(connection)) this.#sendOrHold(connection);
    for (const { readers, lines } of this.#gathering.end((channel) => this.#subscriptions.of(channel))) {
      this.#sendShared(readers, lines);
    }
    held.sort((a, b) => a.gathered.length - b.gathered.length);
    for (const connection of held) this.#sendOrHold(connection);
    this.#held = new Set(this.#unflushed);
  }

  #sendOrHold(connection: Connection): void {
    if (this.#maySend(connection)) this.#send(connection);
    else this.#unflushed.add(connection);
  }

  #sendShared(connections: Iterable<Connection>, lines: string): void {
    const frames = framesOf(lines);
    for (const connection of connections) {
      if (this.#maySend(connection)) this.waiting.send(connection.outbox, frames);
      else {
        connection.gathered = lines;
        this.#unflushed.add(connection);
      }
    }
  }

  /** Moves what `connection` is due of its channels to what is gathered for it alone. */
  #take(connection: Connection): void {
    const lines = this.#gathering.take(connection);
    if (lines !== "") this.#gather(connection, lines);
  }

  #gather(connection: Connection, lines: string): void {
    if (connection.gathered === "") this.#unflushed.add(connection);
    connection.gathered += lines;
    this.#gatheredApart += lines.length;
    this.#outgoing += lines.length;
  }

  #maySend({ outbox }: Connection): boolean {
    return !this.waiting.isSlow(outbox) && this.waiting.hasRoom(this.size);
  }

  /** The connections that something is due to, but have not taken what was sent to them earlier. */
  get slow(): Connection[] {
    return [...this.#unflushed].filter(({ outbox }) => this.waiting.isSlow(outbox));
  }

  /** Whether at most half of what may wait for all still does. */
  hasDrained(): boolean {
    for (const { outbox } of this) void outbox.weight;
    return this.waiting.hasDrained(this.size);
  }

  /**
   * Those to close, as what was sent is not taken: they for whom most waits, until half of what may wait would.
   * Where as much waits for those who were closed before, also they to whom nothing more can be sent.
   */
  get tooSlow(): Connection[] {
    const weighed = [...this].map((connection) => ({ connection, weight: connection.outbox.weight }));
    weighed.sort((a, b) => b.weight - a.weight);
    const tooSlow = new Set(this.waiting.isFull ? this.#unflushed : []);
    let left = this.waiting.bytes;
    for (const { connection, weight } of weighed) {
      if (left <= this.waiting.mostFor(this.size) / 2) break;
      tooSlow.add(connection);
      left -= weight;
    }
    return [...tooSlow];
  }

  #send(connection: Connection): void {
    const frames = framesOf(connection.gathered);
    connection.gathered = "";
    this.waiting.send(connection.outbox, frames);
  }

  #add(socket: Socket, grants: Grants | undefined): Connection {
    const connection = {
      socket,
      grants,
      channels: new Set<string>(),
      counted: new Set<string>(),
      size: sizeOf(grants),
      gathered: "",
      outbox: this.waiting.newOutbox(socket),
      lines: newBucket(),
      excess: newBucket(),
      missed: newBucket(),
      tokens: newBucket(),
      admitted: false,
      closed: false,
    };
    this.#bySocket.set(socket, connection);
    return connection;
  }

  #index(connection: Connection, channel: string, isCounted = false): void {
    connection.size += sizeOf(channel);
    if (isCounted) connection.counted.add(channel);
    this.#subscriptions.add(connection, channel);
  }

  #unindex(connection: Connection, channel: string): void {
    connection.size -= sizeOf(channel);
    connection.counted.delete(channel);
    this.#subscriptions.remove(connection, channel);
  }

  /** A connection's attachment is to be written, before its client is told of anything. */
  #change(connection: Connection): void {
    this.#attachments.change(connection);
    this.#schedule.flush();
  }
}
