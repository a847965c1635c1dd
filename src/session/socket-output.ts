/** The output of one socket: frames sent to it, and an estimate of how much of that its client has not read yet. */
import type { Socket } from "./socket.ts";

/** Memory that the runtime uses for each pending frame, besides its text, in bytes; measured with 1.20261117. */
const FRAME_OVERHEAD = 1_300;

/**
 * Assumed reading speed of clients in runtimes without `bufferedAmount`, in bytes per second: the default
 * MAX_BUFFERED_BYTES in ten seconds.
 */
const READING_SPEED = 400_000;

/** Pending bytes of several sockets together, as last weighed: the runtime doesn't report when clients read. */
export interface OutputTotal {
  bytes: number;
}

export class SocketOutput {
  readonly #socket: Socket;
  readonly #now: () => number;
  /** The total that counts this output, and its share in bytes. */
  #total: OutputTotal | undefined;
  #share = 0;
  /** Frames and characters sent since nothing was pending. */
  #frames = 0;
  #characters = 0;
  #wasRead = false;

  /** Bytes pending at a time, in milliseconds since 1970, where only an estimate is possible. */
  #estimate = { bytes: 0, at: 0 };

  constructor(socket: Socket, now: () => number, total: OutputTotal) {
    this.#socket = socket;
    this.#now = now;
    this.#total = total;
  }

  /** Moves the share of this output to another total, or to none. */
  moveTo(total: OutputTotal | undefined): void {
    if (this.#total) this.#total.bytes -= this.#share;
    if (total) total.bytes += this.#share;
    this.#total = total;
  }

  send(frames: string[]): void {
    try {
      for (const frame of frames) {
        this.#socket.send(frame);
        this.#frames += 1;
        this.#characters += frame.length;
        this.#estimate.bytes += frame.length;
        this.#setShare(this.#share + frame.length + FRAME_OVERHEAD);
      }
    } catch {
      // The client has closed the socket; the close event removes the connection.
    }
  }

  /**
   * Memory used by pending frames, in bytes. The runtime doesn't report how many frames are pending, so they are
   * assumed to have the average length of those sent since nothing was pending.
   */
  get weight(): number {
    const weight = this.#weigh();
    this.#setShare(weight);
    return weight;
  }

  #setShare(bytes: number): void {
    if (this.#total) this.#total.bytes += bytes - this.#share;
    this.#share = bytes;
  }

  #weigh(): number {
    const pending = this.#socket.bufferedAmount ?? this.#estimatePending();
    this.#wasRead ||= this.#hasReadSome(pending);
    if (pending === 0) this.#frames = this.#characters = 0;
    if (this.#frames === 0) return pending;
    return pending + FRAME_OVERHEAD * this.#frames * Math.min(1, pending / this.#characters);
  }

  #estimatePending(): number {
    const now = this.#now();
    const read = (Math.max(0, now - this.#estimate.at) * READING_SPEED) / 1_000;
    this.#estimate = { bytes: Math.max(0, this.#estimate.bytes - read), at: now };
    return this.#estimate.bytes;
  }

  /** Whether the client has read anything yet; assumed where the runtime has no `bufferedAmount`. */
  get hasBeenRead(): boolean {
    return this.#wasRead || this.#hasReadSome(this.#socket.bufferedAmount);
  }

  #hasReadSome(pending: number | undefined): boolean {
    return this.#characters > 0 && (pending === undefined || pending < this.#characters);
  }
}
