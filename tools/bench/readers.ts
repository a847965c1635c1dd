/** Subscribers of one channel by WebSocket or by HTTP, counted in the same way, and a publisher. */
import { connect, type Socket } from "node:net";
import { clientFrame } from "./websocket.ts";

/** Occurs once per message, and nowhere else in what subscribers receive. */
const MARK = "@".charCodeAt(0);
export const MESSAGE = `@${"x".repeat(31)}`;

const UPGRADE =
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/** The request headers of each kind of subscriber. */
const KINDS = { WebSocket: UPGRADE, lines: "", events: "Accept: text/event-stream\r\n" } as const;

export type Kind = keyof typeof KINDS;

/** What a reader's stream begins with last: from then on it receives messages only. */
const READY: Record<Kind, RegExp> = {
  WebSocket: /debug!connected/,
  lines: /debug!connected/,
  events: /event: debug\nid: \d+\.\d+\ndata: position/,
};

/** Shared by all connections: each counts what it has read before the next one reads. */
const BUFFER = Buffer.allocUnsafe(262_144);

/** Connections opened at a time. */
const AT_ONCE = 50;

export class Readers {
  readonly kind: Kind;
  readonly size: number;
  readonly #sockets: Socket[] = [];
  readonly #announcement: string;
  #publisher: Socket | undefined;
  /** Messages read by all readers together, and how many of these are awaited. */
  #read = 0;
  #awaited = Number.POSITIVE_INFINITY;
  #onAwaited = () => {};

  private constructor(kind: Kind, size: number, channel: string) {
    this.kind = kind;
    this.size = size;
    this.#announcement = `announce ${channel} ${MESSAGE}\n`;
  }

  /** Connects readers, and a publisher at the same channel. */
  static async gather(port: number, kind: Kind, size: number, channel = `crowd-${kind}`): Promise<Readers> {
    const readers = new Readers(kind, size, channel);
    const count = (bytes: Buffer) => readers.#count(bytes);
    for (let i = 0; i < size; i += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, size - i) }, () => open(port, channel, kind, count));
      readers.#sockets.push(...(await Promise.all(some)));
    }
    readers.#publisher = await open(port, channel, "WebSocket", () => {});
    return readers;
  }

  /** Keeps `window` messages in flight for some time; returns deliveries per second. */
  async deliver(window: number, milliseconds: number): Promise<number> {
    this.#read = 0;
    const frame = clientFrame(this.#announcement);
    let sent = 0;
    const send = (count: number) => {
      sent += count;
      this.#publisher?.write(Buffer.concat(Array.from({ length: count }, () => frame)));
    };
    const began = performance.now();
    const until = began + milliseconds;
    send(window);
    while (performance.now() < until) {
      await this.#untilRead((sent - window + 1) * this.size);
      send(Math.floor(this.#read / this.size) + window - sent);
    }
    await this.#untilRead(sent * this.size);
    return (this.#read / (performance.now() - began)) * 1_000;
  }

  /**
   * Sends one frame in which announcements and pings alternate.
   * @returns the milliseconds until all readers have received all messages
   */
  async alternate(count: number): Promise<number> {
    this.#read = 0;
    const began = performance.now();
    this.#publisher?.write(clientFrame(`${this.#announcement}ping\n`.repeat(count)));
    await this.#untilRead(count * this.size);
    return performance.now() - began;
  }

  close(): void {
    for (const socket of [...this.#sockets, this.#publisher]) socket?.resetAndDestroy();
  }

  #untilRead(messages: number): Promise<void> {
    if (this.#read >= messages) return Promise.resolve();
    this.#awaited = messages;
    return new Promise((resolve) => {
      this.#onAwaited = resolve;
    });
  }

  #count(bytes: Buffer): void {
    for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) this.#read += 1;
    if (this.#read < this.#awaited) return;
    this.#awaited = Number.POSITIVE_INFINITY;
    this.#onAwaited();
  }
}

/** Opens a connection, and waits until it is ready to receive messages. */
async function open(port: number, channel: string, kind: Kind, onBytes: (bytes: Buffer) => void): Promise<Socket> {
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  let head: string | undefined = "";
  const callback = (count: number) => {
    const bytes = BUFFER.subarray(0, count);
    if (head === undefined) onBytes(bytes);
    else {
      head += bytes.toString("latin1");
      if (!READY[kind].test(head)) return true;
      head = undefined;
      resolve();
    }
    return true;
  };
  const socket = connect({ host: "127.0.0.1", port, onread: { buffer: BUFFER, callback } });
  socket.setNoDelay(true);
  socket.once("error", reject).on("error", () => {});
  socket.once("close", () => reject(new Error(`the server refused a reader: ${head}`)));
  socket.write(`GET /${channel} HTTP/1.1\r\nHost: 127.0.0.1\r\n${KINDS[kind]}\r\n`);
  await ready;
  return socket;
}
