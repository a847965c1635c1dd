/** A raw connection: sends typed lines unchanged, and shows all lines received. */
import type { RawLines } from "./raw-lines.ts";

export class Terminal {
  readonly #lines: RawLines;
  readonly #connect: () => WebSocket;
  #socket: WebSocket | undefined;
  /** Lines typed before the greeting; undefined after it. */
  #pending: string | undefined = "";

  /** @param connect opens a connection, for the first line and after each close */
  constructor(lines: RawLines, connect: () => WebSocket) {
    this.#lines = lines;
    this.#connect = connect;
  }

  send(line: string): void {
    const frame = `${line}\n`;
    this.#lines.add("out", frame);
    this.#socket ??= this.#open();
    if (this.#pending === undefined) this.#socket.send(frame);
    else this.#pending += frame;
  }

  close(): void {
    this.#socket?.close();
  }

  #open(): WebSocket {
    const socket = this.#connect();
    socket.onmessage = ({ data }) => {
      this.#lines.add("in", String(data));
      if (this.#pending) socket.send(this.#pending);
      this.#pending = undefined;
    };
    socket.onclose = ({ code, reason }) => {
      this.#socket = undefined;
      this.#pending = "";
      this.#lines.note(`The connection was closed: ${code} ${reason}. The next line opens a new one.`);
    };
    return socket;
  }
}
