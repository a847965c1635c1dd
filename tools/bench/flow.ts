/** One channel under load, with a given number of messages in flight. */
import { firstMessage, renumber } from "./message.ts";
import type { Protocol } from "./protocol.ts";
import type { Connection } from "./websocket.ts";

/** The times measured in a run, in milliseconds. */
export class Meter {
  /** Messages sent earlier are not measured. */
  from = Number.POSITIVE_INFINITY;
  /** From sending to receiving, for some of the subscribers. */
  readonly latencies: number[] = [];
  /** From sending until the last subscriber has the message; only known for one message at a time. */
  readonly rounds: number[] = [];

  note(times: number[], sentAt: number, now: number): void {
    if (sentAt >= this.from) times.push(now - sentAt);
  }
}

/** A connection that announces on one channel. */
export class Publisher {
  readonly sentAt: number[] = [];
  /** What subscribers receive for its first message. */
  readonly line: Buffer;
  readonly #connection: Connection;
  readonly #frame: Buffer;
  readonly #messageAt: number;

  constructor(flow: Flow, index: number, connection: Connection) {
    const message = firstMessage(flow.index, index);
    this.line = flow.protocol.delivery(flow.channel, message);
    this.#connection = connection;
    this.#frame = flow.protocol.announcement(flow.channel, message);
    this.#messageAt = this.#frame.indexOf(message);
  }

  send(count: number): void {
    const size = this.#frame.length;
    const frames = Buffer.allocUnsafe(count * size);
    const now = performance.now();
    for (let at = 0; at < frames.length; at += size) {
      this.#frame.copy(frames, at);
      renumber(frames, at + this.#messageAt, this.sentAt.length);
      this.sentAt.push(now);
    }
    this.#connection.write(frames);
  }
}

export class Flow {
  readonly protocol: Protocol;
  readonly index: number;
  readonly channel: string;
  /** The length of a line, and the offset of the message in it. */
  readonly lineLength: number;
  readonly messageAt: number;
  /** Connections that may announce here. */
  readonly announcing: Connection[] = [];
  subscribers = 0;
  meter = new Meter();
  publishers: Publisher[] = [];
  #turn = 0;
  #window = 0;
  #sent = 0;
  /** Bytes received by all subscribers, and the number at which more is sent. */
  #received = 0;
  #due = Number.POSITIVE_INFINITY;
  #allReceived = () => {};

  constructor(protocol: Protocol, index: number, channel: string) {
    this.protocol = protocol;
    this.index = index;
    this.channel = channel;
    const line = protocol.delivery(channel, firstMessage(index, 0));
    this.lineLength = line.length;
    this.messageAt = line.indexOf(firstMessage(index, 0));
  }

  /** Messages sent since `begin`. */
  get sent(): number {
    return this.#sent;
  }

  /** Messages received since `begin`, over all subscribers. */
  get deliveries(): number {
    return this.#received / this.lineLength;
  }

  /** Starts a run. Everything sent before must have been received. */
  begin(publishers: number, meter: Meter): void {
    const announcing = this.announcing.slice(0, publishers);
    this.publishers = announcing.map((connection, index) => new Publisher(this, index, connection));
    this.meter = meter;
    this.#sent = 0;
    this.#received = 0;
    this.#window = 0;
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** Keeps `window` messages in flight from now on. */
  keepInFlight(window: number): void {
    this.#window = window;
    this.#send(window - this.#sent);
  }

  /** Sends a message every `interval` milliseconds, whatever is in flight; returns how to stop that. */
  sendSteadily(interval: number): () => void {
    const began = performance.now();
    const timer = setInterval(() => {
      const due = Math.round((performance.now() - began) / interval);
      if (due > this.#sent) this.#send(due - this.#sent);
    }, interval);
    return () => clearInterval(timer);
  }

  /** Stops sending; resolves when everything has been received. */
  async end(): Promise<void> {
    this.#window = 0;
    this.#due = this.#sent * this.#load;
    if (this.#received < this.#due) {
      await new Promise<void>((resolve) => {
        this.#allReceived = resolve;
      });
    }
  }

  receive(bytes: number): void {
    this.#received += bytes;
    if (this.#received >= this.#due) this.#sendMore();
  }

  /** Bytes that all subscribers together receive for one message. */
  get #load(): number {
    return this.lineLength * this.subscribers;
  }

  #sendMore(): void {
    if (this.#window === 0) {
      this.#allReceived();
      return;
    }
    const { rounds } = this.meter;
    const [publisher] = this.publishers;
    if (this.#window === 1) this.meter.note(rounds, publisher?.sentAt.at(-1) ?? 0, performance.now());
    this.#send(Math.floor(this.#received / this.#load) + this.#window - this.#sent);
  }

  /** Sends messages, from each publisher in turn; those from one publisher are sent together. */
  #send(count: number): void {
    const each = Math.ceil(count / this.publishers.length);
    for (let left = count; left > 0; left -= each) {
      this.publishers[this.#turn++ % this.publishers.length]?.send(Math.min(each, left));
    }
    this.#sent += count;
    this.#due = this.#window > 0 ? (this.#sent - this.#window + 1) * this.#load : Number.POSITIVE_INFINITY;
  }
}
