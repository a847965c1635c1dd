/**
 * A client that never loses its place: it counts on several channels, comes back where it was whenever its connection
 * has ended, and announces each of its messages again, under the same key, until it has been answered.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isTemporary, type Refusal } from "../../../src/protocol/errors.ts";
import { parseReply } from "../../../src/protocol/replies.ts";
import { Listener } from "./listener.ts";

/** What all clients together have read, and what became of it. */
export class Record {
  /** By channel and position; there is one message for each. */
  readonly #messages = new Map<string, string>();
  /** What went wrong, which must be nothing. */
  readonly faults: string[] = [];
  announced = 0;
  read = 0;
  resumed = 0;
  /** Gaps that clients were told of. */
  readonly gaps: string[] = [];
  /** How connections ended, and how often. */
  readonly endings = new Map<string, number>();

  /** A message was read, or its announcer was told where it is. */
  found(channel: string, position: number, message: string): void {
    const key = `${channel} ${position}`;
    const known = this.#messages.get(key) ?? message;
    if (known !== message) this.faults.push(`${key} is '${known}' and '${message}'`);
    this.#messages.set(key, known);
  }

  ended(why: string): void {
    this.endings.set(why, (this.endings.get(why) ?? 0) + 1);
  }
}

/** Where a client is in a channel. */
interface Place {
  /** Of the newest message that it has read; undefined before it is told where it begins. */
  position: number | undefined;
  /** Whether it has been told where it is since it connected. */
  isLive: boolean;
  /** Whether it has just been told of a gap. */
  isAfterGap: boolean;
  /** Whether anything was said since it has been asked for. */
  newest: string;
}

/** A message on its way. */
interface Announcing {
  key: string;
  channel: string;
  message: string;
  answered: () => void;
}

/** Milliseconds before a client comes back, or says again what failed, at most. */
const PAUSE = 300;

export class Soaker {
  readonly #name: string;
  readonly #places: Map<string, Place>;
  readonly #home: string;
  readonly #record: Record;
  readonly #url: () => string;
  #listener: Listener | undefined;
  #announcing: Announcing | undefined;
  #said = 0;
  #isStopped = false;
  #onRead = () => {};

  /**
   * @param url where the server is now
   * @param channels on which it counts; it connects at the first one
   */
  constructor(name: string, channels: string[], record: Record, url: () => string) {
    this.#name = name;
    this.#home = channels[0] ?? "all";
    this.#record = record;
    this.#url = url;
    this.#places = new Map(
      channels.map((channel) => [
        channel,
        { position: undefined, isLive: false, isAfterGap: false, newest: "" },
      ]),
    );
  }

  /** Connects, and comes back, until it is stopped. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#live();
      } catch (error) {
        if (!this.#isStopped) this.#record.ended(String(error));
      }
      await sleep(Math.random() * PAUSE);
    }
  }

  /** Breaks its connection off. */
  cut(): void {
    this.#listener?.close();
  }

  stop(): void {
    this.#isStopped = true;
    this.cut();
  }

  /** Ends when a message has been announced, however often that has to be tried. */
  async announce(channel: string): Promise<string> {
    this.#said += 1;
    const message = `${this.#name} ${this.#said}`;
    const key = message.replace(" ", "-");
    await new Promise<void>((answered) => {
      this.#announcing = { key, channel, message, answered };
      this.#sayAgain();
    });
    this.#record.announced += 1;
    return message;
  }

  /** Ends when it has read a message, on each channel that it is on. */
  async reach(newest: Map<string, string>): Promise<void> {
    const isThere = () => [...this.#places].every(([channel, place]) => place.newest === newest.get(channel));
    await new Promise<void>((resolve) => {
      this.#onRead = () => {
        if (isThere()) resolve();
      };
      this.#onRead();
    });
  }

  async #live(): Promise<void> {
    for (const place of this.#places.values()) place.isLive = false;
    const { position } = this.#places.get(this.#home) ?? {};
    const since = position ?? "now";
    const listener = Listener.open(`${this.#url()}/${this.#home}?since=${since}`);
    this.#listener = listener;
    if ((await listener.line()) !== "debug!connected...") throw new Error("not greeted");
    for (const channel of this.#places.keys()) if (channel !== this.#home) this.#resume(channel);
    this.#sayAgain();
    for (;;) this.#take(await listener.line());
  }

  #resume(channel: string): void {
    const { position } = this.#places.get(channel) ?? {};
    this.#say(`unsubscribe ${channel}\nsubscribe ${channel} since ${position ?? "now"}`);
  }

  #sayAgain(): void {
    if (!this.#announcing) return;
    const { key, channel, message } = this.#announcing;
    this.#say(`once ${key} ${channel} ${message}`);
  }

  #say(lines: string): void {
    if (this.#listener?.socket.readyState === this.#listener?.socket.OPEN) this.#listener?.say(`${lines}\n`);
  }

  #take(line: string): void {
    const reply = parseReply(line);
    if (reply.kind === "message") this.#read(reply.channel, reply.message);
    else if (reply.kind === "position") this.#locate(reply.channel, reply.position);
    else if (reply.kind === "gap") this.#missed(line, reply.channel);
    else if (reply.kind === "once") this.#answered(reply.key, reply.position);
    else if (reply.kind === "error") void this.#again(line, reply);
    else this.#record.faults.push(`${this.#name} read '${line}'`);
  }

  #read(channel: string, message: string): void {
    const place = this.#places.get(channel);
    // What comes of 'all' before it has said where it was comes again.
    if (!place?.isLive || place.position === undefined) return;
    place.position += 1;
    place.newest = message;
    this.#record.read += 1;
    this.#record.found(channel, place.position, message);
    this.#onRead();
  }

  #locate(channel: string, position: number): void {
    const place = this.#places.get(channel);
    if (!place) return;
    const was = place.position ?? position;
    if (was !== position && !place.isAfterGap)
      this.#record.faults.push(`${this.#name} was at ${was} of ${channel}, and is told ${position}`);
    if (place.position !== undefined) this.#record.resumed += 1;
    place.position = position;
    place.isLive = true;
    place.isAfterGap = false;
  }

  #missed(line: string, channel: string): void {
    this.#record.gaps.push(line);
    const place = this.#places.get(channel);
    if (place) place.isAfterGap = true;
  }

  #answered(key: string, position: number): void {
    if (this.#announcing?.key !== key) return;
    const { channel, message, answered } = this.#announcing;
    this.#record.found(channel, position, message);
    this.#announcing = undefined;
    answered();
  }

  /** Something failed, and what may be tried again is. */
  async #again(line: string, { code, command }: Refusal): Promise<void> {
    const listener = this.#listener;
    await sleep(Math.random() * PAUSE);
    if (this.#listener !== listener) return;
    if (!isTemporary(code) && code !== "uncertain") this.#record.faults.push(line);
    else if (command === "once") this.#sayAgain();
    else for (const [channel, { isLive }] of this.#places) if (!isLive) this.#resume(channel);
  }
}
