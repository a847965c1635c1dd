/**
 * One client of the original protocol, over TCP. It has a client of its own at the server, which never loses its place:
 * of what breaks on the far side the guest notices nothing.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Fanout, Refused, type Subscribable, type Subscription } from "../client/fanout.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { type ClientLine, parseCommand, type RefusedLine } from "../protocol/commands.ts";
import type { Fault, Refusal } from "../protocol/errors.ts";
import { formatError, formatFigure, formatMessage, formatTime, GREETING } from "../protocol/replies.ts";
import { guestLines } from "./client-lines.ts";
import { isFull, type Memory } from "./memory.ts";

/** Characters of one line. What the server takes is less, and it says so itself. */
const MOST_LINE = 1_000_000;
const TOO_LONG: RefusedLine = {
  kind: "refused",
  refusal: { code: "limit", command: "line", why: `a line has at most ${MOST_LINE} characters` },
};
/** Characters of one line while memory is full. */
const MOST_LINE_WHEN_FULL = 16_384;
const NO_ROOM: RefusedLine = {
  kind: "refused",
  refusal: {
    code: "unavailable",
    command: "line",
    why: "the bridge's memory is full; send a shorter line, or try again later",
  },
};
/** Bytes that may wait for a guest that reads slowly; past them it hears nothing, and is not read, until it has read them. */
const MOST_WAITING = 1_000_000;
/**
 * Announcements of a guest that may be on their way; then all are waited for, and who writes waits. So what the server
 * refuses for the moment is repeated before anything else goes out.
 */
const MOST_ANNOUNCING = 500;

type GuestSocket = Duplex & Pick<Socket, "destroySoon">;
interface GuestFanout extends Subscribable, Pick<Fanout, "ping" | "info"> {
  announce(channel: string, text: string): Promise<number | undefined>;
}

export class Guest {
  readonly #socket: GuestSocket;
  readonly #fanout: GuestFanout;
  /** What it is subscribed to; those that are unsubscribed go on at their positions when it has read what waits. */
  readonly #heard = new Map<string, Subscription>();
  readonly #announcing = new Set<Promise<void>>();
  readonly #memory: Memory;
  #isGreeted = false;
  /** Characters of the line that has no end yet, of announcements in flight, and all that this guest is charged for. */
  #incomplete = 0;
  #inFlight = 0;
  #charged = 0;
  /** Why the last incomplete line was dropped. */
  #dropped = TOO_LONG;

  /**
   * @param socket says what it reads as text, and is not ended when the guest ends its side
   * @param fanout the guest's own
   * @param memory shared by all guests
   */
  constructor(socket: GuestSocket, fanout: GuestFanout, memory: Memory) {
    this.#socket = socket;
    this.#fanout = fanout;
    this.#memory = memory;
    socket.on("drain", () => {
      this.#charge();
      this.#hearOn();
    });
    socket.on("close", () => this.#charge());
    this.#subscribe(EVERYONE);
  }

  /**
   * Executes the guest's commands until it ends its side. A last line without an end is dropped, as the original does.
   * @throws NotAGuest before anything is executed, if the connection begins like HTTP or TLS
   * @throws Error if the connection breaks
   */
  async serve(): Promise<void> {
    for await (const lines of guestLines(this.#socket, MOST_LINE, (length) => this.#hasRoom(length))) {
      for (const line of lines) {
        const done = this.#carryOut(line === undefined ? this.#dropped : parseCommand(line));
        // Without a turn between them, announcements go out together.
        if (done) await done;
        if (this.#socket.writable && this.#isBehind()) await this.#hasRead();
      }
    }
  }

  /** Ends the connection when the guest has read what waits, with a reason if there is one. */
  end(fault?: Fault): void {
    if (fault) this.#write(formatError({ ...fault, command: "connect" }));
    this.#socket.destroySoon();
  }

  #write(lines: string): void {
    if (!this.#socket.writable) return;
    this.#socket.write(lines);
    this.#charge();
  }

  /** Brings the shared memory's figure up to date. */
  #charge(): void {
    const buffered = this.#socket.destroyed ? 0 : this.#socket.writableLength + this.#incomplete;
    const charged = buffered + this.#inFlight;
    this.#memory.used += charged - this.#charged;
    this.#charged = charged;
  }

  /** Returns whether an incomplete line of that length may be held. */
  #hasRoom(length: number): boolean {
    this.#incomplete = length;
    this.#charge();
    this.#dropped = length > MOST_LINE ? TOO_LONG : length > 0 ? NO_ROOM : this.#dropped;
    return length <= MOST_LINE_WHEN_FULL || !isFull(this.#memory);
  }

  /** Returns whether the guest has to read before anything else is written for it. */
  #isBehind(): boolean {
    const { writableLength, writableNeedDrain } = this.#socket;
    return writableLength > MOST_WAITING || (writableNeedDrain && isFull(this.#memory));
  }

  /** A promise resolves when the next command may be carried out. */
  #carryOut(line: ClientLine): Promise<unknown> | undefined {
    switch (line.kind) {
      case "subscribe":
        return this.#afterAnnouncing(() => {
          if (!this.#heard.has(line.channel)) this.#subscribe(line.channel);
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
        return this.#ask("info", async () => inLines(await this.#fanout.info()));
      case "empty":
        return undefined;
      case "refused":
        this.#write(formatError(line.refusal));
        return undefined;
      default: {
        const why = "the original protocol doesn't have this command";
        const argument = line.kind === "once" ? line.key : undefined;
        this.#write(formatError({ code: "invalid", command: line.kind, argument, why }));
        return undefined;
      }
    }
  }

  /** Acts when earlier announcements have taken place, as commands take effect in their order. */
  #afterAnnouncing(act: () => void): Promise<void> | undefined {
    if (this.#announcing.size > 0) return Promise.all(this.#announcing).then(act);
    act();
    return undefined;
  }

  /** Ends when the guest has read what waits, or has gone. */
  #hasRead(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once("drain", resolve).once("close", resolve);
    });
  }

