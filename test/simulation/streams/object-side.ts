/** An object's end of one connection from a Worker: the text that it sent, and how much of it is delivered. */
import { parseCommand } from "../../../src/protocol/commands.ts";
import type { ErrorCode } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { ALIVE, BUSY, formatError, formatTime, GREETING } from "../../../src/protocol/replies.ts";
import { newBucket, take } from "../../../src/session/rate.ts";
import type { Budget } from "../../../src/streams/backlog.ts";
import type { StreamEnvironment } from "../../../src/streams/environment.ts";
import { ObjectConnection } from "../../../src/streams/object-connection.ts";
import type { Truth } from "./truth.ts";
import { check } from "./violation.ts";

/** Lines that a misbehaving object may send. */
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

/** Milliseconds after which a silent object counts as lost. */
export const SILENCE_TIMEOUT = 30_000;

/** Milliseconds after which an object that executes no commands counts as stuck. */
const LONGEST = 120_000;

export class ObjectSide {
  readonly channel: string;
  readonly #from: From | undefined;
  readonly #truth: Truth;
  readonly #linesPerSecond: number;
  readonly #now: () => number;
  #connection: ObjectConnection | undefined;
  /** Subscriptions. */
  readonly #channels = new Set<string>();
  readonly #commands: string[] = [];
  /** All text sent. */
  sent = "";
  /** How many characters of it are delivered. */
  #arrived = 0;
  #isGreeted = false;
  /** How the object closed the connection; delivered after all text. */
  #closing: { code: number; reason: string } | undefined;
  /** Whether the Worker has closed the connection. */
  isClosedByWorker = false;
  /** Whether the object is lost without an event of the socket. */
  hasVanished = false;
  hasSentInvalid = false;
  /** Whether the object has ignored a `ping`. */
  hasIgnoredPing = false;
  /** Whether the object has refused an `unsubscribe`. */
  #hasRefusedUnsubscribe = false;
  /** Whether the object has refused anything. */
  #hasRefused = false;
  readonly #openedAt: number;
  #arrivedAt: number;
  /** The end of the last reply to `ping` in the sent text, and the newest position at that time. */
  #ponged: { end: number; newest: number } | undefined;
  /** The rate limit of commands. */
  readonly #lines = newBucket();

  /** @param linesPerSecond the object's limit */
  constructor(truth: Truth, channel: string, from: From | undefined, linesPerSecond: number, now: () => number) {
    this.#linesPerSecond = linesPerSecond;
    this.channel = channel;
    this.#from = from;
    this.#truth = truth;
    this.#now = now;
    this.#openedAt = now();
    this.#arrivedAt = now();
  }

  /** Opens the Worker's end. */
  connect({ environment, budget }: { environment: StreamEnvironment; budget: Budget }): ObjectConnection {
    const close = () => {
      this.isClosedByWorker = true;
    };
    this.#connection = new ObjectConnection({ send: (text) => this.#received(text), close }, environment, budget);
    return this.#connection;
  }

  /** Whether the object still serves the connection. */
  get isOpen(): boolean {
    return !this.isClosedByWorker && !this.hasVanished && !this.#closing;
  }

  /** Whether the Worker has a reason to give up, including a late answer. */
  get hasFailed(): boolean {
    const hasStopped = this.#closing !== undefined || this.hasVanished || this.hasIgnoredPing;
    const isLate = this.silence >= SILENCE_TIMEOUT || this.age >= LONGEST;
    return hasStopped || this.hasSentInvalid || this.#hasRefused || isLate;
  }

  /** Time since the last delivery, in milliseconds. */
  get silence(): number {
    return this.#now() - this.#arrivedAt;
  }

  /** Age of the connection, in milliseconds. */
  get age(): number {
    return this.#now() - this.#openedAt;
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Characters that aren't delivered yet. */
  get pending(): number {
    return this.sent.length - this.#arrived;
  }

  /** The newest position at the last delivered reply to `ping`. */
  get answered(): number | undefined {
    return this.#ponged && this.#ponged.end <= this.#arrived ? this.#ponged.newest : undefined;
  }

  /** All whole lines delivered. */
  get arrived(): string {
    return this.sent.slice(0, this.sent.lastIndexOf("\n", this.#arrived - 1) + 1);
  }

  get hasCommands(): boolean {
    return this.#commands.length > 0;
  }

  /** Whether the object's close hasn't been delivered. */
  get isClosing(): boolean {
    return this.#closing !== undefined && !this.isClosedByWorker && !this.hasVanished;
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

  /** Refuses the connection because the service is full. */
  refuseAsFull(): void {
    this.sent += BUSY;
    this.close(1013, "unavailable: the service has reached its connection limit; connect again later");
  }

  /** Sends an announced message if the connection is subscribed. */
  announced(channel: string, line: string): void {
    if (this.isOpen && this.#channels.has(channel)) this.sent += line;
  }

  /** Sends unsolicited lines. */
  send(lines: string): void {
    this.sent += lines;
  }

  isSubscribed(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** Executes or refuses the next command. */
  execute(code?: ErrorCode | "silently" | "unknown"): void {
    const line = this.#commands.shift() ?? "";
    const command = parseCommand(line);
    if (code && command.kind === "unsubscribe") this.#hasRefusedUnsubscribe = true;
    if (code) this.#hasRefused = true;
    if (code === "silently" && command.kind === "ping") this.hasIgnoredPing = true;
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

  /** Delivers some characters. */
  deliver(characters: number): void {
    const chunk = this.sent.slice(this.#arrived, this.#arrived + characters);
    this.#arrived += chunk.length;
    this.#arrivedAt = this.#now();
    if (chunk !== "" && !this.isClosedByWorker) this.#connection?.received(chunk);
  }

  /** Closes the connection, and optionally loses undelivered text. */
  close(code: number, reason: string, isLost = false): void {
    if (isLost) this.sent = this.sent.slice(0, this.#arrived);
    this.#closing = { code, reason };
  }

  /** Delivers the end of the connection. */
  deliverEnd(): void {
    if (this.#closing && this.pending === 0) this.#connection?.end(this.#closing);
  }

  #received(text: string): void {
    if (!this.isOpen) return;
    // The runtime answers for the object.
    if (text === "keepalive\n") this.sent += ALIVE;
    else {
      const lines = text.split("\n").slice(0, -1);
      const allowed = take(this.#lines, lines.length, this.#linesPerSecond, this.#now());
      check(allowed === lines.length, () => `${lines.length} lines are too many at a time`);
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
    check(!isAgain || this.#hasRefusedUnsubscribe, () => `${channel} is subscribed again without unsubscribing`);
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
