/** An object's end of one connection from a Worker: what the object has sent, and what of that has arrived. */
import { parseCommand } from "../../../src/protocol/commands.ts";
import type { ErrorCode } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { ALIVE, BUSY, formatError, formatTime, GREETING } from "../../../src/protocol/replies.ts";
import { newBucket, take } from "../../../src/session/rate.ts";
import type { OpenSocket, SocketEvents } from "../../../src/streams/object-connection.ts";
import { hold } from "./breach.ts";
import type { Truth } from "./truth.ts";

/** What an object says that doesn't do as it should. */
export const INVALID_LINES = [
  "1795438800\n",
  "debug!",
  "all!never announced\n",
  "\n\n\n",
  "debug!position all 5\n",
  "debug!gap all 1 5\n",
  "debug!error no-history subscribe all: x\n",
  "debug!error forbidden subscribe a: x\n",
  "debug!error rate ping: x\n",
  "x".repeat(3_000),
];

/** Milliseconds after which an object that sends nothing is given up. */
export const SILENCE_TIMEOUT = 30_000;

/** Milliseconds after which one is that carries out no commands. */
const LONGEST = 120_000;

export class ObjectSide {
  readonly channel: string;
  readonly #from: From | undefined;
  readonly #truth: Truth;
  readonly #linesPerSecond: number;
  readonly #now: () => number;
  #socket: SocketEvents | undefined;
  /** Subscriptions. */
  readonly #channels = new Set<string>();
  readonly #commands: string[] = [];
  /** Everything that was sent. */
  sent = "";
  /** How much of it has arrived. */
  #arrived = 0;
  #isGreeted = false;
  /** How the object has closed the connection, which is told when all has arrived. */
  #closing: { code: number; reason: string } | undefined;
  /** Whether the Worker has closed it. */
  isLeft = false;
  /** Whether the object is gone, and the socket will tell nothing. */
  hasVanished = false;
  hasSentInvalid = false;
  /** Whether the object has left a `ping` without an answer. */
  hasBeenSilent = false;
  /** Whether it has not carried out an `unsubscribe`. */
  #hasKept = false;
  /** Whether it has refused something. */
  #hasRefused = false;
  readonly #openedAt: number;
  #arrivedAt: number;
  /** Of the newest answer to `ping`: where it ends in what was sent, and the newest position then. */
  #ponged: { end: number; newest: number } | undefined;
  /** Lines that it may be sent. */
  readonly #lines = newBucket();

  /** @param linesPerSecond that the object carries out */
  constructor(
    truth: Truth,
    channel: string,
    from: From | undefined,
    linesPerSecond: number,
    now: () => number,
  ) {
    this.#linesPerSecond = linesPerSecond;
    this.channel = channel;
    this.#from = from;
    this.#truth = truth;
    this.#now = now;
    this.#openedAt = now();
    this.#arrivedAt = now();
  }

  /** The Worker's end. */
  readonly open: OpenSocket = (receiver) => {
    this.#socket = receiver;
    return {
      send: (text) => this.#received(text),
      close: () => {
        this.isLeft = true;
      },
    };
  };

  /** Whether the object goes on with the connection. */
  get isOpen(): boolean {
    return !this.isLeft && !this.hasVanished && !this.#closing;
  }

  /** Whether the object gives a cause to give the connection up; it may also have taken long to answer. */
  get hasFailed(): boolean {
    const hasStopped = this.#closing !== undefined || this.hasVanished || this.hasBeenSilent;
    const isLate = this.silence >= SILENCE_TIMEOUT || this.age >= LONGEST;
    return hasStopped || this.hasSentInvalid || this.#hasRefused || isLate;
  }

  /** For how long nothing has arrived, in milliseconds. */
  get silence(): number {
    return this.#now() - this.#arrivedAt;
  }

