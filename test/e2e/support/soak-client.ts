/**
 * A client that never loses its position: it counts messages on several channels, resumes whenever its connection
 * ends, and retries each announcement under the same key until it gets a reply.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isTemporary, type Refusal } from "../../../src/protocol/errors.ts";
import { parseReply } from "../../../src/protocol/replies.ts";
import type { Dice } from "./dice.ts";
import { TestClient } from "./test-client.ts";

/** A log of all clients: the messages they received, and violated guarantees. */
export class SoakLog {
  /** Messages by channel and position. */
  readonly #messages = new Map<string, string>();
  /** Violated guarantees; must stay empty. */
  readonly faults: string[] = [];
  announced = 0;
  read = 0;
  resumed = 0;
  /** The gaps reported to clients. */
  readonly gaps: string[] = [];
  /** How often connections ended in each way. */
  readonly endings = new Map<string, number>();

  /** Records a message's position, which a subscriber counted or its publisher got in a reply. */
  found(channel: string, position: number, message: string): void {
    const key = `${channel} ${position}`;
    const known = this.#messages.get(key) ?? message;
    if (known !== message) this.faults.push(`${key} is both '${known}' and '${message}'`);
    this.#messages.set(key, known);
  }

  /** Returns the newest message of each channel, of all that any client knows. */
  newest(channels: string[]): Map<string, string> {
    const newest = new Map(channels.map((channel) => [channel, { position: 0, message: "" }]));
    for (const [key, message] of this.#messages) {
      const [channel = "", word] = key.split(" ");
      if (Number(word) > (newest.get(channel)?.position ?? 0)) newest.set(channel, { position: Number(word), message });
    }
    return new Map([...newest].map(([channel, { message }]) => [channel, message]));
  }

  ended(why: string): void {
    this.endings.set(why, (this.endings.get(why) ?? 0) + 1);
  }
}

/** A client's progress in a channel. */
interface Progress {
  /** The position of the newest message it received; undefined before it gets the first position. */
  position: number | undefined;
  /** Whether the last reply was a gap. */
  isAfterGap: boolean;
  /** The newest message it received. */
  newest: string;
}

/** Counts the messages of some channels, and records violated guarantees. */
export class ProgressOf {
  readonly channels: Map<string, Progress>;
  readonly #name: string;
  readonly #log: SoakLog;
  #onReceive = () => {};

  constructor(name: string, channels: string[], log: SoakLog) {
    this.#name = name;
    this.#log = log;
    this.channels = new Map(
      channels.map((channel) => [channel, { position: undefined, isAfterGap: false, newest: "" }]),
    );
  }

  /** Resolves when the newest message of each channel has been received. */
  async reach(newest: Map<string, string>): Promise<void> {
    const isUpToDate = () => [...this.channels].every(([channel, progress]) => progress.newest === newest.get(channel));
    await new Promise<void>((resolve) => {
      this.#onReceive = () => {
        if (isUpToDate()) resolve();
      };
      this.#onReceive();
    });
  }

  receive(channel: string, message: string, position: number): void {
    const progress = this.channels.get(channel);
    if (!progress) return;
    const { position: before = position - 1 } = progress;
    if (position !== before + 1) {
      this.#log.faults.push(`${this.#name} was at ${before} of ${channel}, but received ${position}`);
    }
    progress.position = position;
    progress.newest = message;
    this.#log.read += 1;
    this.#log.found(channel, position, message);
    this.#onReceive();
  }

  resumeAt(channel: string, position: number): void {
    const progress = this.channels.get(channel);
    if (!progress) return;
    const was = progress.position ?? position;
    if (was !== position && !progress.isAfterGap)
      this.#log.faults.push(`${this.#name} was at ${was} of ${channel}, but resumed at ${position}`);
    if (progress.position !== undefined) this.#log.resumed += 1;
    progress.position = position;
    progress.isAfterGap = false;
  }

  /** @param line the reported gap */
  gap(line: string, channel: string): void {
    this.#log.gaps.push(line);
    const progress = this.channels.get(channel);
    if (progress) progress.isAfterGap = true;
  }
}

/** An announcement without a reply. */
interface Announcement {
  key: string;
  channel: string;
  message: string;
  answered: () => void;
}

/** Maximum delay before a client reconnects or retries, in milliseconds. */
export const PAUSE = 300;

