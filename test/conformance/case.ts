/**
 * Conformance cases: what clients send, and exactly what each of them receives.
 *
 *     alice.connects("/news"),
 *     bob.connects("/"),
 *     bob.sends("announce news hello"),
 *     alice.reads("news!hello"),
 *
 * Reading is exact, and never waits for time to pass. The runner checks each client's lines up to the reply to a `ping`
 * of its own, so an extra line fails a case as surely as a missing one:
 *
 * - A client that `connects` reads the greeting.
 * - After each `sends`, the runner adds a `ping`. The lines before its reply are those of the client's `reads`, if that
 *   is the very next step, and otherwise none: so the sender reads first. The reply comes before any other client acts,
 *   so commands of different clients take effect in the order of the steps.
 * - `reads` of messages that others sent waits for these lines, and then pings, to show that there were no more.
 *   A message to a client of another object may still be in flight, so a case shows that a client doesn't receive a
 *   message by a later message on that channel, which arrives with nothing before it.
 */
/** One WebSocket message from a client: text, or bytes. */
export type Frame = string | Uint8Array;

/** An expected line, without its end, or a pattern for it. */
export type Line = string | RegExp;

export type Step = { name: string } & (
  | { does: "connects"; path: string }
  | { does: "sends"; frames: Frame[] }
  | { does: "reads"; lines: Line[] }
  | { does: "leaves" }
);

export interface Case {
  title: string;
  /** The [guarantees](../guarantees.ts) that it proves. */
  tags?: string[];
  steps: Step[];
}

/** The reply to `ping`. */
export const TIME = /^\d{10}$/;

/**
 * Returns a pattern for a `debug!error`.
 * @param head the error's code, the command, and its argument if it has one
 * @param what a part of the explanation
 */
export function error(head: string, what: RegExp): Line {
  return new RegExp(`^debug!error ${head}: .*${what.source}`);
}

/** Returns the steps of a client with this name. */
export function client(name: string) {
  return {
    connects: (path: string): Step => ({ name, does: "connects", path }),
    sends: (...frames: Frame[]): Step => ({ name, does: "sends", frames }),
    reads: (...lines: Line[]): Step => ({ name, does: "reads", lines }),
    leaves: (): Step => ({ name, does: "leaves" }),
  };
}

/** One end of an open WebSocket. */
export interface Connection {
  send(frame: Frame): void;
  /** Closes it; resolves when both ends are closed. */
  close(): Promise<void>;
}

/** Receives the frames of a connection, and its end. */
export interface Receiver {
  frame(frame: unknown): void;
  closed(code: number, reason: string): void;
}

/** Opens a WebSocket at a path of the server; `receiver` gets even the first frames. */
export type Connect = (path: string, receiver: Receiver) => Promise<Connection>;

/** A line that differs from the expected one; test runners show the difference. */
export class UnexpectedLine extends Error {
  readonly actual: string[];
  readonly expected: string[];

  /**
   * @param before the correct lines before it
   * @param due the lines still expected
   */
  constructor(name: string, before: string[], line: string, due: Line[]) {
    super(`${name} expects ${shortened(String(due[0]))} but reads ${shortened(line)}`);
    this.actual = [...before, line];
    this.expected = [...before, ...due.map(String)];
  }
}

function shortened(line: string): string {
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** The timeout for a line, in milliseconds. */
const LINE_TIMEOUT = 30_000;

const GREETING = "debug!connected...";

/**
 * Runs a case.
 * @param timeout the timeout for a line, in milliseconds
 * @throws UnexpectedLine at the first unexpected line
 */
export async function runCase({ steps }: Case, connect: Connect, timeout = LINE_TIMEOUT): Promise<void> {
  const clients = new Map<string, Client>();
  const connectClient = async (name: string, path: string) => {
    const inbox = new Inbox(timeout);
    const client = new Client(name, inbox, await connect(path, inbox));
    clients.set(name, client);
    await client.readGreeting();
  };
  try {
    let sender: Client | undefined;
    for (const step of steps) {
      if (sender && !(step.does === "reads" && step.name === sender.name)) await sender.reads([]);
      await act(step, clients, connectClient);
      sender = step.does === "sends" ? clients.get(step.name) : undefined;
    }
    for (const client of clients.values()) await client.reads([]);
  } finally {
    await Promise.all([...clients.values()].map((client) => client.leaves()));
  }
}

/** Performs one step, and adds the client to `clients` or removes it. */
async function act(
  step: Step,
  clients: Map<string, Client>,
  connectClient: (name: string, path: string) => Promise<void>,
): Promise<void> {
  const { name } = step;
  if (step.does === "connects") return connectClient(name, step.path);
  const client = clients.get(name);
  if (!client) throw new Error(`${name} is not connected`);
  switch (step.does) {
    case "sends":
      client.sends(step.frames);
      break;
    case "reads":
      await client.reads(step.lines);
      break;
    case "leaves":
      await client.leaves();
      clients.delete(name);
  }
}

class Client {
  readonly name: string;
  readonly #inbox: Inbox;
  readonly #connection: Connection;
  /** Whether the reply to a `ping` is still to be read. */
  #pinged = false;

  constructor(name: string, inbox: Inbox, connection: Connection) {
    this.name = name;
    this.#inbox = inbox;
    this.#connection = connection;
  }

  readGreeting(): Promise<void> {
    return this.#expect([GREETING]);
  }

  sends(frames: Frame[]): void {
    for (const frame of frames) this.#connection.send(frame);
    this.#ping();
  }

  /** Checks that the client receives exactly these lines. */
  async reads(lines: Line[]): Promise<void> {
    if (!this.#pinged) {
      await this.#expect(lines);
      this.#ping();
      await this.#expect([TIME]);
    } else await this.#expect([...lines, TIME]);
    this.#pinged = false;
  }

  leaves(): Promise<void> {
    return this.#connection.close();
  }

  #ping(): void {
    this.#connection.send("ping");
    this.#pinged = true;
  }

  async #expect(lines: Line[]): Promise<void> {
    const read: string[] = [];
    for (const [i, line] of lines.entries()) {
      const next = await this.#inbox.next();
      // Stops at the first wrong line: the lines after it may never come.
      const isRight = typeof line === "string" ? line === next : line.test(next);
      if (!isRight) throw new UnexpectedLine(this.name, read, next, lines.slice(i));
      read.push(next);
    }
  }
}

/** The lines that have been received but not read. */
class Inbox implements Receiver {
  readonly #lines: string[] = [];
  readonly #timeout: number;
  #arrived: () => void = () => {};

  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  frame(frame: unknown): void {
    if (typeof frame !== "string") this.#lines.push(`(a binary frame: ${String(frame)})`);
    else if (!frame.endsWith("\n")) this.#lines.push(`(a frame that ends within a line: ${frame})`);
    else this.#lines.push(...frame.slice(0, -1).split("\n"));
    this.#arrived();
  }

  closed(code: number, reason: string): void {
    this.#lines.push(`(closed: ${code} ${reason})`);
    this.#arrived();
  }

  /** Returns the next line, or a remark in parentheses if something else came. */
  async next(): Promise<string> {
    if (this.#lines.length === 0) await this.#arrival();
    return this.#lines.shift() ?? `(nothing for ${this.#timeout / 1000} seconds)`;
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#timeout);
      this.#arrived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
