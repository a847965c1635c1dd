/** A slow client of the original protocol: it records what it receives, announces, and connects again when it has to. */
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Dice } from "../dice.ts";
import { dial } from "../tcp.ts";

/** A connection, and what the client knows of it. */
class Connection {
  readonly index: number;
  /** How many messages were announced for certain before it connected. */
  readonly before: number;
  /** How many had been sent when its subscription had taken effect. */
  subscribed: number | undefined;
  /** The numbers of the messages that the client received, in order. */
  readonly received: number[] = [];
  /** How many messages the client has announced, and how many of them have taken effect. */
  announced = 0;
  settled = 0;
  /** Other lines, such as errors. */
  readonly others: string[] = [];

  constructor(index: number, before: number) {
    this.index = index;
    this.before = before;
  }

  /** The newest message that the client received, or before which its subscription began. */
  get newest(): number | undefined {
    return this.received.at(-1) ?? this.subscribed;
  }

  /** Returns what is wrong with the received messages: they are consecutive, from the subscription on. */
  receivedFaults(): string[] {
    const first = this.received[0] ?? this.before + 1;
    const faults = this.others.map((line) => `received '${line}'`);
    if (first <= this.before) faults.push(`received ${first}, which was announced before it connected`);
    const next = (this.subscribed ?? Number.POSITIVE_INFINITY) + 1;
    if (first > next) faults.push(`began with ${first} instead of ${next}`);
    for (const [i, number] of this.received.entries()) {
      const previous = this.received[i - 1] ?? number - 1;
      if (number !== previous + 1) faults.push(`received ${number} after ${previous}`);
    }
    return faults;
  }

  /** Returns what is wrong with the numbers of its announcements, as a subscriber received them. */
  announcedFaults(numbers: number[]): string[] {
    const isExact = numbers.every((number, i) => number === i + 1);
    if (isExact && numbers.length >= this.settled && numbers.length <= this.announced) return [];
    return [`announced up to ${this.announced}, of which ${this.settled} had taken effect: ${numbers}`];
  }
}

export interface Surroundings {
  /** The bridge's address. */
  address: string;
  /** The channel that it subscribes to, and the one on which it announces `<name> <connection> <number>`. */
  channel: string;
  own: string;
  dice: Dice;
  /** How many messages on `channel` have been sent, and how many are announced for certain. */
  messages: { readonly sent: number; readonly announced: number };
}

export class TcpRecorder {
  readonly connections: Connection[] = [];
  readonly name: string;
  /** Resolves when its newest connection has ended. */
  closed: Promise<unknown> = Promise.resolve();
  readonly #surroundings: Surroundings;
  #isStopped = false;
  #isSilent = false;
  #socket: Socket | undefined;

  constructor(name: string, surroundings: Surroundings) {
    this.name = name;
    this.#surroundings = surroundings;
  }

  /** Connects again and again until it is stopped. @param onEnd called when a connection has ended */
  async run(onEnd: () => void): Promise<void> {
    const { address, messages, dice } = this.#surroundings;
    while (!this.#isStopped) {
      await sleep(dice.below(200));
      const before = messages.announced;
      const socket = await dial(address).catch(() => undefined);
      if (!socket) continue;
      this.closed = new Promise((resolve) => {
        socket.once("close", resolve);
      });
      this.#record(socket, new Connection(this.connections.length, before));
      await this.closed;
      if (!this.#isStopped) onEnd();
    }
  }

  /** Announces nothing more; resolves when it has received the newest message, and its announcements are settled. */
  async settle(newest: number): Promise<void> {
    this.#isSilent = true;
    const connection = () => this.connections.at(-1);
    await expect.poll(() => connection()?.newest, { timeout: 100_000 }).toBe(newest);
    const unsettled = () => Number(connection()?.announced) - Number(connection()?.settled);
    await expect.poll(unsettled, { timeout: 100_000 }).toBe(0);
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.destroy();
  }

  /** Returns broken promises. @param texts what a subscriber received on the client's own channel */
  faults(texts: string[]): string[] {
    return this.connections.flatMap((connection) => {
      const prefix = `${this.name} ${connection.index} `;
      const own = texts.filter((text) => text.startsWith(prefix)).map((text) => Number(text.slice(prefix.length)));
      const faults = [...connection.receivedFaults(), ...connection.announcedFaults(own)];
      return faults.map((fault) => `bridged: ${prefix}${fault}`);
    });
  }

  #record(socket: Socket, connection: Connection): void {
    const { channel, messages } = this.#surroundings;
    this.connections.push(connection);
    this.#socket = socket;
    const message = new RegExp(`^${channel}!(\\d+) `);
    const lines = createInterface({ input: socket });
    // Both report a lost connection.
    for (const each of [socket, lines]) each.on("error", () => {});
    lines.on("line", (line) => {
      const number = message.exec(line)?.[1];
      if (number !== undefined) connection.received.push(Number(number));
      else if (/^\d{10}$/.test(line)) {
        connection.subscribed ??= messages.sent;
        connection.settled = connection.announced;
        void this.#announce(socket, connection);
      } else if (line !== "debug!connected...") connection.others.push(line);
    });
    socket.write(`subscribe ${channel}\nping\n`);
  }

  /** Reads nothing for a while; then announces the next message, and asks whether it has taken effect. */
  async #announce(socket: Socket, connection: Connection): Promise<void> {
    const { own, dice } = this.#surroundings;
    socket.pause();
    await sleep(dice.below(200));
    socket.resume();
    if (this.#isSilent || !socket.writable) return;
    connection.announced += 1;
    socket.write(`announce ${own} ${this.name} ${connection.index} ${connection.announced}\nping\n`);
  }
}
