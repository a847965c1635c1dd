/** A client of the `ws` package that keeps what it reads. Whoever waits for more learns at once if it is closed. */
import { type ClientOptions, WebSocket } from "ws";

/** How a connection ended. */
export interface Closing {
  code: number;
  reason: string;
}

export class Listener {
  readonly socket: WebSocket;
  /** Ends when the connection has. */
  readonly closed: Promise<Closing>;
  /** How it has ended, once it has. */
  closing: Closing | undefined;
  readonly #lines: string[] = [];
  #noticed = () => {};

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (frame) => {
      this.#lines.push(...frame.toString().split("\n").slice(0, -1));
      this.#noticed();
    });
    this.closed = new Promise((resolve) => {
      const ended = (closing: Closing) => {
        this.closing ??= closing;
        resolve(this.closing);
        this.#noticed();
      };
      socket.on("close", (code, reason) => ended({ code, reason: String(reason) }));
      socket.on("error", ({ message }) => ended({ code: 1006, reason: message }));
    });
  }

  /** Connects, and reads the greeting. */
  static async connect(url: string, options: ClientOptions = {}): Promise<Listener> {
    const listener = Listener.open(url, options);
    const greeting = await listener.line();
    if (greeting !== "debug!connected...") throw new Error(`greeted with '${greeting}'`);
    return listener;
  }

  /** Connects, and leaves the greeting to be read. */
  static open(url: string, options: ClientOptions = {}): Listener {
    return new Listener(new WebSocket(url, { perMessageDeflate: false, ...options }));
  }

  say(text: string | Buffer): void {
    this.socket.send(text);
  }

  /**
   * The next `count` lines.
   * @throws Error with the code and the reason, if the connection ends before they are there
   */
  async read(count: number): Promise<string[]> {
    while (this.#lines.length < count) {
      if (this.closing) throw new Error(`closed (${this.closing.code} ${this.closing.reason})`);
      await new Promise<void>((resolve) => {
        this.#noticed = resolve;
      });
    }
    return this.#lines.splice(0, count);
  }

  /** The next line. */
  async line(): Promise<string> {
    const [line = ""] = await this.read(1);
    return line;
  }

  /** Sends `ping`, and reads up to its answer; gives the lines before that. */
  async ping(): Promise<string[]> {
    this.say("ping");
    const before: string[] = [];
    for (let line = await this.line(); !/^\d+$/.test(line); line = await this.line()) before.push(line);
    return before;
  }

  /** Breaks the connection off. */
  close(): void {
    this.socket.terminate();
  }
}

/** Connections being opened at one time. */
const OPENING = 100;

/** A greeted connection for each path. */
export async function connectAll(url: string, paths: string[]): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (let from = 0; from < paths.length; from += OPENING) {
    const some = paths.slice(from, from + OPENING).map((path) => Listener.connect(url + path));
    listeners.push(...(await Promise.all(some)));
  }
  return listeners;
}
