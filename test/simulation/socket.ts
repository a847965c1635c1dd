/** The server's end of a simulated client's connection. */
import { serialize } from "node:v8";
import { formatReason } from "../../src/protocol/errors.ts";
import { SERVICE_FULL } from "../../src/protocol/refusals.ts";
import type { Socket } from "../../src/session/socket.ts";
import type { Rarity } from "./rarities.ts";

/** Bytes that the runtime takes as an attachment. */
const MOST_ATTACHED = 16_384;

/** Something on its way to a client. */
interface Unread {
  bytes: number;
  take: () => void;
}

/** What a socket needs of the client at its other end. */
export interface Reader {
  readonly name: string;
  /** Takes a frame. */
  read(frame: string): void;
  readonly open: boolean;
  /** The connection has ended, by whatever. */
  ended(code: number, reason: string): void;
  /** The server has closed the connection. */
  sentAway(code: number, reason: string): void;
  /** A frame leaves the object. */
  sent(): void;
}

export class SimulatedSocket implements Socket {
  readonly #client: Reader;
  readonly #isLate: boolean;
  readonly #meet: (rarity: Rarity) => void;
  /** That of its client. */
  readonly name: string;
  /** What its client has not taken yet, if it does so late. */
  readonly unread: Unread[] = [];
  #attachment: unknown;
  open = true;
  /** What its client found wrong, if anything. */
  breach: unknown;
  /** Has what is sent leave when its object lets it. */
  leave = (act: () => void) => act();

  /** @param isLate whether the client takes what is sent some time, not at once */
  constructor(client: Reader, isLate: boolean, meet: (rarity: Rarity) => void) {
    this.#client = client;
    this.name = client.name;
    this.#isLate = isLate;
    this.#meet = meet;
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
    if (this.open) this.#reach(0, () => this.#client.sentAway(code, reason));
    this.open = false;
  }

  /** The connection breaks off, as its object crashes. */
  breakOff(): void {
    if (this.#client.open) this.#client.ended(1006, "");
    this.open = false;
  }

  #reach(bytes: number, act: () => void): void {
    const take = () => this.#check(act);
    this.leave(() => {
      if (this.#isLate) this.unread.push({ bytes, take });
      else take();
    });
  }

  /** The objects take what a socket throws for a connection that has gone. */
  #check(act: () => void): void {
    try {
      act();
    } catch (breach) {
      this.breach ??= breach;
    }
  }

  /** @throws Error if the attachment is larger than the runtime takes */
  serializeAttachment(attachment: unknown): void {
    const bytes = serialize(attachment).byteLength;
    if (bytes >= 15_000) this.#meet("an attachment of 15,000 bytes");
    if (bytes > MOST_ATTACHED) throw new Error(`an attachment has ${bytes} bytes`);
    this.#attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

/** Whether a connection was closed because its client read too slowly. */
export function isTooLate(reason: string): boolean {
  return /^unavailable: the client (reads too slowly|didn't read the greeting)/.test(reason);
}

/** Whether a connection was closed because the service was full. */
export function isBusy(reason: string): boolean {
  return reason === formatReason({ code: "unavailable", why: SERVICE_FULL });
}
