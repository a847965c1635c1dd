/** The sockets of one object, their subscriptions, and the lines buffered for them. */
import { assert } from "../assert.ts";
import type { Grants } from "../auth/grants.ts";
import { framesOf, insertLine } from "../protocol/frames.ts";
import type { Member } from "../runtime/calls.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { closeUnreadable, type Entered, fitsItself, isAttachment, sizeOf } from "./attachment.ts";
import { Attachments } from "./attachments.ts";
import { Connection, EMPTY_BATCH } from "./connection.ts";
import { LineBuffer } from "./line-buffer.ts";
import { SendBudget, type SendLimits } from "./send-budget.ts";
import type { Socket, Sockets } from "./socket.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Characters that justify a frame of their own: sending fewer takes about as long. */
const MIN_PORTION = 16_384;
/** Most characters of messages in one step: a quarter of the smallest MAX_BUFFERED_BYTES. */
const MAX_PORTION = 250_000;

/**
 * Holds the sockets and an index from channel to sockets. Lines are buffered until `flush`, which sends each socket one
 * frame with all its lines in order.
 */
export class Connections {
  readonly #sockets: Sockets;
  readonly #schedule: Pick<Schedule, "flush">;
  readonly #limits: SendLimits;
  readonly #bySocket = new Map<Socket, Connection>();
  readonly subscriptions = new Subscriptions();
  readonly #attachments: Attachments;
  /** Published lines, not yet copied to each subscriber. */
  readonly #published = new LineBuffer<Connection>();
  /** Connections with lines buffered for them alone. */
  #unflushed = new Set<Connection>();
  /** Those of them that the last flush had no room for. */
  #blocked: ReadonlySet<Connection> = new Set();
  /** The newest lines that were appended to a batch, and the batch that they form. */
  #joined: { from: object; lines: string; batch: object; buffered: string } | undefined;
  /** Characters buffered for single connections since the last flush. */
  #unshared = 0;
  /** Characters that the next flush sends, to all connections together. */
  #outgoing = 0;
  readonly budget: SendBudget;
  /** Whether connections hibernated with this object. */
  hasSlept = false;

  constructor(sockets: Sockets, limits: SendLimits, now: () => number, schedule: Pick<Schedule, "flush">) {
    this.#sockets = sockets;
    this.#limits = limits;
    this.budget = new SendBudget(limits, now);
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
      this.#attachments.restore(connection, attached);
      for (const channel of attached.channels) this.#index(connection, channel);
      for (const channel of attached.counted ?? []) this.#index(connection, channel, true);
      for (const [channel, member, data, at] of attached.entered ?? [])
        this.#setEntered(connection, channel, { member, data, at });
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

  /** Whether memory is so short that new connections should go to another object. */
  get isCrowded(): boolean {
    return this.subscriptions.isCrowded || this.budget.isCrowded;
  }

  /** Returns the number of subscribers of `channel` here. */
  subscribers(channel: string): number {
    return this.subscriptions.of(channel).size;
  }

  /** Returns the connection of a socket; undefined once it has been removed. */
  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** State of the whole object, restored from an attachment. */
  get kept(): object | undefined {
    return this.#attachments.kept;
  }

  /**
   * Persists properties of the whole object in the attachment of one socket, so that they survive hibernation.
   * @returns whether a socket has room for them
   */
  keep(some: object): boolean {
    return this.#attachments.keep(some);
  }

  /** Adds a new socket, without subscriptions. */
  accept(socket: Socket, grants: Grants | undefined): Connection {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attachments.change(connection);
    this.#attachments.write();
    return connection;
  }

  /** Whether another channel fits into a connection's attachment. */
  canSubscribe({ size }: Connection, channel: string): boolean {
    return fitsItself(size + sizeOf(channel));
  }

  /** Whether other grants fit into a connection's attachment, beside its channels. */
  canGrant({ size, grants }: Connection, others: Grants): boolean {
    return fitsItself(size - sizeOf(grants) + sizeOf(others));
  }

  /** Whether entering a channel fits into a connection's attachment. */
  canEnter({ size, entered }: Connection, channel: string, member: Member): boolean {
    return fitsItself(size - sizeOfEntered(channel, entered.get(channel)) + sizeOfEntered(channel, member));
  }

  /** Records as whom a connection is present in a channel; undefined for no longer. */
  setEntered(connection: Connection, channel: string, member: Entered | undefined): void {
    this.#setEntered(connection, channel, member);
    this.#change(connection);
  }

  /** Replaces the grants of `connection`. */
  grant(connection: Connection, grants: Grants): void {
    connection.size += sizeOf(grants) - sizeOf(connection.grants);
    connection.grants = grants;
    this.#change(connection);
  }

  /** @param isCounted whether the server has sent the client its position */
  subscribe(connection: Connection, channel: string, isCounted = false): void {
    assert(!connection.channels.has(channel), "a connection subscribes to a channel only once");
    this.#copyShared(connection);
    this.#index(connection, channel, isCounted);
    this.#change(connection);
  }

  /** Records that the server has sent a subscriber its position in a channel. */
  markCounted(connection: Connection, channel: string): void {
    if (connection.counted.has(channel)) return;
    connection.counted.add(channel);
    this.#change(connection);
  }

  /** Whether any subscriber of a channel counts positions. */
  isCounted(channel: string): boolean {
    for (const { counted } of this.subscriptions.of(channel)) if (counted.has(channel)) return true;
    return false;
  }

  /** Inserts a line before the newest `count` buffered messages of a channel, for each subscriber that counts positions. */
  insert(channel: string, line: string, count: number): void {
    const counting = [...this.subscriptions.of(channel)].filter(({ counted }) => counted.has(channel));
    for (const connection of counting) {
      this.send(connection, line);
      const before = connection.buffered.slice(0, -line.length);
      connection.buffered = insertLine(before, line, `${channel}!`, count);
      connection.batch = {};
    }
  }

  unsubscribe(connection: Connection, channel: string): void {
    assert(connection.channels.has(channel), "a connection unsubscribes only from its channels");
    this.#copyShared(connection);
    this.#unindex(connection, channel);
    this.#change(connection);
  }

  /** Removes `connection` and its subscriptions. */
  remove(connection: Connection): void {
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    connection.output.moveTo(undefined);
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
    this.#published.remove(connection);
    this.#attachments.remove(connection);
  }

  /** Closes and removes `connection`. Sends its buffered lines first if the budget allows, as many may close at once. */
  close(connection: Connection, code: number, reason: string): void {
    this.#copyShared(connection);
    if (this.budget.hasRoomForLast(connection.output)) this.#sendBuffered(connection);
    this.remove(connection);
    this.budget.addClosing(connection.socket, connection.output);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
      // The client has closed it already.
    }
  }

