/** A WebSocket client that costs almost nothing: it reads into one buffer, and parses only frame headers. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

const TEXT = 1;
/** The opcode of binary frames, for `clientFrame`. */
export const BINARY = 2;
const CLOSE = 8;
const HEADERS_END = "\r\n\r\n";

/** Shared by all connections: each uses what it has read before the next one reads. */
const BUFFER = Buffer.allocUnsafe(65_536);

/** Called with a piece of payload, without frame headers; valid only during the call. */
export type Receive = (bytes: Buffer, from: number, to: number) => void;

export class Connection {
  onReceive: Receive = () => {};
  readonly #socket: Socket;
  readonly #path: string;
  /** Sent as soon as the server has upgraded the connection: frames, or the text of one. */
  readonly #introduction: Buffer | string;
  readonly #opened = Promise.withResolvers<void>();
  /** The response to the upgrade, until it is complete. */
  #answer: string | undefined = "";
  readonly #header = Buffer.alloc(10);
  #headerRead = 0;
  /** Bytes still to come of the current frame. */
  #left = 0;
  #opcode = 0;
  /** The payload of a close frame so far: a code in two bytes, and a reason. */
  #closing = Buffer.alloc(0);

  constructor(port: number, path: string, introduction: Buffer | string, subprotocol?: string) {
    this.#path = path;
    this.#introduction = introduction;
    const callback = (count: number) => {
      this.#read(this.#answer === undefined ? 0 : this.#readAnswer(count), count);
      return true;
    };
    this.#socket = connect({ host: "127.0.0.1", port, onread: { buffer: BUFFER, callback } });
    this.#socket.setNoDelay(true);
    this.#socket.once("connect", () => this.#socket.write(upgrade(port, path, subprotocol)));
    this.#socket.once("error", ({ message }) => this.#lost(message));
    this.#socket.once("close", () => this.#lost("it has ended"));
  }

  /** Resolves when the server has upgraded the connection. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Sends bytes, which must be whole frames. */
  write(frames: Buffer): void {
    this.#socket.write(frames);
  }

  /** Resets the connection, which leaves nothing behind in the kernel. */
  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.resetAndDestroy();
  }

  #lost(why: string): never {
    throw new Error(`the connection at ${this.#path} is lost: ${why}`);
  }

  /** Returns the offset of the first frame in the buffer. */
  #readAnswer(count: number): number {
    const answer = this.#answer + BUFFER.toString("latin1", 0, count);
    const end = answer.indexOf(HEADERS_END);
    this.#answer = end < 0 ? answer : undefined;
    if (end < 0) return count;
    if (!answer.startsWith("HTTP/1.1 101 ")) this.#lost(answer);
    const introduction = this.#introduction;
    if (introduction.length > 0)
      this.write(typeof introduction === "string" ? clientFrame(introduction) : introduction);
    this.#opened.resolve();
    return count - (answer.length - end - HEADERS_END.length);
  }

  #read(from: number, end: number): void {
    let at = from;
    while (at < end) {
      if (this.#left === 0) {
        this.#readHeader(BUFFER.readUInt8(at));
        at += 1;
        continue;
      }
      const to = Math.min(end, at + this.#left);
      this.#left -= to - at;
      if (this.#opcode === CLOSE) this.#readClosing(BUFFER.subarray(at, to));
      else this.onReceive(BUFFER, at, to);
      at = to;
    }
  }

  #readHeader(byte: number): void {
    this.#header[this.#headerRead++] = byte;
    if (this.#headerRead < 2) return;
    const short = this.#header.readUInt8(1);
    if (this.#headerRead < headerLength(short)) return;
    this.#headerRead = 0;
    this.#opcode = this.#header.readUInt8(0) & 15;
    if (this.#opcode > BINARY && this.#opcode !== CLOSE) this.#lost(`a frame with opcode ${this.#opcode}`);
    if (short < 126) this.#left = short;
    else this.#left = short === 126 ? this.#header.readUInt16BE(2) : Number(this.#header.readBigUInt64BE(2));
    if (this.#opcode === CLOSE && this.#left === 0) this.#lost("closed without a code");
  }

  #readClosing(bytes: Buffer): void {
    this.#closing = Buffer.concat([this.#closing, bytes]);
    if (this.#left > 0) return;
    this.#lost(`closed (${this.#closing.readUInt16BE()} ${this.#closing.subarray(2)})`);
  }
}

function headerLength(short: number): number {
  if (short < 126) return 2;
  return short === 126 ? 4 : 10;
}

function upgrade(port: number, path: string, subprotocol: string | undefined): string {
  const key = randomBytes(16).toString("base64");
  const asked = subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `${asked}Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13${HEADERS_END}`
  );
}

/** Encodes a frame, masked with zeros, which leave the payload as it is. */
export function clientFrame(content: string | Buffer, opcode = TEXT): Buffer {
  const payload = Buffer.from(content);
  const header = Buffer.alloc(10);
  header.writeUInt8(0x80 | opcode, 0);
  const length = writeLength(header, payload.length);
  return Buffer.concat([header.subarray(0, length), Buffer.alloc(4), payload]);
}

/** Writes a masked frame's length into its header; returns the length of the header. */
function writeLength(header: Buffer, length: number): number {
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  header.writeUInt8(0x80 | short, 1);
  if (short === 126) header.writeUInt16BE(length, 2);
  if (short === 127) header.writeBigUInt64BE(BigInt(length), 2);
  return headerLength(short);
}
