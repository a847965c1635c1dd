/** One connection to the server: sends commands, and matches replies by command and argument. */
import { DEBUG, EVERYONE } from "../protocol/channels.ts";
import { isErrorCode, isTemporary } from "../protocol/errors.ts";
import { type From, NOW } from "./address.ts";
import type { Cancel, Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import type { Pace } from "./pace.ts";
import { after, SILENT } from "./timing.ts";
import type { WebSocketLike } from "./types.ts";

/** The timeout for opening a connection, in milliseconds. */
const OPEN_WITHIN = 10_000;

/** The interval of keepalives, and the timeout for their replies, in milliseconds. */
const CHECK_EACH = 25_000;
const CHECK_WITHIN = 8_000;

/** The timeout for replies to commands, in milliseconds; the server retries its own calls for a while. */
const REPLY_WITHIN = 60_000;

/** Longest incomplete line, in characters; the server's lines have at most a megabyte. */
const MAX_LINE = 16_000_000;

/** The close code of a connection that ended without a close frame. */
export const NO_CLOSE_FRAME = 1006;

/** The channel named in a WebSocket's address, to which the server subscribes it; undefined for the root address. */
export interface Home {
  readonly channel?: string | undefined;
  /** Where the subscription starts; undefined if the client doesn't want to subscribe to the channel. */
  readonly from?: From | undefined;
}

/** The server's reply to a command: a position or nothing, or a refusal. */
export type Outcome = number | undefined | Refused;

/** The members of a channel, with their data, at a position of its presence channel. */
export interface List {
  readonly position: number;
  readonly count: number;
  readonly members: Map<string, string>;
}

/** Receives a transport's own events. */
export interface TransportListener {
  opened(transport: Transport): void;
  /** @param code the close code */
  ended(code: number, reason: string): void;
}

/** Receives a connection's messages. */
export interface Receiver {
  debug(event: string): void;
  message(channel: string, text: string): void;
  /** Reports the position after which a subscription continues, or a refusal. */
  subscribed(channel: string, outcome: Outcome): void;
}

interface PendingReply {
  /** When the command was sent. */
  at: number;
  done(outcome: Outcome): void;
}

export class Transport {
  /** Undefined for a RequestSocket. */
  readonly home: Home | undefined;
  readonly #socket: WebSocketLike;
  readonly #environment: Environment;
  readonly #pace: Pace;
  readonly #listener: TransportListener;
  readonly #receiver: Receiver;
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal;
  /** Frames queued until the end of this turn, or longer by the rate limit. */
  readonly #queued: { text: string; lines: number }[] = [];
  /** Pending replies, by command and argument; replies that could only be refusals are removed. */
  readonly pending = new Map<string, PendingReply[]>();
  /** All channels that this connection ever subscribed to, and whether it still is or will be. */
  readonly #channels = new Map([[EVERYONE, true]]);
  readonly #figures = new Map<string, string>();
  /** The list that is being received, or was received last. */
  #list: List = { position: 0, count: 0, members: new Map() };
  #state: "opening" | "open" | "over" = "opening";
  #partialLine = "";
  /** Whether the reply to a keepalive is pending. */
  #isChecking = false;
  #cancelTimer: Cancel;

  /** @param signal closes the connection without a report; the listener has to abort it when the connection has ended */
  constructor(
    socket: WebSocketLike,
    home: Home | undefined,
    environment: Environment,
    pace: Pace,
    signal: AbortSignal,
    listener: TransportListener,
    receiver: Receiver,
  ) {
    this.#socket = socket;
    this.home = home;
    this.#environment = environment;
    this.#pace = pace;
    this.signal = signal;
    this.#listener = listener;
    this.#receiver = receiver;
    socket.onmessage = ({ data }) => this.#read(String(data));
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    // Stays set: without a handler, the package `ws` throws errors as uncaught, even after `close`.
    socket.onerror = () => this.#end(NO_CLOSE_FRAME, "");
    this.#cancelTimer = environment.later(OPEN_WITHIN, () => this.#timeOut());
    signal.addEventListener("abort", () => this.#close());
    const { channel, from } = home ?? {};
    if (channel !== undefined) this.#channels.set(channel, true);
    if (channel !== undefined && from) this.#expectPosition(channel);
  }

  // --- commands

  /**
   * Sends a command. If the connection ends first, `done` is never called.
   * @param name the command and its argument, which identify its reply
   * @param rest the rest of its line
   */
  ask(name: string, rest: string, done: (outcome: Outcome) => void): void {
    this.write(`${name}${rest}\n`);
    this.expect(name, done);
  }

  /** Queues lines to be sent in one frame, together with earlier ones if they fit. */
  write(text: string, lines = 1): void {
    const last = this.#queued.at(-1);
    const { size, lines: most } = this.#pace;
    if (last && last.text.length + text.length <= size && last.lines + lines <= most) {
      last.text += text;
      last.lines += lines;
    } else if (this.#queued.push({ text, lines }) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    for (let [frame] = this.#queued; frame; [frame] = this.#queued) {
      const wait = this.#pace.waitFor(frame.lines);
      if (wait > 0) {
        after(this.#environment, wait, this.signal, () => this.#flush());
        return;
      }
      this.#queued.shift();
      this.#send(frame.text);
    }
  }

  /** Registers `done` for the reply to a command. */
  expect(name: string, done: (outcome: Outcome) => void): void {
    const replies = this.pending.get(name) ?? [];
    replies.push({ at: this.#environment.now(), done });
    this.pending.set(name, replies);
  }

  /** Subscribes to a channel, replacing an earlier subscription; `subscribed` reports the result. */
  subscribe(channel: string, from: From): void {
    const line = `subscribe ${channel} ${from}\n`;
    // The server accepts positions only for channels without a subscription.
    if (from !== NOW && this.#channels.has(channel)) this.write(`unsubscribe ${channel}\n${line}`, 2);
    else this.write(line);
    this.#expectPosition(channel);
  }

  #expectPosition(channel: string): void {
    this.#channels.set(channel, true);
    this.expect(`subscribe ${channel}`, () => {});
  }

  /** Unsubscribes from channels that the server or the address added. */
  leaveAllBut(channels: { has(channel: string): boolean }): void {
    for (const channel of this.#channels.keys()) if (!channels.has(channel)) this.unsubscribe(channel);
  }

  unsubscribe(channel: string): void {
    this.#channels.set(channel, false);
    this.write(`unsubscribe ${channel}\n`);
  }

  /** Requests the server's figures. */
  info(done: (outcome: Map<string, string> | Refused) => void): void {
    this.ask("info", "", (outcome) => {
      if (outcome instanceof Refused) done(outcome);
    });
    // `info` itself is only replied to by refusals; the reply to a ping ends the figures.
    this.ask("ping", "", () => {
      this.pending.delete("info");
      done(new Map(this.#figures));
    });
  }

  /** Requests the members of a channel. */
  members(channel: string, done: (outcome: List | Refused) => void): void {
    this.ask(`members ${channel}`, "", (outcome) => done(outcome instanceof Refused ? outcome : this.#list));
  }

  /** Checks with a keepalive that the server still replies; the connection ends if it doesn't. */
  check(): void {
    const oldest = this.#environment.now() - REPLY_WITHIN;
    for (const [first] of this.pending.values()) if (first && first.at < oldest) this.#timeOut();
    if (this.#isChecking || this.#state === "over") return;
    this.#isChecking = true;
    this.#setTimer(CHECK_WITHIN, () => this.#timeOut());
    // Alone in its frame, the runtime answers it without waking the object.
    this.#send("keepalive\n");
  }

  #setTimer(milliseconds: number, act: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#environment.later(milliseconds, act);
  }

  #send(frame: string): void {
    if (this.#state === "over") return;
    this.#receiver.debug(`> ${frame.replace(/^token .*/gm, "token …").trimEnd()}`);
    try {
      this.#socket.send(frame);
    } catch (error) {
      // Workers throw if the connection belongs to another request.
      this.#end(NO_CLOSE_FRAME, String(error));
    }
  }

  // --- replies

  #read(data: string): void {
    if (this.#state === "over") return;
    this.#receiver.debug(`< ${data.trimEnd()}`);
    if (this.#isChecking) this.#confirmAlive();
    const lines = (this.#partialLine + data).split("\n");
    this.#partialLine = lines.pop() ?? "";
    for (const line of lines) this.#receive(line);
    if (this.#partialLine.length > MAX_LINE) this.#timeOut();
  }

  #confirmAlive(): void {
    this.#isChecking = false;
    this.#setTimer(CHECK_EACH, () => this.check());
  }

  #receive(line: string): void {
    if (this.#state === "open") {
      const [, channel, text = ""] = /^([^ !]+)!(.*)$/s.exec(line) ?? [];
      if (channel === DEBUG) this.#receiveDebug(text);
      else if (channel !== undefined) this.#receiver.message(channel, text);
      else if (/^\d+$/.test(line)) this.#settle("ping", undefined);
      else {
        const [figure = "", value] = line.split(": ");
        if (value !== undefined) this.#figures.set(figure, value);
      }
    } else if (line === `${DEBUG}!connected...` && this.#state === "opening") {
      this.#state = "open";
      this.#confirmAlive();
      this.#listener.opened(this);
    }
  }

  #receiveDebug(text: string): void {
    const [kind = "", name = "", number = "", ...rest] = text.split(" ");
    if (kind === "error") this.#handleRefusal(text);
    else if (kind === "once") this.#settle(`once ${name}`, Number(number));
    else if (kind === "position") this.#handlePosition(name, Number(number));
    else if (kind === "token") this.#settle("token", undefined);
    else if (kind === "members") this.#list = { position: Number(number), count: Number(rest[0]), members: new Map() };
    else if (kind === "member") this.#list.members.set(number, rest.join(" "));
    if (/^members?$/.test(kind) && this.#list.members.size === this.#list.count) {
      this.#settle(`members ${name}`, undefined);
    }
  }

  /** Settles the oldest command with this name. */
  #settle(name: string, outcome: Outcome): void {
    const replies = this.pending.get(name);
    const first = replies?.shift();
    if (!replies?.length) this.pending.delete(name);
    first?.done(outcome);
  }

  /**
   * Handles a position. Of several pending subscriptions to a channel, only the newest counts. A position without a
   * pending one is also reported: the server has moved the stream. In an address such as wss://host/news, the server takes
   * the whole path for a channel, which this client doesn't know.
   */
  #handlePosition(channel: string, outcome: Outcome): void {
    if (!this.#channels.has(channel)) this.#end(400, "invalid: leave the channel out of the address");
    const name = `subscribe ${channel}`;
    this.#settle(name, outcome);
    if (!this.pending.has(name) && this.#channels.get(channel)) this.#receiver.subscribed(channel, outcome);
  }

  #handleRefusal(text: string): void {
    const [, word = "", name = "", why = ""] = /^error ([a-z-]+) ([a-z]+(?: [^ ]+)?): (.*)$/s.exec(text) ?? [];
    const error = new Refused(isErrorCode(word) ? word : "invalid", why);
    const [command, channel = ""] = name.split(" ");
    const isUnsubscribed = command === "unsubscribe" && !this.#channels.get(channel);
    const isRepeated = isTemporary(error.code) && (name === "ping" || isUnsubscribed);
    // Presence has a rate of its own.
    if ((word === "rate" && !/^(enter|leave)/.test(name)) || isRepeated) this.#pace.slowDown();
    if (isRepeated) this.write(`${name}\n`);
    else if (command === "subscribe") this.#handlePosition(channel, error);
    else this.#settle(name, error);
  }

  // --- the end

  #timeOut(): void {
    this.#end(NO_CLOSE_FRAME, SILENT);
  }

  #close(): void {
    this.#state = "over";
    this.#cancelTimer();
    try {
      this.#socket.close();
    } catch {
      // The socket isn't open yet, or belongs to another request of a Worker.
    }
  }

  #end(code: number, reason: string): void {
    if (this.#state === "over") return;
    this.#close();
    this.#listener.ended(code, reason);
  }
}
