/** Writes the attachments of an object's sockets: each connection's own part, and in one of them state of the whole object. */
import { type Attachment, attachmentOf, fitsBeside } from "./attachment.ts";
import type { Connection } from "./connection.ts";
import type { Socket } from "./socket.ts";

/** State of the whole object, and the connection whose attachment contains it. */
interface Kept {
  value: Record<string, unknown>;
  holder: Connection;
}

/** Properties to drop first if no socket has enough room: operators' counters, then all counters. */
const DROPPED_FIRST = ["others", "counted"];

export class Attachments {
  readonly #connections: Iterable<Connection>;
  /** Connections whose attachments the runtime has rejected. */
  #rejected: Connection[] = [];
  /** Connections whose attachments are out of date. */
  #changed = new Set<Connection>();
  #kept: Kept | undefined;

  /** @param connections all connections of the object */
  constructor(connections: Iterable<Connection>) {
    this.#connections = connections;
  }

  /** Removes and returns the rejected connections. */
  takeRejected(): Connection[] {
    return this.#rejected.length === 0 ? this.#rejected : this.#rejected.splice(0);
  }

  /** State of the whole object. */
  get kept(): object | undefined {
    return this.#kept?.value;
  }

  /** Reads an attachment written before hibernation. */
  restore(holder: Connection, { kept }: Attachment): void {
    if (kept) this.#kept = { value: { ...kept }, holder };
  }

  /** Has the next `write` include a connection. */
  change(connection: Connection): void {
    this.#changed.add(connection);
  }

  /** Writes the attachments that have changed. Call this before clients learn of the changes. */
  write(): void {
    if (this.#changed.size === 0) return;
    const before = this.#kept;
    if (before && !fitsBeside(before.holder.size, before.value)) this.#place(before.value);
    if (this.#kept && this.#kept !== before) this.#changed.add(this.#kept.holder);
    const changed = this.#changed;
    this.#changed = new Set();
    for (const connection of changed) this.#attach(connection);
  }

  /** Cancels writing the attachment of a closed connection. */
  remove(connection: Connection): void {
    this.#changed.delete(connection);
  }

  /**
   * Adds properties to the state of the whole object, and writes it at once.
   * @returns whether a socket has room for them
   */
  keep(some: object): boolean {
    const before = this.#kept?.holder;
    this.#place({ ...this.#kept?.value, ...some });
    const kept = this.#kept;
    if (before && before !== kept?.holder && !before.closed) this.#attach(before);
    if (kept) this.#attach(kept.holder);
    return kept !== undefined && Object.keys(some).every((key) => key in kept.value);
  }

  /** Finds a connection with room for the state of the whole object, or for as much of it as possible. */
  #place(value: Record<string, unknown>): void {
    const left = { ...value };
    for (const dropped of ["", ...DROPPED_FIRST]) {
      delete left[dropped];
      const holder = this.#withRoomFor(left);
      if (holder) {
        this.#kept = { value: left, holder };
        return;
      }
    }
    this.#kept = undefined;
  }

  /** Returns a connection with room for `value`, preferably the one that has it already. */
  #withRoomFor(value: object): Connection | undefined {
    const before = this.#kept?.holder;
    if (before && !before.closed && fitsBeside(before.size, value)) return before;
    for (const connection of this.#connections) {
      if (fitsBeside(connection.size, value)) return connection;
    }
    return undefined;
  }

  #attach(connection: Connection): void {
    const { socket } = connection;
    const own = attachmentOf(connection);
    const kept = this.#kept?.holder === connection ? this.#kept.value : undefined;
    if (kept && tryWrite(socket, { ...own, kept })) return;
    if (kept) this.#kept = undefined;
    if (!tryWrite(socket, own)) this.#rejected.push(connection);
  }
}

/** Writes an attachment, and returns whether the runtime accepted it. */
function tryWrite(socket: Socket, attachment: Attachment): boolean {
  try {
    socket.serializeAttachment(attachment);
    return true;
  } catch {
    return false;
  }
}
