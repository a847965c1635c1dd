/**
 * Bodies of requests. Clients may send them as slowly and in pieces as small as they like. So a body has a deadline,
 * and all bodies of a Worker share a memory budget, each from its first byte until its request is done.
 */
import { Denial, retryAfter } from "../denial.ts";

/** Most bytes of a body: what goes down a link at one time. */
export const MOST_BODY = 1_000_000;

/** Bytes of all bodies together: an eighth of a Worker's 128 MB, as the messages made of them take as much again. */
const BUDGET = 16_000_000;

/** Bytes that a body takes at first. */
const FIRST_SIZE = 16_384;

/** Bytes per read: a read costs as much processor time as copying some thousand bytes. */
const PIECE = 4_096;

/** How long a body may take, and each piece of it, in milliseconds. */
const DEADLINE = 30_000;
const PIECE_DEADLINE = 10_000;

/**
 * Age at which a body no longer counts, in milliseconds. Reading and announcing take at most a deadline and a call, so
 * an older one belongs to a request that the platform has cancelled, which runs no code at its end.
 */
const ABANDONED_AFTER = 60_000;

/** The memory of all bodies that are in use. */
const buffers = new Set<Buffer>();

/**
 * Reads a request's body and passes it to `use`; its memory counts until that is done.
 * @throws Denial if the body is too long, too slow or one too many; whatever `use` throws
 */
export async function withBody<T>(request: Request, use: (body: Uint8Array) => Promise<T>): Promise<T> {
  const buffer = new Buffer();
  buffers.add(buffer);
  try {
    await fill(buffer, request);
    return await use(buffer.filled);
  } finally {
    buffers.delete(buffer);
  }
}

/** The memory of one body. It grows as the body does, whatever length that claims to have. */
class Buffer {
  readonly since = Date.now();
  size = 0;
  #bytes = new Uint8Array();
  #used = 0;

  get filled(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  /**
   * Returns the part that the next piece goes to. The runtime takes all of the memory until `put` gives it back.
   * @throws Denial if there is no room for a piece
   */
  open(): Uint8Array<ArrayBuffer> {
    // One byte more than a body may have, to see that it has more.
    if (this.size - this.#used < PIECE)
      this.#grow(Math.min(Math.max(2 * this.size, FIRST_SIZE), MOST_BODY + 1));
    return this.#bytes.subarray(this.#used);
  }

  /**
   * Takes back what `open` has returned, with a piece at its beginning.
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
    if (this.#used > MOST_BODY) throw tooLong();
  }

  #grow(size: number): void {
    if (size <= this.size) return;
    if (sizeOfAll() + size - this.size > BUDGET) {
      throw new Denial(503, "unavailable", "too many bodies arrive at once; try again", retryAfter(1));
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
  const source = sourceOf(body);
  try {
    if (Number(headers.get("Content-Length")) > MOST_BODY) throw tooLong();
    const deadline = buffer.since + DEADLINE;
    const next = () => inTime(source.next(buffer), Math.min(PIECE_DEADLINE, deadline - Date.now()));
    while (await next());
  } catch (error) {
    source.cancel();
    // The client has left, or sent less than its Content-Length.
    throw error instanceof Denial ? error : new Denial(400, "invalid", "the body broke off");
  }
}

interface Source {
  /** Reads the next piece; returns false at the end. */
  next(buffer: Buffer): Promise<boolean>;
  cancel(): void;
}

/** The runtime's own streams read into the buffer; streams that a Worker around this one has made are copied. */
function sourceOf(body: ReadableStream<Uint8Array>): Source {
  try {
    const reader = body.getReader({ mode: "byob" });
    return { next: (buffer) => readInto(buffer, reader), cancel: () => cancel(reader) };
  } catch {
    const reader = body.getReader();
    return { next: (buffer) => copyInto(buffer, reader), cancel: () => cancel(reader) };
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

function cancel(reader: ReadableStreamBYOBReader | ReadableStreamDefaultReader): void {
  reader.cancel().catch(() => {});
}

/** @throws Denial if `work` takes longer than so many milliseconds */
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
  return new Denial(413, "limit", `a body has at most ${MOST_BODY} bytes`);
}

function tooSlow(): Denial {
  const [all, piece] = [DEADLINE / 1_000, PIECE_DEADLINE / 1_000];
  const why = `a body arrives within ${all} seconds, and ${PIECE} bytes of it each ${piece} seconds; try again`;
  return new Denial(408, "unavailable", why);
}
