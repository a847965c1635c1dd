/** What has been sent to one client, and how much of that still waits for it to be taken. */
import type { Socket } from "./socket.ts";

/** Memory that the runtime takes for a frame that waits, besides its bytes; measured with 1.20261117. */
const FRAME_OVERHEAD = 1_300;

/**
 * Bytes a second that a client is taken to read, where nobody tells how much waits for it: four megabytes, which is
 * what may wait by default, in ten seconds.
 */
const READ = 400_000;

/** Bytes that may wait for clients. */
export interface WaitingLimits {
  /** For one of them, before it counts as too slow. */
  maxBufferedBytes: number;
  /** For all of an object together. */
  mostWaiting: number;
}

/** Bytes that wait for several clients together: at most so many, as nobody tells when some are taken. */
export interface Backlog {
  bytes: number;
}

export class Outbox {
  readonly #socket: Socket;
  readonly #now: () => number;
  /** What this outbox is a part of, and by how many bytes. */
  #backlog: Backlog | undefined;
  #part = 0;
  /** What has been sent since nothing was waiting. */
  #frames = 0;
  #characters = 0;
  #taken = false;

  /** Bytes that were reckoned to wait at a time, in milliseconds since 1970, where nobody tells. */
  #reckoned = { bytes: 0, at: 0 };

  constructor(socket: Socket, now: () => number, backlog: Backlog) {
    this.#socket = socket;
    this.#now = now;
    this.#backlog = backlog;
  }

  /** Has what waits be a part of another backlog, or of none. */
  moveTo(backlog: Backlog | undefined): void {
    if (this.#backlog) this.#backlog.bytes -= this.#part;
    if (backlog) backlog.bytes += this.#part;
    this.#backlog = backlog;
  }

  send(frames: string[]): void {
    try {
      for (const frame of frames) {
        this.#socket.send(frame);
        this.#frames += 1;
        this.#characters += frame.length;
        this.#reckoned.bytes += frame.length;
        this.#takePart(this.#part + frame.length + FRAME_OVERHEAD);
      }
    } catch {
      // The socket has been closed from the other side; its close event removes it.
    }
  }

  /**
   * Memory, in bytes, that what waits takes. Nobody tells how many frames do, so it is taken that they are as
   * long as all that were sent since nothing was waiting.
   */
  get weight(): number {
    const weight = this.#weigh();
    this.#takePart(weight);
    return weight;
  }

  #takePart(bytes: number): void {
    if (this.#backlog) this.#backlog.bytes += bytes - this.#part;
    this.#part = bytes;
  }

  #weigh(): number {
    const waiting = this.#socket.bufferedAmount ?? this.#reckon();
    this.#taken ||= this.#hasTakenSome(waiting);
    if (waiting === 0) this.#frames = this.#characters = 0;
    if (this.#frames === 0) return waiting;
    return waiting + FRAME_OVERHEAD * this.#frames * Math.min(1, waiting / this.#characters);
  }

  /** Bytes that wait if the client reads at the least that is expected of one. */
  #reckon(): number {
    const now = this.#now();
    const read = (Math.max(0, now - this.#reckoned.at) * READ) / 1_000;
    this.#reckoned = { bytes: Math.max(0, this.#reckoned.bytes - read), at: now };
    return this.#reckoned.bytes;
  }

  /** Whether the client has ever taken anything, as far as is known. */
  get hasTaken(): boolean {
    return this.#taken || this.#hasTakenSome(this.#socket.bufferedAmount);
  }

  #hasTakenSome(waiting: number | undefined): boolean {
    return this.#characters > 0 && (waiting === undefined || waiting < this.#characters);
  }
}
