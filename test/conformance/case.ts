/**
 * Plays: what clients do, and what each of them then reads, written so that a person can follow.
 *
 *     alice.connects("/news"),
 *     bob.connects("/"),
 *     bob.sends("announce news hello"),
 *     alice.reads("news!hello"),
 *
 * Reading is exact, and nothing in it waits for time to pass. Every client's lines are checked up to
 * the answer to a `ping` of the player's own, so a line too many shows as surely as one too few:
 *
 * - Who `connects` reads the greeting.
 * - Who `sends` is given a `ping` behind it. What comes before the answer is what that client's
 *   `reads` says, if that is the very next step, and otherwise nothing: so the sender reads first. The
 *   answer is in before anyone else acts, so what two clients send takes effect in the play's order.
 * - Who `reads` what others caused waits for those lines, and is then given a `ping` to show that
 *   nothing else was there. As a message may still be under way to a client of another object,
 *   "this is not heard" is shown by a later message on that channel, read with nothing before it.
 */
/** One WebSocket message from a client: text, or bytes. */
export type Frame = string | Uint8Array;

/** A line as it is to be read, without its end; or what it has to look like. */
export type Line = string | RegExp;

export type Step = { who: string } & (
  | { does: "connects"; path: string }
  | { does: "sends"; frames: Frame[] }
  | { does: "reads"; lines: Line[] }
  | { does: "leaves" }
);

export interface Play {
  title: string;
  steps: Step[];
}

/** The answer to `ping`. */
export const TIME = /^\d{10}$/;

/**
 * A `debug!error` for one command.
 * @param head the error's code, the command, and its argument if it has one
 * @param what what the sentence says
 */
export function error(head: string, what: RegExp): Line {
  return new RegExp(`^debug!error ${head}: .*${what.source}`);
}

/** Someone who appears in plays. */
export function client(who: string) {
  return {
    connects: (path: string): Step => ({ who, does: "connects", path }),
    sends: (...frames: Frame[]): Step => ({ who, does: "sends", frames }),
    reads: (...lines: Line[]): Step => ({ who, does: "reads", lines }),
    leaves: (): Step => ({ who, does: "leaves" }),
  };
}

/** One end of an open WebSocket. */
export interface Wire {
  send(frame: Frame): void;
  /** Closes it; ends when it is closed at both ends. */
  close(): Promise<void>;
}

/** What becomes of what comes in on a wire. */
export interface Ear {
  frame(frame: unknown): void;
  closed(code: number, reason: string): void;
}

/** Opens a WebSocket at a path of the server; `ear` misses nothing, not even what comes at once. */
export type Connect = (path: string, ear: Ear) => Promise<Wire>;

/** That a client has read something else than a play says; test runners show the difference. */
export class Misread extends Error {
  readonly actual: string[];
  readonly expected: string[];

  /**
   * @param before the lines that were right
   * @param due the lines of which another one than the first has come
   */
  constructor(who: string, before: string[], line: string, due: Line[]) {
    super(`${who} is to read: ${shortened(String(due[0]))} and reads: ${shortened(line)}`);
    this.actual = [...before, line];
    this.expected = [...before, ...due.map(String)];
  }
}

function shortened(line: string): string {
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** How many milliseconds a line may take; only a test that is about to fail ever waits this long. */
const PATIENCE = 30_000;

const GREETING = "debug!connected...";

/**
 * Performs a play.
 * @param patience how many milliseconds a line may take
 * @throws Misread at the first line that is not as written
 */
export async function perform({ steps }: Play, connect: Connect, patience = PATIENCE): Promise<void> {
  const clients = new Map<string, Client>();
  const enter = async (who: string, path: string) => {
    const inbox = new Inbox(patience);
    const client = new Client(who, inbox, await connect(path, inbox));
    clients.set(who, client);
    await client.isGreeted();
  };
  try {
    let sender: Client | undefined;
    for (const step of steps) {
      if (sender && !(step.does === "reads" && step.who === sender.who)) await sender.reads([]);
      await act(step, clients, enter);
      sender = step.does === "sends" ? clients.get(step.who) : undefined;
    }
    for (const actor of clients.values()) await actor.reads([]);
  } finally {
    await Promise.all([...clients.values()].map((actor) => actor.leaves()));
  }
}

/** Has a client do one step: who connects becomes one of `clients` by `enter`, and who leaves is no more. */
async function act(
  step: Step,
  clients: Map<string, Client>,
  enter: (who: string, path: string) => Promise<void>,
): Promise<void> {
  const { who } = step;
  if (step.does === "connects") return enter(who, step.path);
  const actor = clients.get(who);
  if (!actor) throw new Error(`${who} is not connected`);
  switch (step.does) {
    case "sends":
      actor.sends(step.frames);
      break;
    case "reads":
      await actor.reads(step.lines);
      break;
    case "leaves":
      await actor.leaves();
      clients.delete(who);
  }
}

class Client {
  readonly who: string;
  readonly #inbox: Inbox;
  readonly #wire: Wire;
  /** Whether the answer to a `ping` is still to be read. */
  #pinged = false;

  constructor(who: string, inbox: Inbox, wire: Wire) {
    this.who = who;
    this.#inbox = inbox;
    this.#wire = wire;
  }

  isGreeted(): Promise<void> {
    return this.#expect([GREETING]);
  }

  sends(frames: Frame[]): void {
    for (const frame of frames) this.#wire.send(frame);
    this.#ping();
  }

  /** Reads `lines` and nothing else. */
  async reads(lines: Line[]): Promise<void> {
    if (!this.#pinged) {
      await this.#expect(lines);
      this.#ping();
      await this.#expect([TIME]);
    } else await this.#expect([...lines, TIME]);
    this.#pinged = false;
  }

  leaves(): Promise<void> {
    return this.#wire.close();
  }

  #ping(): void {
    this.#wire.send("ping");
    this.#pinged = true;
  }

  async #expect(lines: Line[]): Promise<void> {
    const read: string[] = [];
    for (const [i, line] of lines.entries()) {
      const next = await this.#inbox.next();
      // The lines after a wrong one would only hide it, or never come.
      const isRight = typeof line === "string" ? line === next : line.test(next);
      if (!isRight) throw new Misread(this.who, read, next, lines.slice(i));
      read.push(next);
    }
  }
}

/** The lines that have come in and not been read yet. */
class Inbox implements Ear {
  readonly #lines: string[] = [];
  readonly #patience: number;
  #arrived: () => void = () => {};

  constructor(patience: number) {
    this.#patience = patience;
  }

  frame(frame: unknown): void {
    if (typeof frame !== "string") this.#lines.push(`(a frame that is not text: ${String(frame)})`);
    else if (!frame.endsWith("\n")) this.#lines.push(`(a frame that ends within a line: ${frame})`);
    else this.#lines.push(...frame.slice(0, -1).split("\n"));
    this.#arrived();
  }

  closed(code: number, reason: string): void {
    this.#lines.push(`(closed: ${code} ${reason})`);
    this.#arrived();
  }

  /** The next line, or a remark in brackets on what came in its place. */
  async next(): Promise<string> {
    if (this.#lines.length === 0) await this.#arrival();
    return this.#lines.shift() ?? `(nothing for ${this.#patience / 1000} seconds)`;
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#patience);
      this.#arrived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
