/**
 * One client of the original TCP protocol. It has its own connection to the server, which reconnects and resumes
 * without the client noticing.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Fanout, Refused, type Subscribable, type Subscription } from "../client/fanout.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { type ClientLine, type Command, parseCommand, type RefusedLine } from "../protocol/commands.ts";
import type { ErrorCode, Fault, Refusal } from "../protocol/errors.ts";
import { formatError, formatFigure, formatMessage, formatTime, GREETING } from "../protocol/replies.ts";
import { clientLines } from "./client-lines.ts";

/** Most characters of a line. The server's own limit is lower, and it reports that itself. */
const MAX_LINE = 1_000_000;
/** Most characters of a line while memory is full. */
const MAX_LINE_WHEN_FULL = 16_384;
const TOO_LONG = refusedLine("limit", `a line has at most ${MAX_LINE} characters`);
const MEMORY_FULL = refusedLine("unavailable", "the bridge's memory is full; send a shorter line, or try again later");
/** Pending bytes above which a slow client is unsubscribed, and its commands aren't read, until it has drained them. */
const MAX_PENDING = 1_000_000;
/**
 * Announcements in flight above which the client's input pauses until all are acknowledged. So announcements that the
 * server refuses temporarily are retried before any later ones.
 */
const MAX_ANNOUNCING = 500;

/** Characters that the bridge buffers for all clients: incomplete lines, announcements in flight and pending output. */
export interface Memory {
  used: number;
  /** Beyond this, each client may use only one write and one short line. */
  readonly most: number;
}

type ClientSocket = Duplex & Pick<Socket, "destroySoon">;
interface ClientFanout extends Subscribable, Pick<Fanout, "ping" | "info"> {
  announce(channel: string, text: string): Promise<number | undefined>;
}

export class TcpClient {
  readonly #socket: ClientSocket;
  readonly #fanout: ClientFanout;
  /**
   * The client's subscriptions. Unsubscribed ones resume at their positions when the client has drained its backlog.
   */
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #announcing = new Set<Promise<unknown>>();
  readonly #memory: Memory;
  #isGreeted = false;
  /** Characters of the incomplete line, of announcements in flight, and of all that counts as this client's memory. */
  #incomplete = 0;
  #inFlight = 0;
  #charged = 0;
  /** The refusal of the last line that was dropped before its end. */
  #lineRefusal = TOO_LONG;