  /** Writes what the server answers; asks again when the connection to it has broken off meanwhile. */
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
      .then(
        () => {},
        (error: Error) => this.#write(formatError(refusalOf(error, "announce", channel))),
      )
      .finally(() => {
        this.#announcing.delete(announced);
        this.#inFlight -= message.length;
        this.#charge();
      });
    this.#announcing.add(announced);
    this.#inFlight += message.length;
    this.#charge();
    const isMuch = this.#announcing.size >= MOST_ANNOUNCING || this.#inFlight > MOST_WAITING;
    return isMuch || isFull(this.#memory) ? Promise.all(this.#announcing) : undefined;
  }

  #subscribe(channel: string, since?: number): void {
    const subscription = this.#fanout.subscribe(channel, {
      since,
      onMessage: ({ text }) => this.#hear(formatMessage(channel, text)),
      onGap: () => this.end(),
      onState: (state, _, error) => this.#changed(channel, state, error),
    });
    this.#heard.set(channel, subscription);
  }

  #changed(channel: string, state: Subscription["state"], error: Error | undefined): void {
    if (state === "subscribed" && !this.#isGreeted) {
      this.#isGreeted = true;
      this.#write(GREETING);
    }
    // Where nothing is kept, nobody knows what is missed now.
    if (state === "subscribing" && this.#heard.get(channel)?.position === undefined) this.end();
    if (error === undefined) return;
    this.#heard.delete(channel);
    this.#write(formatError(refusalOf(error, "subscribe", channel)));
  }

  #unsubscribe(channel: string): void {
    this.#heard.get(channel)?.unsubscribe();
    this.#heard.delete(channel);
  }

  #hear(line: string): void {
    this.#write(line);
    if (!this.#isBehind()) return;
    for (const subscription of this.#heard.values()) subscription.unsubscribe();
  }

  /** It has read all that waited: what has come meanwhile is kept at the server, or there is a gap. */
  #hearOn(): void {
    for (const { channel, state, position } of this.#heard.values()) {
      if (state !== "unsubscribed") continue;
      if (position === undefined) this.end();
      else this.#subscribe(channel, position);
    }
  }
}

/** The refusal that a guest gets for an error of its client. */
function refusalOf(error: Error, command: string, argument?: string): Refusal {
  const code = error instanceof Refused ? error.code : "invalid";
  return { code, command, argument, why: error.message };
}

function inLines(figures: Map<string, string>): string {
  return [...figures].map(([key, value]) => formatFigure(key, value)).join("");
}
