/** What has been sent to one client, and how much of that still waits for it to be taken. */
import type { Socket } from "./socket.ts";

/** Memory that the runtime takes for a frame that waits, besides its bytes; measured with 1.20261117. */
const FRAME_OVERHEAD = 1_300;

export class Outbox {
  readonly #socket: Socket;
  /** What has been sent since nothing was waiting. */
  #frames = 0;
  #characters = 0;
  #taken = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(frames: string[]): void {
    try {
      for (const frame of frames) {
        this.#socket.send(frame);
        this.#frames += 1;
        this.#characters += frame.length;
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
    const waiting = this.#socket.bufferedAmount;
    this.#taken ||= this.#hasTakenSome(waiting);
    if (waiting === 0) this.#frames = this.#characters = 0;
    if (this.#frames === 0) return waiting;
    return waiting + FRAME_OVERHEAD * this.#frames * Math.min(1, waiting / this.#characters);
  }

  /** Whether the client has ever taken anything, as far as is known. */
  get hasTaken(): boolean {
    return this.#taken || this.#hasTakenSome(this.#socket.bufferedAmount);
  }

  #hasTakenSome(waiting: number): boolean {
    return this.#characters > 0 && !(waiting >= this.#characters);
  }
}
