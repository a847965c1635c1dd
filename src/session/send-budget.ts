/** What waits for the clients of one object together: how much, and whether there is room for more. */

import type { Socket } from "./socket.ts";
import { type Backlog, Outbox } from "./socket-output.ts";

/** Bytes that may wait for clients. */
export interface WaitingLimits {
  /** For one of them, before it counts as too slow. */
  maxBufferedBytes: number;
  /** For all of an object together. */
  mostWaiting: number;
}

export class Waiting {
  readonly #limits: WaitingLimits;
  readonly #now: () => number;
  /** What waits for the clients of connections, and of those that were closed: those may never take it. */
  readonly #open: Backlog = { bytes: 0 };
  readonly #closed: Backlog = { bytes: 0 };
  readonly #left = new Map<Socket, Outbox>();
  /** Bytes sent, and how many of them are known to have left this object: a commit may hold back the rest. */
  #sent = 0;
  #confirmed = 0;

  constructor(limits: WaitingLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Bytes that wait for those who are connected. */
  get bytes(): number {
    return this.#open.bytes;
  }

  /** Bytes sent in this object's life. */
  get sent(): number {
    return this.#sent;
  }

  /** Notes that the first so many of them have left this object. */
  confirm(bytes: number): void {
    this.#confirmed = Math.max(this.#confirmed, bytes);
  }

  /** Whether so much has been sent since it was known last that nothing is held back that this has to be found out. */
  get isDoubtful(): boolean {
    return this.#sent - this.#confirmed > this.#limits.mostWaiting / 2;
  }

  /** Whether so much waits for those who were closed that new connections had better go elsewhere. */
  get isCrowded(): boolean {
    return this.#closed.bytes > this.#limits.mostWaiting / 2;
  }

  /** Whether as much waits for those who were closed as may for all. */
  get isFull(): boolean {
    return this.#closed.bytes >= this.#limits.mostWaiting;
  }

  newOutbox(socket: Socket): Outbox {
    return new Outbox(socket, this.#now, this.#open);
  }

  send(outbox: Outbox, frames: string[]): void {
    outbox.send(frames);
    for (const frame of frames) this.#sent += frame.length;
  }

  /** Nothing waits for a client any more. */
  remove(outbox: Outbox): void {
    outbox.moveTo(undefined);
  }

  /** A socket is closed from this side: what waits stays until its network connection ends. */
  leave(socket: Socket, outbox: Outbox): void {
    outbox.moveTo(this.#closed);
    this.#left.set(socket, outbox);
  }

  /** That has ended. */
  forget(socket: Socket): void {
    this.#left.get(socket)?.moveTo(undefined);
    this.#left.delete(socket);
  }

  /** Whether too much of what was sent earlier still waits for a client to take it. */
  isSlow(outbox: Outbox): boolean {
    return outbox.weight > this.#limits.maxBufferedBytes;
  }

  /**
   * Whether at most a part of what may wait for so many connections does. Not every runtime may count what a commit
   * holds back.
   */
  hasRoom(connections: number, part = 1): boolean {
    if (this.#sent - this.#confirmed > part * this.#limits.mostWaiting) return false;
    return this.#open.bytes <= part * this.mostFor(connections);
  }

  /** Whether there is room for the last that a client gets, which stays when its connection is closed. */
  hasRoomForLast(outbox: Outbox): boolean {
    return !this.isSlow(outbox) && this.#open.bytes + this.#closed.bytes <= this.#limits.mostWaiting;
  }

  /** Whether at most half of what may wait does, with what was closed weighed anew. */
  hasDrained(connections: number): boolean {
    for (const outbox of this.#left.values()) void outbox.weight;
    return this.hasRoom(connections, 1 / 2);
  }

  /**
   * Bytes that may be pending for so many connections. What is pending for closed ones leaves less, but always a
   * quarter. Of few connections each may have half of what makes it slow, so that a flood stops before all seem slow.
   */
  mostFor(connections: number): number {
    const { mostWaiting, maxBufferedBytes } = this.#limits;
    const left = Math.max(mostWaiting - this.#closed.bytes, mostWaiting / 4);
    return Math.min(left, (connections * maxBufferedBytes) / 2);
  }
}
