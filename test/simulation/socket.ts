/** The server's end of a simulated client's connection. */
import { deserialize, serialize } from "node:v8";
import { formatReason } from "../../src/protocol/errors.ts";
import { SERVICE_FULL } from "../../src/protocol/refusals.ts";
import type { Socket } from "../../src/session/socket.ts";
import type { CoverageGoal } from "./coverage.ts";

/** The runtime's limit for an attachment, in bytes. */
const MOST_ATTACHED = 16_384;

/** A frame or close that the client has not read yet. */
interface Unread {
  bytes: number;
  read: () => void;
}

/** The client at the other end of a socket. */
export interface Reader {
  readonly name: string;
  /** Receives a frame. */
  read(frame: string): void;
  readonly open: boolean;
  /** Notes that the connection has ended, for whatever reason. */
  ended(code: number, reason: string): void;
  /** Notes that the server is closing the connection; the client will read that later. */
  closing(): void;
  /** Notes that the server closed the connection. */
  closedByServer(code: number, reason: string): void;
  /** Notes that a frame was sent. */
  sent(): void;
}

export class SimulatedSocket implements Socket {
  readonly #client: Reader;
  readonly #isLate: boolean;
  readonly #cover: (goal: CoverageGoal) => void;
  /** The client's name. */
  readonly name: string;
  /** What a slow client has not read yet. */
  readonly unread: Unread[] = [];
  /** The serialized attachment. */
  #attachment: Uint8Array | undefined;
  open = true;
  /** The first violation that the client found. */
  violation: unknown;
  /** Sends output now or, if the object has uncommitted writes, later. */
  leave = (act: () => void) => act();

  /** @param isLate whether the client reads later than frames are sent */
  constructor(client: Reader, isLate: boolean, cover: (goal: CoverageGoal) => void) {
    this.#client = client;
    this.name = client.name;
    this.#isLate = isLate;
    this.#cover = cover;
  }

  get bufferedAmount(): number {
    return this.unread.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  send(text: string): void {
    if (!this.open) throw new Error("sent on a closed socket");
    this.#client.sent();
    this.#reach(text.length, () => this.#client.read(text));
  }

  close(code: number, reason: string): void {
    if (this.open) this.#client.closing();
    if (this.open) this.#reach(0, () => this.#client.closedByServer(code, reason));
    this.open = false;
  }

  /** Breaks the connection because the object crashed. */
  abort(): void {
    if (this.#client.open) this.#client.ended(1006, "");
    this.open = false;
  }

  #reach(bytes: number, act: () => void): void {
    const read = () => this.#check(act);
    this.leave(() => {
      if (this.#isLate) this.unread.push({ bytes, read });
      else read();
    });
  }

  /** Stores violations, because the objects swallow what a socket throws. */
  #check(act: () => void): void {
    try {
      act();
    } catch (violation) {
      this.violation ??= violation;
    }
  }

  /** @throws Error if the attachment exceeds the runtime's limit */
  serializeAttachment(attachment: unknown): void {
    const serialized = serialize(attachment);
    const bytes = serialized.byteLength;
    if (bytes >= 15_000) this.#cover("an attachment of 15,000 bytes");
    if (bytes > MOST_ATTACHED) throw new Error(`an attachment has ${bytes} bytes`);
    this.#attachment = serialized;
  }

  deserializeAttachment(): unknown {
    return this.#attachment && deserialize(this.#attachment);
  }
}

/** Whether a connection was closed because its client read too slowly. */
export function isSlowConsumer(reason: string): boolean {
  return /^unavailable: the client (reads too slowly|didn't read the greeting)/.test(reason);
}

/** Whether a connection was closed because the service was full. */
export function isBusy(reason: string): boolean {
  return reason === formatReason({ code: "unavailable", why: SERVICE_FULL });
}
