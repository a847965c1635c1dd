/** A bare connection for who types the protocol: what is typed goes out as it is, and all that comes is shown. */
import type { RawLines } from "./raw-lines.ts";

export class Terminal {
  readonly #lines: RawLines;
  readonly #connect: () => WebSocket;
  #socket: WebSocket | undefined;
  /** What was typed before the greeting; undefined after it. */
  #waiting: string | undefined = "";

  /** @param connect opens a connection, with the first line and after each end */
  constructor(lines: RawLines, connect: () => WebSocket) {
    this.#lines = lines;
    this.#connect = connect;
  }

  say(line: string): void {
    const frame = `${line}\n`;
    this.#lines.add("out", frame);
    this.#socket ??= this.#open();
    if (this.#waiting === undefined) this.#socket.send(frame);
    else this.#waiting += frame;
  }

  close(): void {
    this.#socket?.close();
  }

  #open(): WebSocket {
    const socket = this.#connect();
    socket.onmessage = ({ data }) => {
      this.#lines.add("in", String(data));
      if (this.#waiting) socket.send(this.#waiting);
      this.#waiting = undefined;
    };
    socket.onclose = ({ code, reason }) => {
      this.#socket = undefined;
      this.#waiting = "";
      this.#lines.note(`The connection has ended: ${code} ${reason}. The next line opens another one.`);
    };
    return socket;
  }
}
