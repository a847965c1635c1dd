/**
 * Request bodies. Clients may send them slowly and in tiny pieces, so each body has deadlines, and all bodies of a
 * Worker share a memory budget, which a body uses from its first byte until its request is done, or its client has gone.
 */
import { Denial, retryAfter } from "../denial.ts";
import { onDisconnect } from "./disconnect.ts";

/** Most bytes of a body, which is what one delivery along a link can carry. */
export const MAX_BODY = 1_000_000;

/**
 * Bytes of all bodies together: an eighth of a Worker's 128 MB, because the messages made of them take as much again.
 */
const BUDGET = 16_000_000;

/** Initial size of a body's buffer, in bytes. */
const FIRST_SIZE = 16_384;

/** Bytes per read: a read costs about as much processor time as copying a few thousand bytes. */
const PIECE = 4_096;

/** Time within which a body, and each piece of it, has to be received, in milliseconds. */
const DEADLINE = 30_000;
const PIECE_DEADLINE = 10_000;

/**
 * Age at which a body no longer counts, in milliseconds. Reading and announcing take at most a deadline and a call, so
 * older bodies belong to requests that the platform cancelled without running their cleanup.
 */
const ABANDONED_AFTER = 60_000;

/** The buffers of all bodies in use. */
const buffers = new Set<Buffer>();

/**
 * Reads a request's body and passes it to `use`; the body uses the budget until `use` is done.
 * @throws Denial if the body is too long or too slow, or the budget is exhausted; anything that `use` throws
 */
export async function withBody<T>(request: Request, use: (body: Uint8Array) => Promise<T>): Promise<T> {
  const buffer = new Buffer();
  buffers.add(buffer);
  onDisconnect(request, () => buffers.delete(buffer));
  try {
    await fill(buffer, request);
    return await use(buffer.filled);
  } finally {
    buffers.delete(buffer);
  }
}

/** The memory of one body. It grows with the bytes received, because clients can claim any length. */
class Buffer {
  readonly since = Date.now();
  size = 0;
  #bytes = new Uint8Array();
  #used = 0;

  get filled(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  /**
   * Returns the free part, for the next piece. The runtime detaches the whole memory until `put` returns it.
   * @throws Denial if the budget is exhausted
   */
  open(): Uint8Array<ArrayBuffer> {
    // One byte more than allowed, to notice longer bodies.
    if (this.size - this.#used < PIECE) this.#grow(Math.min(Math.max(2 * this.size, FIRST_SIZE), MAX_BODY + 1));
    return this.#bytes.subarray(this.#used);
  }

  /**
   * Takes back the memory that `open` returned, which begins with a piece.
   * @throws Denial if the body is too long
   */
  put({ buffer, byteLength }: Uint8Array<ArrayBuffer>): void {
    this.#bytes = new Uint8Array(buffer);
    this.#take(byteLength);
  }

  /**
   * Copies a piece.
   * @throws Denial if the body is too long
   */
  add(piece: Uint8Array): void {
    for (let from = 0; from < piece.byteLength; ) {
      const room = this.open();
      const part = piece.subarray(from, from + room.byteLength);
      room.set(part);
      this.#take(part.byteLength);
      from += part.byteLength;
    }
  }

  #take(bytes: number): void {
    this.#used += bytes;
    if (this.#used > MAX_BODY) throw tooLong();
  }

  #grow(size: number): void {
    if (size <= this.size) return;
    if (sizeOfAll() + size - this.size > BUDGET) {
      throw new Denial(503, "unavailable", "the server receives too many bodies; try again", retryAfter(1));
    }
    const grown = new Uint8Array(size);
    grown.set(this.filled);
    this.#bytes = grown;
    this.size = size;
  }
}

function sizeOfAll(): number {
  const oldest = Date.now() - ABANDONED_AFTER;
  let size = 0;
  for (const buffer of buffers) {
    if (buffer.since < oldest) buffers.delete(buffer);
    else size += buffer.size;
  }
  return size;
}

async function fill(buffer: Buffer, { body, headers }: Request): Promise<void> {
  if (!body) return;
  const { reader, next } = sourceOf(body, buffer);
  try {
    if (Number(headers.get("Content-Length")) > MAX_BODY) throw tooLong();
    const deadline = buffer.since + DEADLINE;
    while (await inTime(next(), Math.min(PIECE_DEADLINE, deadline - Date.now())));
  } catch (error) {
    reader.cancel().catch(() => {});
    // The client has left, or sent less than its Content-Length.
    throw error instanceof Denial ? error : new Denial(400, "invalid", "the body broke off");
  }
}

/**
 * Reads the runtime's own streams into the buffer, and copies from streams that a surrounding Worker made.
 * @returns `next`, which reads the next piece, and returns false at the end
 */
function sourceOf(body: ReadableStream<Uint8Array>, buffer: Buffer) {
  try {
    const reader = body.getReader({ mode: "byob" });
    return { reader, next: () => readInto(buffer, reader) };
  } catch {
    const reader = body.getReader();
    return { reader, next: () => copyInto(buffer, reader) };
  }
}

async function readInto(buffer: Buffer, reader: ReadableStreamBYOBReader): Promise<boolean> {
  const room = buffer.open();
  const { done, value } = await reader.readAtLeast(Math.min(PIECE, room.byteLength), room);
  if (value) buffer.put(value);
  return !done;
}

async function copyInto(buffer: Buffer, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<boolean> {
  const { done, value } = await reader.read();
  if (value) buffer.add(value);
  return !done;
}

/** @throws Denial if the work isn't done in time */
async function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow()), Math.max(0, milliseconds));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(): Denial {
  return new Denial(413, "limit", `a body has at most ${MAX_BODY} bytes`);
}

function tooSlow(): Denial {
  const [all, piece] = [DEADLINE / 1_000, PIECE_DEADLINE / 1_000];
  const why = `the body is too slow; send all of it within ${all} seconds, and ${PIECE} bytes every ${piece} seconds`;
  return new Denial(408, "unavailable", why);
}
