/** A client of the `ws` package that keeps what it reads. Whoever waits for more learns at once if it is closed. */
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { type ClientOptions, WebSocket } from "ws";

/** How a connection ended. */
export interface Closing {
  code: number;
  reason: string;
}

/** Besides what `ws` is told to let one choose. */
export interface Options extends ClientOptions {
  /** WebSocket subprotocols to offer. */
  protocols?: string[];
  /**
   * Milliseconds that the network connection may stay open after this end has sent a close frame. The
   * runtime leaves it open for ten seconds after its own, in which nothing more can come.
   */
  closeTimeout?: number;
}

/** An answer to a request for an upgrade that is none. */
export interface Refusal {
  status: number | undefined;
  said: string;
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
  static async connect(url: string, options: Options = {}): Promise<Listener> {
    const listener = Listener.open(url, options);
    const greeting = await listener.line();
    if (greeting !== "debug!connected...") throw new Error(`greeted with '${greeting}'`);
    return listener;
  }

  /** Connects, and leaves the greeting to be read. */
  static open(url: string, options: Options = {}): Listener {
    return new Listener(openSocket(url, options));
  }

  /**
   * Keeps no lines from here on, as they are more than there is room for, but tells of each frame how many
   * characters it has.
   */
  count(onFrame: (characters: number) => void): void {
    this.socket.removeAllListeners("message");
    this.socket.on("message", (frame: Buffer) => onFrame(frame.length));
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
      if (this.closing) throw hasEnded(this.closing);
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

/** That a connection has ended, for who still waits for something of it. */
export function hasEnded({ code, reason }: Closing): Error {
  return new Error(`closed (${code} ${reason})`);
}

/** What the server answers to an upgrade that it does not grant; fails if it does. */
export async function refusal(url: string, options: Options = {}): Promise<Refusal> {
  const socket = openSocket(url, options);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      socket.once("unexpected-response", (_, response) => resolve(response));
      socket.once("open", () => reject(new Error("the server has let this connection in")));
      // Also what comes of ending it below, which is no news.
      socket.on("error", reject);
    });
    return { status: response.statusCode, said: await text(response) };
  } finally {
    socket.terminate();
  }
}

function openSocket(url: string, { protocols = [], closeTimeout = 1, ...options }: Options): WebSocket {
  const all = { perMessageDeflate: false, closeTimeout, ...options };
  return new WebSocket(url, protocols, all);
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
