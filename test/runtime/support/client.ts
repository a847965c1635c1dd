/** A client of the line protocol for tests. Its methods wait for events, and never poll. */
import { exports } from "cloudflare:workers";

/** How a connection ended. */
export interface Closing {
  code: number;
  reason: string;
}

interface Reader {
  read: (line: string) => void;
  failed: (cause: Error) => void;
}

const open = new Set<Client>();

/** One connection to the service. */
export class Client {
  /** Resolves when the connection ends. */
  readonly closed: Promise<Closing>;
  readonly #socket: WebSocket;
  readonly #lines: string[] = [];
  readonly #readers: Reader[] = [];
  #partial = "";
  #closing: Closing | undefined;

  /** Connects to `channel`, or only to `all`, and reads the greeting. */
  static async connect(channel = "", headers: Record<string, string> = {}): Promise<Client> {
    const client = await Client.open(channel, headers);
    const greeting = await client.line();
    if (greeting !== "debug!connected...") throw new Error(`greeted with '${greeting}'`);
    return client;
  }

  /** Connects, without reading the greeting. */
  static async open(channel = "", headers: Record<string, string> = {}): Promise<Client> {
    const response = await exports.default.fetch(`http://fanout.test/${encodeURIComponent(channel)}`, {
      headers: { Upgrade: "websocket", ...headers },
    });
    if (!response.webSocket) throw new Error(`not upgraded: ${response.status} ${await response.text()}`);
    return new Client(response.webSocket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    open.add(this);
    this.closed = new Promise((resolve) => {
      const ended = (closing: Closing) => {
        resolve(this.#end(closing));
      };
      socket.addEventListener("close", ({ code, reason }) => ended({ code, reason }));
      socket.addEventListener("error", ({ message }) => ended({ code: 1006, reason: message }));
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") throw new Error("the server sends text only");
      this.#take(data);
    });
    socket.accept();
  }

  /** Whether this end knows that the connection has ended. */
  get hasEnded(): boolean {
    return this.#closing !== undefined;
  }

  /** Sends one frame. */
  send(frame: string | ArrayBuffer | ArrayBufferView): void {
    this.#socket.send(frame);
  }

  /** Waits for the next line. Rejects if the connection ends first. */
  line(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#closing) return Promise.reject(this.#endedWhileReading(this.#closing));
    return new Promise((read, failed) => this.#readers.push({ read, failed }));
  }

  /** Waits for the next `count` lines. */
  async lines(count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count) lines.push(await this.line());
    return lines;
  }

  /** Reads up to and including `last`; returns the lines before it. */
  until(last: string): Promise<string[]> {
    return this.#readUntil((line) => line === last);
  }

  /**
   * Sends `ping` and reads up to its reply; returns the lines before it. All earlier commands have
   * taken effect then.
   */
  ping(): Promise<string[]> {
    this.send("ping");
    return this.untilTime();
  }

  /** Reads up to and including the reply to a `ping`; returns the lines before it. */
  untilTime(): Promise<string[]> {
    return this.#readUntil(isTime);
  }

  /** Returns the reply to `info`, by key. Drops unread lines. */
  async info(): Promise<Record<string, string>> {
    await this.ping();
    this.send("info");
    const rows = (await this.ping()).map((line): [string, string] => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    return Object.fromEntries(rows);
  }

  /** Waits until the server closes the connection; returns all lines received. */
  async untilClosed(): Promise<string[]> {
    await this.closed;
    return this.#lines.splice(0);
  }

  /** Closes the connection, and waits for the server's close frame. */
  async close(code = 1000, reason = "done"): Promise<Closing> {
    if (!this.#closing) this.#socket.close(code, reason);
    return await this.closed;
  }

  /** Closes the connection without a code, as browsers do by default. */
  async closeWithoutCode(): Promise<Closing> {
    if (!this.#closing) this.#socket.close();
    return await this.closed;
  }

  async #readUntil(isLast: (line: string) => boolean): Promise<string[]> {
    const before: string[] = [];
    for (let line = await this.line(); !isLast(line); line = await this.line()) before.push(line);
    return before;
  }

  #take(data: string): void {
    const lines = (this.#partial + data).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) {
      const reader = this.#readers.shift();
      if (reader) reader.read(line);
      else this.#lines.push(line);
    }
  }

  #end(closing: Closing): Closing {
    this.#closing ??= closing;
    open.delete(this);
    for (const reader of this.#readers.splice(0)) reader.failed(this.#endedWhileReading(this.#closing));
    return this.#closing;
  }

  #endedWhileReading({ code, reason }: Closing): Error {
    return new Error(`the connection ended (${code} ${reason}) while a line was awaited`);
  }
}

/** Whether a line is the reply to `ping`; only that consists of digits. */
export function isTime(line: string): boolean {
  return /^\d+$/.test(line);
}

/** Closes all open connections. */
export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((client) => client.close()));
}
