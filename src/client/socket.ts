/** One connection to the server: by a WebSocket, or by requests that stand in for one. */
import { EVERYONE } from "../protocol/channels.ts";
import { type Command, formatCommand } from "../protocol/commands.ts";
import { isTemporary, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import { parseReply, type Reply } from "../protocol/replies.ts";
import { urlOf, webSocketUrl } from "./address.ts";
import { AskedCommands } from "./asked.ts";
import { Refused } from "./errors.ts";
import { Frames } from "./frames.ts";
import { OPEN_WITHIN, REPLY_WITHIN, SILENT } from "./patience.ts";
import { RequestSocket } from "./requests.ts";
import type { Outcome, Outgoing, TransportEvents, TransportParts } from "./transport.ts";
import type { WebSocketConstructor, WebSocketLike } from "./types.ts";
import type { Cancel, World } from "./world.ts";

/** How often the client makes sure that the server still answers, and how long that may take, in milliseconds. */
const CHECK_EACH = 25_000;
const CHECK_WITHIN = 8_000;

/** Characters of a line that has no end; the server sends lines of a megabyte at most. */
const MOST_REST = 16_000_000;

/** Codes of connections that ended without a close frame, or with one that says nothing. */
const ABNORMAL = [1005, 1006];

const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

export class Transport {
  /** Most announcements of one channel in one batch: requests can't be repeated in order otherwise. */
  readonly batch: number;
  readonly #world: World;
  readonly #limits: TransportParts["limits"];
  readonly #events: TransportEvents;
  readonly #debug: TransportParts["debug"];
  readonly #socket: WebSocketLike;
  readonly #frames: Frames;
  readonly #asked = new AskedCommands();
  /** Channels to which this connection is subscribed, or soon will be. */
  readonly #entered = new Set<string>([EVERYONE]);
  #figures = new Map<string, string>();
  #rest = "";
  #isOpen = false;
  #isOver = false;
  #cancelCheck: Cancel;
  /** Set while the server has to answer. */
  #cancelGivingUp: Cancel | undefined;

  /**
   * @param WebSocket undefined to do without
   * @throws what its constructor throws
   */
  constructor(
    WebSocket: WebSocketConstructor | undefined,
    { world, base, token, home, limits, events, debug }: TransportParts,
  ) {
    this.#world = world;
    this.#limits = limits;
    this.#events = events;
    this.#debug = debug;
    this.batch = WebSocket ? 1_000 : 1;
    const { channel, from } = home;
    const url = webSocketUrl(channel === undefined ? `${base}/` : urlOf(base, channel, from));
    debug?.(`connecting to ${WebSocket ? url : `${base} by requests`}`);
    const first =
      channel === undefined || !from ? undefined : formatCommand({ kind: "subscribe", channel, from });
    this.#socket = WebSocket
      ? new WebSocket(url, token === undefined ? [] : ["fanout", token])
      : new RequestSocket(world, base, token, first);
    this.#frames = new Frames(world, limits, (frame) => this.#send(frame));
    if (channel !== undefined) this.#entered.add(channel);
    if (channel !== undefined && from) this.#expectPosition(channel);
    this.#socket.onmessage = ({ data }) => this.#read(String(data));
    this.#socket.onclose = ({ code, reason }) => {
      // A close frame was sent by someone who had accepted the connection.
      const isAccepted = this.#isOpen || !ABNORMAL.includes(code);
      this.#end(isAccepted ? code : 0, reason);
    };
    // This handler stays: the package `ws` ends the process for an error without one, also after `close`.
    this.#socket.onerror = () => this.#end(this.#isOpen ? 1006 : 0, "");
    this.#expectWithin(OPEN_WITHIN);
    this.#cancelCheck = world.later(CHECK_EACH, () => this.#checkRegularly());
  }

  /** Subscribes to a channel, instead of an earlier subscription to it; `located` or `refused` follows. */
  subscribe(channel: string, from: From): void {
    const isNow = "since" in from && from.since === "now";
    // The server takes other positions only from a connection that isn't subscribed.
    if (this.#entered.has(channel) && !isNow) this.unsubscribe(channel);
    this.#entered.add(channel);
    this.#say({ kind: "subscribe", channel, from });
    this.#expectPosition(channel);
  }

  unsubscribe(channel: string): void {
    this.#entered.delete(channel);
    this.#say({ kind: "unsubscribe", channel });
  }

  /**
   * Announces messages of one channel, and calls `settle` for each that the server replied to.
   * @param isPlain whether to announce without keys, where the channel retains no messages
   */
  announce<T extends Outgoing>(
    batch: T[],
    isPlain: boolean,
    settle: (one: T, outcome: Outcome) => void,
  ): void {
    let lines = "";
    for (const { channel, key, text: message } of batch) {
      const command: Command = isPlain
        ? { kind: "announce", channel, message }
        : { kind: "once", key, channel, message };
      lines += `${formatCommand(command)}\n`;
    }
    this.#frames.write(lines, batch.length);
    if (isPlain) this.#expectBarrier(batch, settle);
    else for (const one of batch) this.#expectOnce(one, settle);
  }

  #expectOnce<T extends Outgoing>(one: T, settle: (one: T, outcome: Outcome) => void): void {
    const answered = (reply: Reply) => {
      if (reply.kind === "once") settle(one, { position: reply.position });
    };
    // If the connection ends, the next one announces it again.
    const failed = (error: Error) => {
      if (error instanceof Refused) settle(one, { error });
    };
    this.#ask(`once ${one.key}`, answered, failed);
  }

  /** Without keys only errors are replies; a `ping` shows that there are no more of them. */
  #expectBarrier<T extends Outgoing>(batch: T[], settle: (one: T, outcome: Outcome) => void): void {
    const [{ channel } = { channel: "" }] = batch;
    const errors: Refused[] = [];
    const failed = (error: Error) => {
      if (error instanceof Refused) errors.push(error);
    };
    for (const _ of batch) this.#ask(`announce ${channel}`, () => {}, failed);
    const settleAll = () => {
      this.#asked.forget(`announce ${channel}`);
      // The server refuses all announcements of a frame, or the last ones.
      const accepted = batch.length - errors.length;
      for (const [i, one] of batch.entries()) {
        const error = errors[i - accepted];
        settle(one, error ? { error } : { position: undefined });
      }
    };
    this.ping().then(settleAll, () => {});
  }

  /** Resolves when all earlier commands have taken effect; rejects if the connection ends before. */
  ping(): Promise<unknown> {
    return this.#command({ kind: "ping" });
  }

  /** @throws Refused if the server refuses, Error if the connection ends before */
  info(): Promise<Map<string, string>> {
    this.#figures = new Map();
    const refused = this.#command({ kind: "info" }).then(() => this.#figures);
    const answered = this.ping().then(() => {
      this.#asked.forget("info");
      return this.#figures;
    });
    // It is only refused; the barrier shows that it wasn't.
    return Promise.race([refused, answered]);
  }

  /** Replaces the token. @throws Refused if the server refuses it, Error if the connection ends before */
  renew(token: string): Promise<unknown> {
    return this.#command({ kind: "token", token });
  }

  /** Finds out within seconds whether the server still answers; the connection ends if it doesn't. */
  check(): void {
    if (this.#isOver || this.#cancelGivingUp) return;
    this.#expectWithin(CHECK_WITHIN);
    // Alone in its frame the server answers it without waking up.
    if (this.#isOpen) this.#send(KEEPALIVE);
  }

  close(): void {
    this.#leave();
  }

  // --- commands

  #say(command: Command): void {
    this.#frames.write(`${formatCommand(command)}\n`, 1);
  }

  #command(command: Exclude<Command, { channel: string }>): Promise<unknown> {
    this.#say(command);
    return new Promise((resolve, reject) => this.#ask(command.kind, resolve, reject));
  }

  #send(frame: string): void {
    if (this.#isOver) return;
    this.#debug?.(`> ${frame.replace(/^token .*/gm, "token …").trimEnd()}`);
    try {
      this.#socket.send(frame);
    } catch (error) {
      // A Worker may not use a connection of another request.
      this.#end(1006, String(error));
    }
  }

  #ask(name: string, answered: (reply: Reply) => void, failed: (error: Error) => void): void {
    if (this.#isOver) {
      failed(new Error("the connection has ended"));
      return;
    }
    this.#asked.add({ name, answered, failed, at: this.#world.now() });
  }

  /** The newest of several subscriptions of a channel counts. */
  #expectPosition(channel: string): void {
    const name = `subscribe ${channel}`;
    const isLast = () => !this.#asked.has(name) && this.#entered.has(channel);
    this.#ask(
      name,
      (reply) => {
        if (reply.kind === "position" && isLast()) this.#events.located(channel, reply.position);
      },
      (error) => {
        if (!(error instanceof Refused) || !isLast()) return;
        if (error.code === "no-history") this.#events.located(channel, undefined);
        else this.#events.refused(channel, error);
      },
    );
  }

  // --- replies

  #read(text: string): void {
    if (this.#isOver) return;
    this.#debug?.(`< ${text.trimEnd()}`);
    // Whatever is received shows that the server answers; before the greeting nothing else counts.
    if (this.#isOpen) this.#expectNothing();
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (this.#isOver) return;
      this.#receive(parseReply(line));
    }
    if (this.#rest.length > MOST_REST) this.#end(1009, "the server sends a line without an end");
  }

  #receive(reply: Reply): void {
    if (!this.#isOpen) {
      if (reply.kind === "connected") this.#open();
      return;
    }
    switch (reply.kind) {
      case "message":
        this.#events.message(reply.channel, reply.message);
        break;
      case "error":
        this.#refuse(reply);
        break;
      case "once":
        this.#asked.take(`once ${reply.key}`)?.answered(reply);
        break;
      case "position":
        this.#locate(reply);
        break;
      case "time":
        this.#asked.take("ping")?.answered(reply);
        break;
      case "accepted":
        this.#asked.take("token")?.answered(reply);
        break;
      case "figure":
        this.#figures.set(reply.key, reply.value);
    }
  }

  #open(): void {
    this.#isOpen = true;
    this.#expectNothing();
    this.#events.opened();
  }

  #locate(reply: Extract<Reply, { kind: "position" }>): void {
    const asked = this.#asked.take(`subscribe ${reply.channel}`);
    if (asked) asked.answered(reply);
    // Whatever the reason is, the stream goes on from there.
    else if (this.#entered.has(reply.channel)) this.#events.located(reply.channel, reply.position);
  }

  #refuse({ code, command, argument, why }: Refusal): void {
    if (code === "rate") this.#limits.slowDown();
    if (isTemporary(code) && this.#repeat(command, argument)) return;
    const name = argument === undefined ? command : `${command} ${argument}`;
    const error = new Refused(code, why);
    const asked = this.#asked.take(name);
    if (asked) asked.failed(error);
    // The subscription breaks off.
    else if (command === "subscribe" && argument !== undefined && this.#entered.has(argument)) {
      this.#events.refused(argument, error);
    }
  }

  /** Says again what nothing above would: the barrier, and what keeps the server from sending for nothing. */
  #repeat(command: string, channel: string | undefined): boolean {
    const isLeft = command === "unsubscribe" && channel !== undefined && !this.#entered.has(channel);
    if (isLeft) this.#say({ kind: "unsubscribe", channel });
    else if (command === "ping") this.#say({ kind: "ping" });
    return isLeft || command === "ping";
  }

  // --- the end

  #checkRegularly(): void {
    this.#cancelCheck = this.#world.later(CHECK_EACH, () => this.#checkRegularly());
    if (this.#asked.hasOlderThan(this.#world.now() - REPLY_WITHIN))
      this.#end(1006, "the server doesn't reply to a command");
    this.check();
  }

  #expectWithin(milliseconds: number): void {
    this.#cancelGivingUp = this.#world.later(milliseconds, () => this.#end(this.#isOpen ? 1006 : 0, SILENT));
  }

  #expectNothing(): void {
    this.#cancelGivingUp?.();
    this.#cancelGivingUp = undefined;
  }

  /** Ends the connection; returns false if it had ended before. */
  #leave(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#cancelCheck();
    this.#cancelGivingUp?.();
    this.#frames.drop();
    try {
      this.#socket.close();
    } catch {
      // It may not be open yet, or belong to another request.
    }
    this.#asked.fail(new Error("the connection has ended"));
    return true;
  }

  #end(code: number, reason: string): void {
    if (this.#leave()) this.#events.ended({ code, reason });
  }
}