  /** Discards the buffered lines of `connection`. */
  discardBuffered(connection: Connection): void {
    this.#published.take(connection);
    this.#unflushed.delete(connection);
    connection.buffered = "";
    connection.batch = EMPTY_BATCH;
  }

  /** Buffers a line for one connection. */
  send(connection: Connection, line: string): void {
    if (connection.closed) return;
    this.#copyShared(connection);
    this.#append(connection, line);
    this.#schedule.flush();
  }

  /** Buffers lines for all subscribers of `channel`. */
  publish(channel: string, lines: string): void {
    const subscribers = this.subscribers(channel);
    if (subscribers === 0) return;
    this.#outgoing += lines.length * subscribers;
    this.#published.append(channel, lines);
    this.#schedule.flush();
  }

  /** Returns the best size of one step's messages, in characters: all of its copies use at most half of the send budget. */
  portionSize(channel: string): number {
    const fitting = this.#limits.maxPendingBytes / 2 / Math.max(1, this.subscribers(channel));
    return Math.min(MAX_PORTION, Math.max(MIN_PORTION, fitting));
  }

  /** Memory of the lines buffered since the last flush, in characters: published lines count once. */
  get bufferedSize(): number {
    return this.#published.size + this.#unshared;
  }

  /**
   * Whether to flush early: the buffered lines exceed a quarter of one client's limit, and a flood would look like slow
   * consumers; or the next flush would use more than half of the send budget.
   */
  get shouldFlush(): boolean {
    if (this.bufferedSize > this.#limits.maxBufferedBytes / 4) return true;
    return this.#outgoing > this.#limits.maxPendingBytes / 2 && this.bufferedSize > MIN_PORTION;
  }

  /** How many sockets have buffered lines, at most. */
  get due(): number {
    let due = this.#unflushed.size;
    for (const channel of this.#published.channels) due += this.subscribers(channel);
    return due;
  }

  /** Whether the last flush had no room for some connections. */
  get isBlocked(): boolean {
    return this.#blocked.size > 0;
  }

  /**
   * Writes the attachments that have changed, before clients learn of the changes.
   * @returns connections whose attachments the runtime rejected, so that they wouldn't survive hibernation
   */
  writeAttachments(): Connection[] {
    this.#attachments.write();
    return this.#attachments.takeRejected();
  }

  /**
   * Sends buffered lines within the send budget; the rest stays buffered. Connections that were blocked before come last,
   * those with the fewest buffered lines first: the others have read what the server sent them.
   */
  flush(): void {
    this.#attachments.write();
    for (const connection of this.#unflushed) this.#copyShared(connection);
    for (const connection of this.#published.takers) this.#copyShared(connection);
    this.#unshared = this.#outgoing = 0;
    const unflushed = [...this.#unflushed];
    const blocked = unflushed.filter((connection) => this.#blocked.has(connection));
    this.#unflushed = new Set();
    for (const connection of unflushed) if (!this.#blocked.has(connection)) this.#sendOrBlock(connection);
    for (const { subscribers, lines } of this.#published.end((channel) => this.subscriptions.of(channel))) {
      this.#sendShared(subscribers, lines);
    }
    blocked.sort((a, b) => a.buffered.length - b.buffered.length);
    for (const connection of blocked) this.#sendOrBlock(connection);
    this.#blocked = new Set(this.#unflushed);
    this.#joined = undefined;
  }

  #sendOrBlock(connection: Connection): void {
    if (this.#maySend(connection)) this.#sendBuffered(connection);
    else this.#unflushed.add(connection);
  }

  #sendShared(connections: Iterable<Connection>, lines: string): void {
    const frames = framesOf(lines);
    const batch = {};
    for (const connection of connections) {
      if (this.#maySend(connection)) this.budget.send(connection.output, frames);
      else {
        connection.buffered = lines;
        connection.batch = batch;
        this.#unflushed.add(connection);
      }
    }
  }

  /** Copies published lines for `connection` to its own buffer. */
  #copyShared(connection: Connection): void {
    const lines = this.#published.take(connection);
    if (lines !== "") this.#append(connection, lines);
  }

  #append(connection: Connection, lines: string): void {
    if (connection.buffered === "") this.#unflushed.add(connection);
    this.#join(connection, lines);
    this.#unshared += lines.length;
    this.#outgoing += lines.length;
  }

  /** Appends lines to those of a connection, once for all connections that have the same batch and get the same lines. */
  #join(connection: Connection, lines: string): void {
    let last = this.#joined;
    if (last?.from !== connection.batch || last.lines !== lines) {
      last = { from: connection.batch, lines, batch: {}, buffered: connection.buffered + lines };
      this.#joined = last;
    }
    connection.buffered = last.buffered;
    connection.batch = last.batch;
  }

  #maySend({ output }: Connection): boolean {
    return !this.budget.isSlow(output) && this.budget.hasRoom(this.size);
  }

  /** Slow consumers with buffered lines. */
  get slow(): Connection[] {
    return [...this.#unflushed].filter(({ output }) => this.budget.isSlow(output));
  }

  /** Whether at most half of the send budget is in use, with all pending output weighed again. */
  hasDrained(): boolean {
    for (const { output } of this) void output.weight;
    return this.budget.hasDrained(this.size);
  }

  /**
   * The connections with the most pending output, as many as must close to bring pending output down to half of the
   * budget. Also all blocked connections, if closed sockets use up the whole budget.
   */
  get slowest(): Connection[] {
    const weighed = [...this].map((connection) => ({ connection, weight: connection.output.weight }));
    weighed.sort((a, b) => b.weight - a.weight);
    const slowest = new Set(this.budget.isExhausted ? this.#unflushed : []);
    let left = this.budget.bytes;
    for (const { connection, weight } of weighed) {
      if (left <= this.budget.budgetFor(this.size) / 2) break;
      slowest.add(connection);
      left -= weight;
    }
    return [...slowest];
  }

  #sendBuffered(connection: Connection): void {
    const frames = framesOf(connection.buffered);
    connection.buffered = "";
    connection.batch = EMPTY_BATCH;
    this.budget.send(connection.output, frames);
  }

  #add(socket: Socket, grants: Grants | undefined): Connection {
    const connection = new Connection(socket, this.budget.newOutput(socket), grants);
    this.#bySocket.set(socket, connection);
    return connection;
  }

  #index(connection: Connection, channel: string, isCounted = false): void {
    connection.size += sizeOf(channel);
    if (isCounted) connection.counted.add(channel);
    this.subscriptions.add(connection, channel);
  }

  #setEntered(connection: Connection, channel: string, member: Entered | undefined): void {
    connection.size += sizeOfEntered(channel, member) - sizeOfEntered(channel, connection.entered.get(channel));
    if (member) connection.entered.set(channel, member);
    else connection.entered.delete(channel);
  }

  #unindex(connection: Connection, channel: string): void {
    connection.size -= sizeOf(channel);
    connection.counted.delete(channel);
    this.subscriptions.remove(connection, channel);
  }

  /** Has the next flush write a connection's attachment, before the client learns of the change. */
  #change(connection: Connection): void {
    this.#attachments.change(connection);
    this.#schedule.flush();
  }
}

/** Returns the bytes of what a connection has entered in its attachment; 0 for nothing. */
function sizeOfEntered(channel: string, entered: Member | undefined): number {
  return entered ? sizeOf([channel, entered.member, entered.data, 0]) : 0;
}
