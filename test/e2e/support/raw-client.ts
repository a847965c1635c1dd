/** A client that can send any bytes, even those that a WebSocket library would never send. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished } from "vitest";
import { ATTACKED, type Served } from "./bystander.ts";

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
const PONG = 10;

const HEADERS_END = "\r\n\r\n";

export type Bytes = string | Uint8Array | number[];

interface FrameOptions {
  /** Whether the message ends with this frame. */
  final?: boolean;
  /** Reserved bits, at their position in the first byte. */
  reserved?: number;
  masked?: boolean;
  /** The length in the header, if it differs from the payload's. */
  claimed?: bigint;
}

/** Encodes a frame. Its mask, if any, is zero, so the payload stays readable. */
export function frame(opcode: number, payload: Bytes = "", options: FrameOptions = {}): Buffer {
  const { final = true, reserved = 0, masked = true, claimed } = options;
  const bytes = bytesOf(payload);
  const [short, ...more] = lengthOf(bytes, claimed);
  const header = [(final ? 0x80 : 0) | reserved | opcode, (masked ? 0x80 : 0) | short, ...more];
  return Buffer.concat([Buffer.from(header), Buffer.alloc(masked ? 4 : 0), bytes]);
}

/** Encodes a length as in a header: in the second byte and, after two special values, two or eight more. */
function lengthOf(bytes: Buffer, claimed: bigint | undefined): [number, ...number[]] {
  if (claimed === undefined && bytes.length < 126) return [bytes.length];
  if (claimed === undefined && bytes.length < 65_536) return [126, bytes.length >> 8, bytes.length & 255];
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(claimed ?? BigInt(bytes.length));
  return [127, ...length];
}

/** Encodes a message in frames of one byte each, with `between` after all but the last. */
export function fragments(opcode: number, payload: Bytes, between: Bytes = ""): Buffer {
  const bytes = [...bytesOf(payload)];
  return Buffer.concat(
    bytes.flatMap((byte, i) => {
      const final = i === bytes.length - 1;
      const fragment = frame(i === 0 ? opcode : CONTINUATION, [byte], { final });
      return final ? [fragment] : [fragment, bytesOf(between)];
    }),
  );
}

export function bytesOf(bytes: Bytes): Buffer {
  return typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
}

/** The headers that an upgrade needs. */
export const HANDSHAKE = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
];

/** Encodes a request; each character of its text becomes one byte. */
export function request(target: string, headers: string[] = HANDSHAKE, method = "GET"): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, "Host: fanout.test", ...headers];
  return Buffer.from(lines.join("\r\n") + HEADERS_END, "latin1");
}

/** A response to a request. */
export interface Answer {
  status: number;
  /** The status line and the headers, unparsed. */
  head: string;
  body: string;
}

export class RawClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #arrived = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#arrived();
    });
    const end = () => {
      this.#ended = true;
      this.#arrived();
    };
    // Attackers don't care how the server ends the connection.
    for (const event of ["end", "error", "close"]) socket.on(event, end);
  }

  /** Connects without sending anything. The connection ends with the test. */
  static async connect(server: Served): Promise<RawClient> {
    const { hostname, port } = new URL(server.url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
    const client = new RawClient(socket);
    onTestFinished(() => client.reset());
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  /** Connects to a channel, and reads the greeting. */
  static async upgrade(server: Served, channel = ATTACKED): Promise<RawClient> {
    const client = await RawClient.connect(server);
    client.send(request(`/${channel}`));
    expect(await client.answer()).toMatchObject({ status: 101 });
    expect(await client.outcome()).toEqual(["debug!connected..."]);
    return client;
  }

  send(...parts: Bytes[]): void {
    for (const part of parts) this.#socket.write(bytesOf(part));
  }

  /** Resolves when everything written has left this process. */
  sent(): Promise<void> {
    return new Promise((resolve) => this.#socket.write("", () => resolve()));
  }

  /** Stops reading until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the sending side. */
  finish(): void {
    this.#socket.end();
  }

  /** Resets the connection. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    while (!this.#ended) await this.#more();
  }

  /** Reads the response to the request sent last. */
  async answer(): Promise<Answer> {
    let end = this.#received.indexOf(HEADERS_END);
    for (; end < 0; end = this.#received.indexOf(HEADERS_END)) {
      if (this.#ended) throw new Error(`the connection ended after '${this.#received}'`);
      await this.#more();
    }
    const head = (await this.#take(end + HEADERS_END.length)).toString("latin1");
    const length = /^content-length: (\d+)/im.exec(head)?.[1] ?? 0;
    const body = (await this.#take(Number(length))).toString();
    return { status: Number(head.split(" ")[1]), head, body };
  }

  /**
   * Sends a `ping`, and returns the lines that the server sends before its reply, or up to `closed` with a code.
   * Pongs are listed as lines.
   */
  async outcome(): Promise<string[]> {
    this.send(frame(TEXT, "ping"));
    for (let text = ""; ; ) {
      const { opcode, payload } = await this.#frame();
      if (opcode === PONG) text += `pong ${payload}\n`;
      if (opcode === TEXT) text += payload;
      const lines = text.split("\n").slice(0, -1);
      if (/^\d+$/.test(lines.at(-1) ?? "")) return lines.slice(0, -1);
      if (opcode === CLOSE) return [...lines, `closed ${payload.length < 2 ? 1005 : payload.readUInt16BE()}`];
    }
  }

  async #frame(): Promise<{ opcode: number; payload: Buffer }> {
    const header = await this.#take(2);
    const payload = await this.#take(await this.#length(header.readUInt8(1)));
    return { opcode: header.readUInt8(0) & 15, payload };
  }

  async #length(short: number): Promise<number> {
    if (short < 126) return short;
    if (short === 126) return (await this.#take(2)).readUInt16BE();
    return Number((await this.#take(8)).readBigUInt64BE());
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#received.length < count) {
      if (this.#ended) throw new Error("the server ended the connection without a close frame");
      await this.#more();
    }
    const bytes = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return bytes;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }
}
