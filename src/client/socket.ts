/** A session over a WebSocket. */
import { EVERYONE } from "../protocol/channels.ts";
import { POLICY, TRY_AGAIN } from "../protocol/close-codes.ts";
import { type Command, formatCommand } from "../protocol/commands.ts";
import { formatReason, isTemporary, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import { parseReply, type Reply } from "../protocol/replies.ts";
import {
  type Address,
  type Hearer,
  OPEN_WITHIN,
  type Place,
  queryOf,
  Refused,
  type Session,
  SILENT,
  urlOf,
} from "./session.ts";

/** How often it is made sure that the server is still there, and how long its answer may take, in milliseconds. */
const CHECK_EACH = 25_000;
const CHECK_WITHIN = 8_000;

/** A command whose reply is pending. Replies and errors find it by the command and its argument. */
interface Asked {
  command: Command["kind"];
  /** The channel, or the key of `once`. */
  argument: string | undefined;
  answered(reply: Reply): void;
  failed(error: Error): void;
}

/** Characters that go out in one frame. */
const MOST_TOGETHER = 100_000;

const NOW: From = { since: "now" };

const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

export class SocketSession implements Session {
  readonly #hearer: Hearer;
  readonly #socket: WebSocket;
  readonly #asked: Asked[] = [];
  #figures = new Map<string, string>();
  #rest = "";
  /** Commands of this turn: they go out together. */
  #said = "";
  #isOpen = false;
  #isOver = false;
  readonly #checking: ReturnType<typeof setInterval>;
  /** Set while an answer is due. */
  #giveUp: ReturnType<typeof setTimeout> | undefined;

  /** @param first the channel to connect at, if there is one */
  constructor(address: Address, first: Place | undefined, hearer: Hearer) {
    this.#hearer = hearer;
    const { channel, from } = first ?? { channel: EVERYONE, from: NOW };
    const url = urlOf(address, "ws", channel, queryOf(from));
    this.#socket = new WebSocket(url, address.token === undefined ? [] : ["fanout", address.token]);
    this.#expectPlace(channel);
    this.#socket.onmessage = ({ data }) => this.#read(String(data));
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#socket.onerror = () => this.#end(this.#isOpen ? 1006 : 0, "");
    this.#expectWithin(OPEN_WITHIN);
    this.#checking = setInterval(() => this.check(), CHECK_EACH);
  }

  subscribe(channel: string, from: From): void {
    // Every connection hears it from the start: to hear it from a position on, it has to leave it first.
    if (channel === EVERYONE) this.unsubscribe(channel);
    this.#say({ kind: "subscribe", channel, from });
    this.#expectPlace(channel);
  }

  unsubscribe(channel: string): void {
    this.#say({ kind: "unsubscribe", channel });
  }

  async announce(channel: string, text: string, key: string): Promise<number | undefined> {
    try {
      this.#say({ kind: "once", key, channel, message: text });
      const reply = await this.#answer("once", key);
      return reply.kind === "once" ? reply.position : undefined;
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "no-history") throw error;
      await this.#confirm({ kind: "announce", channel, message: text }, channel);
      return undefined;
    }
  }

  async ping(): Promise<void> {
    this.#say({ kind: "ping" });
    await this.#answer("ping");
  }

  async info(): Promise<Map<string, string>> {
    this.#figures = new Map();
    await this.#confirm({ kind: "info" });
    return this.#figures;
  }

  /**
   * Sends a command whose success no reply names. A ping after it shows that it was carried out; so does the refusal of
   * that ping, because replies come in the order of the commands.
   * @throws Refused if the command is refused
   */
  async #confirm(command: Command, argument?: string): Promise<void> {
    this.#say(command);
    const refused = this.#answer(command.kind, argument);
    const asked = this.#asked.at(-1);
    const carriedOut = this.ping().catch((error: unknown) => {
      if (!(error instanceof Refused)) throw error;
    });
    try {
      await Promise.race([refused, carriedOut]);
    } finally {
      if (asked && this.#asked.includes(asked)) this.#asked.splice(this.#asked.indexOf(asked), 1);
    }
  }

  renew(token: string): void {
    this.#say({ kind: "token", token });
    this.#answer("token").catch(() => {});
  }

  check(): void {
    if (this.#giveUp !== undefined) return;
    this.#expectWithin(CHECK_WITHIN);
    this.#socket.send(KEEPALIVE);
  }

  #expectWithin(milliseconds: number): void {
    this.#giveUp = setTimeout(() => this.#end(1006, SILENT), milliseconds);
  }

  close(): void {
    this.#end(1000, "");
  }

  /** The line that says from where on a channel is heard. */
  #expectPlace(channel: string): void {
    this.#answer("subscribe", channel).then(
      () => {},
      (error: Error) => {
        if (this.#isOver || !(error instanceof Refused)) return;
        if (error.code === "no-history") this.#hearer.located(channel, undefined);
        else if (isTemporary(error.code))
          this.#end(TRY_AGAIN, formatReason({ code: error.code, why: error.message }));
        else this.#hearer.refused(channel, error);
      },
    );
  }

  #answer(command: Command["kind"], argument?: string): Promise<Reply> {
    return new Promise((answered, failed) => this.#asked.push({ command, argument, answered, failed }));
  }

  /** Takes out the oldest pending command of this kind; undefined if there is none. */
  #forget(command: string, argument?: string): Asked | undefined {
    const at = this.#asked.findIndex((asked) => asked.command === command && asked.argument === argument);
    return at < 0 ? undefined : this.#asked.splice(at, 1)[0];
  }

  #say(command: Command): void {
    if (this.#isOver) throw new Error("the session is over");
    if (this.#said === "") queueMicrotask(() => this.#send());
    this.#said += `${formatCommand(command)}\n`;
    if (this.#said.length > MOST_TOGETHER) this.#send();
  }

  #send(): void {
    if (this.#said !== "" && !this.#isOver) this.#socket.send(this.#said);
    this.#said = "";
  }

  #read(text: string): void {
    // Whatever comes tells that the server is there.
    clearTimeout(this.#giveUp);
    this.#giveUp = undefined;
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (!this.#isOver) this.#take(parseReply(line));
  }

  #take(reply: Reply): void {
    switch (reply.kind) {
      case "connected":
        this.#isOpen = true;
        this.#hearer.opened();
        break;
      case "message":
        this.#hearer.message(reply.channel, reply.message);
        break;
      case "gap":
        this.#hearer.gap(reply.channel, reply.from, reply.to);
        break;
      case "figure":
        this.#figures.set(reply.key, reply.value);
        break;
      case "error":
        this.#refuse(reply);
        break;
      case "time":
        this.#forget("ping")?.answered(reply);
        break;
      case "accepted":
        this.#forget("token")?.answered(reply);
        break;
      case "once":
        this.#forget("once", reply.key)?.answered(reply);
        break;
      case "position":
        this.#forget("subscribe", reply.channel)?.answered(reply);
        this.#locate(reply.channel, reply.position);
    }
  }

  #refuse({ code, command, argument, why }: Refusal): void {
    this.#forget(command, argument)?.failed(new Refused(code, why));
  }

  /** Where it has been left and entered again meanwhile, the last answer counts. */
  #locate(channel: string, position: number): void {
    const isPending = this.#asked.some(
      ({ command, argument }) => command === "subscribe" && argument === channel,
    );
    if (!isPending) this.#hearer.located(channel, position);
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#checking);
    clearTimeout(this.#giveUp);
    this.#socket.onclose = this.#socket.onerror = this.#socket.onmessage = null;
    this.#socket.close();
    for (const { failed } of this.#asked.splice(0)) failed(new Error("the session is over"));
    this.#hearer.ended({ code: this.#isOpen ? code : 0, reason, isFinal: code === POLICY || code === 1000 });
  }
}