export class SoakClient {
  readonly #name: string;
  readonly #progress: ProgressOf;
  /** The channels whose position it has got on this connection. */
  readonly #live = new Set<string>();
  readonly #home: string;
  readonly #log: SoakLog;
  readonly #url: () => string;
  readonly #dice: Dice;
  #connection: TestClient | undefined;
  #pending: Announcement | undefined;
  #announced = 0;
  #isStopped = false;

  /**
   * @param channels the channels it counts; it connects to the first one
   * @param url returns the server's current URL
   * @param dice draws its pauses
   */
  constructor(name: string, channels: string[], log: SoakLog, url: () => string, dice: Dice) {
    this.#name = name;
    this.#home = channels[0] ?? "all";
    this.#log = log;
    this.#url = url;
    this.#dice = dice;
    this.#progress = new ProgressOf(name, channels, log);
  }

  /** Connects, and reconnects until it is stopped. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#connectOnce();
      } catch (error) {
        if (!this.#isStopped) this.#log.ended(String(error));
      }
      await sleep(this.#dice.below(PAUSE));
    }
  }

  /** Breaks its connection. */
  cut(): void {
    this.#connection?.close();
  }

  stop(): void {
    this.#isStopped = true;
    this.cut();
  }

  /** Announces a message, with as many retries as it takes. */
  async announce(channel: string): Promise<string> {
    this.#announced += 1;
    const message = `${this.#name} ${this.#announced}`;
    const key = message.replace(" ", "-");
    await new Promise<void>((answered) => {
      this.#pending = { key, channel, message, answered };
      this.#retry();
    });
    this.#log.announced += 1;
    return message;
  }

  /** Resolves when it has received the newest message of each of its channels. */
  reach(newest: Map<string, string>): Promise<void> {
    return this.#progress.reach(newest);
  }

  async #connectOnce(): Promise<void> {
    this.#live.clear();
    const connection = TestClient.open(`${this.#url()}/${this.#home}?since=${this.#positionIn(this.#home)}`);
    this.#connection = connection;
    if ((await connection.line()) !== "debug!connected...") throw new Error("the greeting is missing");
    for (const channel of this.#progress.channels.keys()) if (channel !== this.#home) this.#resume(channel);
    this.#retry();
    for (;;) this.#handle(await connection.line());
  }

  #resume(channel: string): void {
    this.#send(`unsubscribe ${channel}\nsubscribe ${channel} since ${this.#positionIn(channel)}`);
  }

  #positionIn(channel: string): number | "now" {
    return this.#progress.channels.get(channel)?.position ?? "now";
  }

  #retry(): void {
    if (!this.#pending) return;
    const { key, channel, message } = this.#pending;
    this.#send(`once ${key} ${channel} ${message}`);
  }

  #send(lines: string): void {
    if (this.#connection?.socket.readyState === this.#connection?.socket.OPEN) this.#connection?.send(`${lines}\n`);
  }

  #handle(line: string): void {
    const reply = parseReply(line);
    if (reply.kind === "message") this.#receive(reply.channel, reply.message);
    else if (reply.kind === "position") this.#resumeAt(reply.channel, reply.position);
    else if (reply.kind === "gap") this.#progress.gap(line, reply.channel);
    else if (reply.kind === "once") this.#answered(reply.key, reply.position);
    else if (reply.kind === "error") void this.#retryLater(line, reply);
    else this.#log.faults.push(`${this.#name} read '${line}'`);
  }

  #receive(channel: string, message: string): void {
    const position = this.#positionIn(channel);
    // Messages of 'all' that come before its position will come again.
    if (this.#live.has(channel) && position !== "now") this.#progress.receive(channel, message, position + 1);
  }

  #resumeAt(channel: string, position: number): void {
    this.#live.add(channel);
    this.#progress.resumeAt(channel, position);
  }

  #answered(key: string, position: number): void {
    if (this.#pending?.key !== key) return;
    const { channel, message, answered } = this.#pending;
    this.#log.found(channel, position, message);
    this.#pending = undefined;
    answered();
  }

  /** Retries what failed, if the error is temporary. */
  async #retryLater(line: string, { code, command }: Refusal): Promise<void> {
    const connection = this.#connection;
    await sleep(this.#dice.below(PAUSE));
    if (this.#connection !== connection) return;
    if (!isTemporary(code) && code !== "uncertain") this.#log.faults.push(line);
    else if (command === "once") this.#retry();
    else for (const channel of this.#progress.channels.keys()) if (!this.#live.has(channel)) this.#resume(channel);
  }
}
