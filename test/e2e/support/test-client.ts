/** A client made with the `ws` package, which stores the lines it receives. Pending reads fail when it is closed. */
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { type ClientOptions, WebSocket } from "ws";

/** How a connection ended. */
export interface Closing {
  code: number;
  reason: string;
}

/** The options of `ws`, and some more. */
export interface Options extends ClientOptions {
  /** WebSocket subprotocols to offer. */
  protocols?: string[];
  /**
   * How long the TCP connection may stay open after this end has sent a close frame, in milliseconds. The runtime
   * leaves it open for ten seconds after its own close frame, although nothing more can come.
   */
  closeTimeout?: number;
}

/** A response that refuses an upgrade. */
export interface Refusal {
  status: number | undefined;
  body: string;
}

export class TestClient {
  readonly socket: WebSocket;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<Closing>;
  /** How it ended; undefined while it is open. */
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
  static async connect(url: string, options: Options = {}): Promise<TestClient> {
    const client = TestClient.open(url, options);
    const greeting = await client.line();
    if (greeting !== "debug!connected...") throw new Error(`greeted with '${greeting}'`);
    return client;
  }

  /** Connects without reading the greeting. */
  static open(url: string, options: Options = {}): TestClient {
    return new TestClient(openSocket(url, options));
  }

  /**
   * Stops storing lines, for tests that receive more than fits in memory; calls `onFrame` with the length of each
   * frame instead.
   */
  count(onFrame: (characters: number) => void): void {
    this.socket.removeAllListeners("message");
    this.socket.on("message", (frame: Buffer) => onFrame(frame.length));
  }

  send(text: string | Buffer): void {
    this.socket.send(text);
  }

  /**
   * Returns the next `count` lines.
   * @throws Error with the code and the reason, if the connection ends first
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

  /** Returns the next line. */
  async line(): Promise<string> {
    const [line = ""] = await this.read(1);
    return line;
  }

  /** Sends `ping`, reads up to its reply, and returns the lines before that. */
  async ping(): Promise<string[]> {
    this.send("ping");
    const before: string[] = [];
    for (let line = await this.line(); !/^\d+$/.test(line); line = await this.line()) before.push(line);
    return before;
  }

  /** Breaks the connection. */
  close(): void {
    this.socket.terminate();
  }
}

/** The error of reads that are pending when a connection ends. */
export function hasEnded({ code, reason }: Closing): Error {
  return new Error(`closed (${code} ${reason})`);
}

/** Returns the response to an upgrade that the server refuses; throws if it accepts. */
export async function refusal(url: string, options: Options = {}): Promise<Refusal> {
  const socket = openSocket(url, options);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      socket.once("unexpected-response", (_, response) => resolve(response));
      socket.once("open", () => reject(new Error("the server accepted the connection")));
      // Terminating the socket below emits an error as well, which comes too late to matter.
      socket.on("error", reject);
    });
    return { status: response.statusCode, body: await text(response) };
  } finally {
    socket.terminate();
  }
}

function openSocket(url: string, { protocols = [], closeTimeout = 1, ...options }: Options): WebSocket {
  const all = { perMessageDeflate: false, closeTimeout, ...options };
  return new WebSocket(url, protocols, all);
}

/** Maximum connections being opened at once. */
const OPENING = 100;

/** Opens a connection for each path, and reads the greetings. */
export async function connectAll(url: string, paths: string[]): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  for (let from = 0; from < paths.length; from += OPENING) {
    const some = paths.slice(from, from + OPENING).map((path) => TestClient.connect(url + path));
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}