  /**
   * @param socket decodes text, and stays open for writing when the client ends its side
   * @param fanout the client's own connection
   * @param memory shared by all clients
   */
  constructor(socket: ClientSocket, fanout: ClientFanout, memory: Memory) {
    this.#socket = socket;
    this.#fanout = fanout;
    this.#memory = memory;
    socket.on("drain", () => {
      this.#charge();
      this.#resume();
    });
    socket.on("close", () => this.#charge());
    this.#subscribe(EVERYONE);
  }

  /**
   * Executes the client's commands until it ends its side. A last line without an end is dropped, as the original does.
   * @throws WrongProtocol before anything is executed, if the connection begins like HTTP or TLS
   * @throws Error if the connection breaks
   */
  async serve(): Promise<void> {
    for await (const lines of clientLines(this.#socket, MAX_LINE, (length) => this.#hasRoom(length))) {
      for (const line of lines) {
        const done = this.#execute(line === undefined ? this.#lineRefusal : parseCommand(line));
        // Awaiting nothing lets consecutive announcements share a frame.
        if (done) await done;
        if (this.#socket.writable && this.#isBehind()) await this.#drained();
      }
    }
  }

  /** Closes the connection after its pending output, with a reason if there is one. */
  end(fault?: Fault): void {
    if (fault) this.#write(formatError({ ...fault, command: "connect" }));
    this.#socket.destroySoon();
  }

  #write(lines: string): void {
    if (!this.#socket.writable) return;
    this.#socket.write(lines);
    this.#charge();
  }

  /** Updates the use of the shared memory. */
  #charge(): void {
    const buffered = this.#socket.destroyed ? 0 : this.#socket.writableLength + this.#incomplete;
    const charged = buffered + this.#inFlight;
    this.#memory.used += charged - this.#charged;
    this.#charged = charged;
  }

  /** Returns whether an incomplete line of this length may be buffered. */
  #hasRoom(length: number): boolean {
    this.#incomplete = length;
    this.#charge();
    this.#lineRefusal = length > MAX_LINE ? TOO_LONG : length > 0 ? MEMORY_FULL : this.#lineRefusal;
    return length <= MAX_LINE_WHEN_FULL || !isFull(this.#memory);
  }

  /** Returns whether the client has to drain its backlog first. */
  #isBehind(): boolean {
    const { writableLength, writableNeedDrain } = this.#socket;
    return writableLength > MAX_PENDING || (writableNeedDrain && isFull(this.#memory));
  }

  /** Executes a command. If it returns a promise, the next command has to wait for it. */
  #execute(line: ClientLine): Promise<unknown> | undefined {
    switch (line.kind) {
      case "subscribe":
        return this.#afterAnnouncing(() => {
          if (!this.#subscriptions.has(line.channel)) this.#subscribe(line.channel);
        });
      case "unsubscribe":
        return this.#afterAnnouncing(() => this.#unsubscribe(line.channel));
      case "announce":
        return this.#announce(line.channel, line.message);
      case "ping":
        return this.#ask("ping", async () => {
          await this.#fanout.ping();
          return formatTime(Date.now());
        });
      case "info":
        return this.#ask("info", async () =>
          Array.from(await this.#fanout.info(), ([key, value]) => formatFigure(key, value)).join(""),
        );
      case "empty":
        break;
      case "refused":
        this.#write(formatError(line.refusal));
        break;
      default: {
        const why = "the original protocol doesn't have this command";
        this.#write(formatError({ code: "invalid", command: line.kind, argument: argumentOf(line), why }));
      }
    }
    return undefined;
  }

  /** Calls `act` after the announcements in flight, because commands take effect in order. */
  #afterAnnouncing(act: () => void): Promise<void> | undefined {
    if (this.#announcing.size > 0) return Promise.all(this.#announcing).then(act);
    act();
    return undefined;
  }

  /** Resolves when the client has drained its backlog, or has left. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once("drain", resolve).once("close", resolve);
    });
  }

  /** Writes the server's answer; asks again if the connection to the server was lost. */
  async #ask(command: string, question: () => Promise<string>): Promise<void> {
    let answer: string | undefined;
    while (answer === undefined && this.#socket.writable) {
      answer = await question().catch((error: unknown) =>
        error instanceof Refused ? formatError(refusalOf(error, command)) : undefined,
      );
    }
    if (answer !== undefined) this.#write(answer);
  }

  #announce(channel: string, message: string): Promise<unknown> | undefined {
    const announced = this.#fanout
      .announce(channel, message)
      .catch((error: Error) => this.#write(formatError(refusalOf(error, "announce", channel))))
      .finally(() => {
        this.#announcing.delete(announced);
        this.#inFlight -= message.length;
        this.#charge();
      });
    this.#announcing.add(announced);
    this.#inFlight += message.length;
    this.#charge();
    const isMuch = this.#announcing.size >= MAX_ANNOUNCING || this.#inFlight > MAX_PENDING;
    return isMuch || isFull(this.#memory) ? Promise.all(this.#announcing) : undefined;
  }

  #subscribe(channel: string, since?: number): void {
    const subscription = this.#fanout.subscribe(channel, {
      since,
      onMessage: ({ text }) => this.#deliver(formatMessage(channel, text)),
      onGap: () => this.end(),
      onState: (state, _, error) => this.#changed(channel, state, error),
    });
    this.#subscriptions.set(channel, subscription);
  }

  #changed(channel: string, state: Subscription["state"], error: Error | undefined): void {
    if (state === "subscribed" && !this.#isGreeted) {
      this.#isGreeted = true;
      this.#write(GREETING);
    }
    // Without history, messages may be missed unnoticed.
    if (state === "subscribing" && this.#subscriptions.get(channel)?.position === undefined) this.end();
    if (error === undefined) return;
    this.#subscriptions.delete(channel);
    this.#write(formatError(refusalOf(error, "subscribe", channel)));
  }

  #unsubscribe(channel: string): void {
    this.#subscriptions.get(channel)?.unsubscribe();
    this.#subscriptions.delete(channel);
  }

  #deliver(line: string): void {
    this.#write(line);
    if (!this.#isBehind()) return;
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
  }

  /**
   * Resumes subscriptions when the backlog is drained: the server has retained the messages since, or reports a gap.
   */
  #resume(): void {
    for (const { channel, state, position } of this.#subscriptions.values()) {
      if (state !== "unsubscribed") continue;
      if (position === undefined) this.end();
      else this.#subscribe(channel, position);
    }
  }
}

/** Returns the refusal to send to the client for an error of its connection to the server. */
function refusalOf(error: Error, command: string, argument?: string): Refusal {
  const code = error instanceof Refused ? error.code : "invalid";
  return { code, command, argument, why: error.message };
}

/** Returns the argument that an error about a command names: its key or its channel, if it has one. */
function argumentOf(command: Command): string | undefined {
  if ("key" in command) return command.key;
  return "channel" in command ? command.channel : undefined;
}

function refusedLine(code: ErrorCode, why: string): RefusedLine {
  return { kind: "refused", refusal: { code, command: "line", why } };
}

function isFull({ used, most }: Memory): boolean {
  return used > most;
}