  /** How long the connection has been there, in milliseconds. */
  get age(): number {
    return this.#now() - this.#openedAt;
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Characters on their way. */
  get pending(): number {
    return this.sent.length - this.#arrived;
  }

  /** The newest position when it answered a `ping`, if that has arrived. */
  get answered(): number | undefined {
    return this.#ponged && this.#ponged.end <= this.#arrived ? this.#ponged.newest : undefined;
  }

  /** The whole lines that have arrived. */
  get arrived(): string {
    return this.sent.slice(0, this.sent.lastIndexOf("\n", this.#arrived - 1) + 1);
  }

  get hasCommands(): boolean {
    return this.#commands.length > 0;
  }

  /** Whether the Worker is yet to be told that the object has closed the connection. */
  get isClosing(): boolean {
    return this.#closing !== undefined && !this.isLeft && !this.hasVanished;
  }

  greet(code?: ErrorCode): void {
    if (code) this.#hasRefused = true;
    this.#isGreeted = true;
    this.sent += GREETING;
    this.#channels.add("all");
    if (this.#from) {
      if (this.channel === "all") this.#channels.delete("all");
      this.#subscribe(this.channel, this.#from, code);
    }
    this.#channels.add(this.channel);
  }

  /** Turns the connection away. */
  turnAway(): void {
    this.sent += BUSY;
    this.close(1013, "unavailable: the service has reached its connection limit; connect again later");
  }

  /** A message has been announced. */
  announced(channel: string, line: string): void {
    if (this.isOpen && this.#channels.has(channel)) this.sent += line;
  }

  /** Sends something that nobody asked for. */
  say(lines: string): void {
    this.sent += lines;
  }

  isSubscribed(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** Carries the next command out, or refuses it. */
  carryOut(code?: ErrorCode | "silently" | "unknown"): void {
    const line = this.#commands.shift() ?? "";
    const command = parseCommand(line);
    if (code && command.kind === "unsubscribe") this.#hasKept = true;
    if (code) this.#hasRefused = true;
    if (code === "silently" && command.kind === "ping") this.hasBeenSilent = true;
    if (code === "silently") return;
    const [verb = "", argument] = line.split(" ");
    if (code === "unknown") this.sent += `debug!error overcast ${line.split(" ", 2).join(" ")}: no\n`;
    else if (code === "no-history" && command.kind === "subscribe") {
      this.#subscribe(command.channel, undefined, code);
    } else if (code) this.sent += formatError({ code, command: verb, argument, why: "no" });
    else if (command.kind === "ping") this.#pong();
    else if (command.kind === "unsubscribe") this.#channels.delete(command.channel);
    else if (command.kind === "subscribe") this.#subscribe(command.channel, command.from);
  }

  /** Has some characters arrive. */
  deliver(characters: number): void {
    const chunk = this.sent.slice(this.#arrived, this.#arrived + characters);
    this.#arrived += chunk.length;
    this.#arrivedAt = this.#now();
    if (chunk !== "" && !this.isLeft) this.#socket?.received(chunk);
  }

  /** Ends the connection, with what is on its way or without it. */
  close(code: number, reason: string, isLost = false): void {
    if (isLost) this.sent = this.sent.slice(0, this.#arrived);
    this.#closing = { code, reason };
  }

  /** Has the end of the connection arrive. */
  deliverEnd(): void {
    if (this.#closing && this.pending === 0) this.#socket?.ended(this.#closing);
  }

  #received(text: string): void {
    if (!this.isOpen) return;
    // The runtime answers that for the object.
    if (text === "keepalive\n") this.sent += ALIVE;
    else {
      const lines = text.split("\n").slice(0, -1);
      const allowed = take(this.#lines, lines.length, this.#linesPerSecond, this.#now());
      hold(allowed === lines.length, () => `${lines.length} lines are too many at a time`);
      this.#commands.push(...lines);
    }
  }

  #pong(): void {
    this.sent += formatTime(this.#now());
    this.#ponged = { end: this.sent.length, newest: this.#truth.newest(this.channel) };
  }

  #subscribe(channel: string, from: From | undefined, code?: ErrorCode): void {
    const isNow = from !== undefined && "since" in from && from.since === "now";
    const isAgain = this.#channels.has(channel) && from !== undefined && !isNow;
    hold(!isAgain || this.#hasKept, () => `${channel} is asked for again without leaving it`);
    if (!code && !isAgain) this.#channels.add(channel);
    if (code) this.#refuse(channel, code);
    else if (isAgain) this.#refuse(channel, "invalid");
    else if (from && !this.#truth.hasHistory(channel)) this.#refuse(channel, "no-history");
    else if (from) this.sent += this.#truth.missed(channel, from);
  }

  #refuse(channel: string, code: ErrorCode): void {
    if (code === "no-history") this.#channels.add(channel);
    this.sent += formatError({ code, command: "subscribe", argument: channel, why: "no" });
  }
}
