/** Bounds the output that is pending for the clients of one object: sent, but not yet read by them. */
import type { Limits } from "../runtime/limits.ts";
import type { Socket } from "./socket.ts";
import { type OutputTotal, SocketOutput } from "./socket-output.ts";

export type SendLimits = Pick<Limits, "maxBufferedBytes" | "maxPendingBytes">;

export class SendBudget {
  readonly #limits: SendLimits;
  readonly #now: () => number;
  /** Pending output of connections, and of closed sockets, whose clients may never read it. */
  readonly #open: OutputTotal = { bytes: 0 };
  readonly #closed: OutputTotal = { bytes: 0 };
  /** Output of sockets that the server has closed, until their network connections end. */
  readonly #closing = new Map<Socket, SocketOutput>();
  /** Bytes sent, and how many of them have certainly left this object: a pending commit holds back the rest. */
  sent = 0;
  #confirmed = 0;

  constructor(limits: SendLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Pending bytes of open connections. */
  get bytes(): number {
    return this.#open.bytes;
  }

  /** Records that the first `bytes` bytes sent have left this object. */
  confirm(bytes: number): void {
    this.#confirmed = Math.max(this.#confirmed, bytes);
  }

  /** Whether unconfirmed bytes use up half of the budget, so that a commit should be awaited to confirm them. */
  get needsConfirmation(): boolean {
    return this.sent - this.#confirmed > this.#limits.maxPendingBytes / 2;
  }

  /** Whether closed sockets use so much of the budget that new connections should go to another object. */
  get isCrowded(): boolean {
    return this.#closed.bytes > this.#limits.maxPendingBytes / 2;
  }

  /** Whether closed sockets use the whole budget. */
  get isExhausted(): boolean {
    return this.#closed.bytes >= this.#limits.maxPendingBytes;
  }

  newOutput(socket: Socket): SocketOutput {
    return new SocketOutput(socket, this.#now, this.#open);
  }

  send(output: SocketOutput, frames: string[]): void {
    output.send(frames);
    for (const frame of frames) this.sent += frame.length;
  }

  /** Counts the output of a socket that the server has closed, until `socketClosed`. */
  addClosing(socket: Socket, output: SocketOutput): void {
    output.moveTo(this.#closed);
    this.#closing.set(socket, output);
  }

  /** Stops counting the output of a socket whose network connection has ended. */
  socketClosed(socket: Socket): void {
    this.#closing.get(socket)?.moveTo(undefined);
    this.#closing.delete(socket);
  }

  /** Whether a client is a slow consumer: it has more pending output than one client may have. */
  isSlow(output: SocketOutput): boolean {
    return output.weight > this.#limits.maxBufferedBytes;
  }

  /**
   * Whether pending output is within a part of the budget for this number of connections. Unconfirmed bytes count too, because
   * a runtime may leave what a commit holds back out of `bufferedAmount`.
   */
  hasRoom(connections: number, part = 1): boolean {
    if (this.sent - this.#confirmed > part * this.#limits.maxPendingBytes) return false;
    return this.#open.bytes <= part * this.budgetFor(connections);
  }

  /** Whether there is room for the last lines of a connection, which stay pending after it is closed. */
  hasRoomForLast(output: SocketOutput): boolean {
    return !this.isSlow(output) && this.#open.bytes + this.#closed.bytes <= this.#limits.maxPendingBytes;
  }

  /** Whether at most half of the budget is in use, after weighing the output of closed sockets again. */
  hasDrained(connections: number): boolean {
    for (const output of this.#closing.values()) void output.weight;
    return this.hasRoom(connections, 1 / 2);
  }

  /**
   * Returns the bytes that may be pending for this number of connections: the rest of the budget after closed sockets, at least
   * a quarter. Few connections get half of their own limits, so that a flood stops before all of them seem slow.
   */
  budgetFor(connections: number): number {
    const { maxPendingBytes, maxBufferedBytes } = this.#limits;
    const left = Math.max(maxPendingBytes - this.#closed.bytes, maxPendingBytes / 4);
    return Math.min(left, (connections * maxBufferedBytes) / 2);
  }
}
