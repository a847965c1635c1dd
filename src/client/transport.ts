/** One connection to the server: sends commands, and matches replies to them by command and argument. */
import { DEBUG, EVERYONE } from "../protocol/channels.ts";
import { isErrorCode, isTemporary } from "../protocol/errors.ts";
import { type From, NOW } from "./address.ts";
import type { Cancel, Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import type { Pace } from "./pace.ts";
import { after, SILENT } from "./timing.ts";
import type { WebSocketLike } from "./types.ts";

/** Time for the server to accept a connection, in milliseconds. */
const OPEN_WITHIN = 10_000;

/** How often the client makes sure that the server still answers, and how long that may take, in milliseconds. */
const CHECK_EACH = 25_000;
const CHECK_WITHIN = 8_000;

/** Time for the server to reply to a command, in milliseconds: it retries its own calls for some time. */
const REPLY_WITHIN = 60_000;

/** Characters of a line that has no end; the server sends lines of a megabyte at most. */
const MOST_REST = 16_000_000;

/** The code of a connection that ended without a close frame. */
export const NO_CLOSE_FRAME = 1006;

/** Where to connect: at a channel, to which the connection is then subscribed, or at the server itself. */
export interface Home {
  readonly channel?: string | undefined;
  /** From where on the channel is subscribed to; undefined if the client isn't subscribed to it. */
  readonly from?: From | undefined;
}

/** What the server replies to a command: a position, if it has one to tell, or why it didn't carry the command out. */
export type Outcome = number | undefined | Refused;

/** What a connection's own events are reported to. */
export interface Opener {
  opened(transport: Transport): void;
  /** @param code the close code */
  ended(code: number, reason: string): void;
}

/** What gets the lines of a connection. */
export interface Receiver {
  debug(event: string): void;
  message(channel: string, text: string): void;
  /** A subscription goes on after a position, or is refused. */
  located(channel: string, outcome: Outcome): void;
}

interface Asked {
  /** When it was sent, by the client's clock. */
  at: number;
  done(outcome: Outcome): void;
}

export class Transport {
  /** Undefined if the socket stands for requests. */
  readonly home: Home | undefined;
  readonly #socket: WebSocketLike;
  readonly #environment: Environment;
  readonly #pace: Pace;
  readonly #opener: Opener;
  readonly #receiver: Receiver;
  /** Is aborted when the connection has ended. */
  readonly signal: AbortSignal;
  /** Frames that wait for the end of this turn, or for the rate. */
  readonly #frames: { text: string; lines: number }[] = [];
  /** Commands whose replies are pending, by command and argument; those that only refusals reply to are taken out. */
  readonly asked = new Map<string, Asked[]>();
  /** Channels to which this connection was ever subscribed, and whether it is, or soon will be. */
  readonly #entered = new Map([[EVERYONE, true]]);
  readonly #figures = new Map<string, string>();
  #state: "opening" | "open" | "over" = "opening";
  #rest = "";
  /** Whether the server has to show that it still answers. */
  #isDoubted = false;
  #cancel: Cancel;

  /** @param signal closes the connection, without a report of that; is to be aborted when it has ended */
  constructor(
    socket: WebSocketLike,
    home: Home | undefined,
    environment: Environment,
    pace: Pace,
    signal: AbortSignal,
    opener: Opener,
    receiver: Receiver,
  ) {
    this.#socket = socket;
    this.home = home;
    this.#environment = environment;
    this.#pace = pace;
    this.signal = signal;
    this.#opener = opener;
    this.#receiver = receiver;
    socket.onmessage = ({ data }) => this.#read(String(data));
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    // This handler stays: the package `ws` ends the process for an error without one, also after `close`.
    socket.onerror = () => this.#end(NO_CLOSE_FRAME, "");
    this.#cancel = environment.later(OPEN_WITHIN, () => this.#giveUp());
    signal.addEventListener("abort", () => this.#close());
    const { channel, from } = home ?? {};
    if (channel !== undefined) this.#entered.set(channel, true);
    if (channel !== undefined && from) this.#enter(channel);
  }

  // --- commands

  /**
   * Sends a command. If the connection ends before the reply, there is none.
   * @param name the command and its argument, by which replies name it
   * @param rest of its line
   */
  ask(name: string, rest: string, done: (outcome: Outcome) => void): void {
    this.write(`${name}${rest}\n`);
    this.expect(name, done);
  }

  /** Sends lines in one frame, with others that wait where they fit. */
  write(text: string, lines = 1): void {
    const last = this.#frames.at(-1);
    const { size, lines: most } = this.#pace;
    if (last && last.text.length + text.length <= size && last.lines + lines <= most) {
      last.text += text;
      last.lines += lines;
    } else if (this.#frames.push({ text, lines }) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    for (let [frame] = this.#frames; frame; [frame] = this.#frames) {
      const wait = this.#pace.waitFor(frame.lines);
      if (wait > 0) {
        after(this.#environment, wait, this.signal, () => this.#flush());
        return;
      }
      this.#frames.shift();
      this.#send(frame.text);
    }
  }

  /** Has `done` called with the reply to a command that is sent. */
  expect(name: string, done: (outcome: Outcome) => void): void {
    const asked = this.asked.get(name) ?? [];
    asked.push({ at: this.#environment.now(), done });
    this.asked.set(name, asked);
  }

  /** Subscribes to a channel, instead of an earlier subscription to it; `located` follows. */
  subscribe(channel: string, from: From): void {
    const line = `subscribe ${channel} ${from}\n`;
    // The server takes other positions only from a connection that isn't subscribed.
    if (from !== NOW && this.#entered.has(channel)) this.write(`unsubscribe ${channel}\n${line}`, 2);
    else this.write(line);
    this.#enter(channel);
  }

  #enter(channel: string): void {
    this.#entered.set(channel, true);
    this.expect(`subscribe ${channel}`, () => {});
  }

  /** Leaves channels to which the server has subscribed the connection by itself. */
  leaveAllBut(channels: { has(channel: string): boolean }): void {
    for (const channel of this.#entered.keys()) if (!channels.has(channel)) this.unsubscribe(channel);
  }

  unsubscribe(channel: string): void {
    this.#entered.set(channel, false);
    this.write(`unsubscribe ${channel}\n`);
  }

  /** Asks for the server's figures. */
  info(done: (outcome: Map<string, string> | Refused) => void): void {
    this.ask("info", "", (outcome) => {
      if (outcome instanceof Refused) done(outcome);
    });
    // The only reply to `info` itself is a refusal.
    this.ask("ping", "", () => {
      this.asked.delete("info");
      done(new Map(this.#figures));
    });
  }

  /** Finds out within seconds whether the server still answers; the connection ends if it doesn't. */
  check(): void {
    const oldest = this.#environment.now() - REPLY_WITHIN;
    for (const [first] of this.asked.values()) if (first && first.at < oldest) this.#giveUp();
    if (this.#isDoubted || this.#state === "over") return;
    this.#isDoubted = true;
    this.#wait(CHECK_WITHIN, () => this.#giveUp());
    // Alone in its frame the server answers it without waking up.
    this.#send("keepalive\n");
  }

  #wait(milliseconds: number, act: () => void): void {
    this.#cancel();
    this.#cancel = this.#environment.later(milliseconds, act);
  }

  #send(frame: string): void {
    if (this.#state === "over") return;
    this.#receiver.debug(`> ${frame.replace(/^token .*/gm, "token …").trimEnd()}`);
    try {
      this.#socket.send(frame);
    } catch (error) {
      // A Worker may not use a connection of another request.
      this.#end(NO_CLOSE_FRAME, String(error));
    }
  }

  // --- replies

  #read(data: string): void {
    if (this.#state === "over") return;
    this.#receiver.debug(`< ${data.trimEnd()}`);
    if (this.#isDoubted) this.#trust();
    const lines = (this.#rest + data).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#receive(line);
    if (this.#rest.length > MOST_REST) this.#giveUp();
  }

  #trust(): void {
    this.#isDoubted = false;
    this.#wait(CHECK_EACH, () => this.check());
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
      this.#trust();
      this.#opener.opened(this);
    }
  }

  #receiveDebug(text: string): void {
    const [kind, name = "", number] = text.split(" ");
    if (kind === "error") this.#refuse(text);
    else if (kind === "once") this.#settle(`once ${name}`, Number(number));
    else if (kind === "position") this.#locate(name, Number(number));
    else if (kind === "token") this.#settle("token", undefined);
  }

  /** Settles the oldest command of a name. */
  #settle(name: string, outcome: Outcome): void {
    const asked = this.asked.get(name);
    const first = asked?.shift();
    if (!asked?.length) this.asked.delete(name);
    first?.done(outcome);
  }

  /** The newest of several subscriptions of a channel counts. Without one the stream goes on there, for whatever reason. */
  #locate(channel: string, outcome: Outcome): void {
    const name = `subscribe ${channel}`;
    this.#settle(name, outcome);
    if (!this.asked.has(name) && this.#entered.get(channel)) this.#receiver.located(channel, outcome);
  }

  #refuse(text: string): void {
    const [, word = "", name = "", why = ""] =
      /^error ([a-z-]+) ([a-z]+(?: [^ ]+)?): (.*)$/s.exec(text) ?? [];
    const error = new Refused(isErrorCode(word) ? word : "invalid", why);
    const [command, channel = ""] = name.split(" ");
    const isLeft = command === "unsubscribe" && !this.#entered.get(channel);
    const isRepeated = isTemporary(error.code) && (name === "ping" || isLeft);
    if (word === "rate" || isRepeated) this.#pace.slowDown();
    if (isRepeated) this.write(`${name}\n`);
    else if (command === "subscribe") this.#locate(channel, error);
    else this.#settle(name, error);
  }

  // --- the end

  #giveUp(): void {
    this.#end(NO_CLOSE_FRAME, SILENT);
  }

  #close(): void {
    this.#state = "over";
    this.#cancel();
    try {
      this.#socket.close();
    } catch {
      // It may not be open yet, or belong to another request.
    }
  }

  #end(code: number, reason: string): void {
    if (this.#state === "over") return;
    this.#close();
    this.#opener.ended(code, reason);
  }
}
