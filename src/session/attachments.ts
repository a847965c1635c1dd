/** Writes what outlives hibernation to the sockets of one object: each connection's own part, and the object's. */
import type { Grants } from "../auth/grants.ts";
import { type Attachment, attachmentOf, fitsBeside } from "./attachment.ts";
import type { Socket } from "./socket.ts";

interface Attached {
  readonly socket: Socket;
  readonly channels: ReadonlySet<string>;
  readonly counted: ReadonlySet<string>;
  readonly grants: Grants | undefined;
  /** Bytes that its channels and grants take. */
  readonly size: number;
  readonly closed: boolean;
}

interface Kept<A> {
  value: Record<string, unknown>;
  by: A;
}

/** What the object does without first where its sockets have too little room: operators' counters, then all counters. */
const DROPPED_FIRST = ["others", "counted"];

export class Attachments<A extends Attached> {
  readonly #connections: Iterable<A>;
  /** Connections whose attachment the runtime doesn't take. */
  #rejected: A[] = [];
  /** Connections whose attachment isn't what it has to be. */
  #changed = new Set<A>();
  #kept: Kept<A> | undefined;

  /** @param connections all connections of the object */
  constructor(connections: Iterable<A>) {
    this.#connections = connections;
  }

  /** Returns the connections whose attachment the runtime doesn't take, and forgets them. */
  takeRejected(): A[] {
    return this.#rejected.length === 0 ? this.#rejected : this.#rejected.splice(0);
  }

  /** The object's own part, if its socket is still there. */
  get kept(): object | undefined {
    return this.#kept?.value;
  }

  /** Takes up an attachment that an earlier life of this object wrote. */
  takeUp(by: A, { kept }: Attachment): void {
    if (kept) this.#kept = { value: { ...kept }, by };
  }

  /** Has `write` write a connection's attachment. A connection that changes several times is written once. */
  change(connection: A): void {
    this.#changed.add(connection);
  }

  /** Writes the attachments that have changed; to be called before clients are told of the changes. */
  write(): void {
    if (this.#changed.size === 0) return;
    const before = this.#kept;
    if (before && !fitsBeside(before.by.size, before.value)) this.#place(before.value);
    if (this.#kept && this.#kept !== before) this.#changed.add(this.#kept.by);
    const changed = this.#changed;
    this.#changed = new Set();
    for (const connection of changed) this.#attach(connection);
  }

  /** Forgets a connection that is closed. */
  forget(connection: A): void {
    this.#changed.delete(connection);
  }

  /**
   * Adds properties to the object's own part, at once.
   * @returns whether some socket has room for them
   */
  keep(some: object): boolean {
    const before = this.#kept?.by;
    this.#place({ ...this.#kept?.value, ...some });
    const kept = this.#kept;
    if (before && before !== kept?.by && !before.closed) this.#attach(before);
    if (kept) this.#attach(kept.by);
    return kept !== undefined && Object.keys(some).every((key) => key in kept.value);
  }

  /** Finds a connection with room for the object's own part, or for as much of it as possible. */
  #place(value: Record<string, unknown>): void {
    const left = { ...value };
    for (const dropped of ["", ...DROPPED_FIRST]) {
      delete left[dropped];
      const by = this.#roomiest(left);
      if (by) {
        this.#kept = { value: left, by };
        return;
      }
    }
    this.#kept = undefined;
  }

  /** The connection that had it before, if it has room, else any that has. */
  #roomiest(value: object): A | undefined {
    const before = this.#kept?.by;
    if (before && !before.closed && fitsBeside(before.size, value)) return before;
    for (const connection of this.#connections) {
      if (fitsBeside(connection.size, value)) return connection;
    }
    return undefined;
  }

  #attach(connection: A): void {
    const { socket } = connection;
    const own = attachmentOf(connection);
    const kept = this.#kept?.by === connection ? this.#kept.value : undefined;
    if (kept && isTaken(socket, { ...own, kept })) return;
    if (kept) this.#kept = undefined;
    if (!isTaken(socket, own)) this.#rejected.push(connection);
  }
}

/** Writes an attachment; says whether the runtime takes it. */
function isTaken(socket: Socket, attachment: Attachment): boolean {
  try {
    socket.serializeAttachment(attachment);
    return true;
  } catch {
    return false;
  }
}
