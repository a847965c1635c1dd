/** Listeners: most only count what they receive, and some check it. */
import type { Flow, Publisher } from "./flow.ts";
import { channelOf, numberOf, publisherOf, renumber } from "./message.ts";
import type { Connection } from "./websocket.ts";

/** Counts bytes, because all lines of a channel have the same length. */
export class Counter {
  protected bytes = 0;
  readonly #flows: Flow[];

  constructor(connection: Connection, flows: Flow[]) {
    this.#flows = flows;
    connection.onReceive = (bytes, from, to) => this.receive(bytes, from, to);
  }

  begin(): void {
    this.bytes = 0;
  }

  /** @throws Error unless exactly the bytes sent have been received */
  check(): void {
    const sent = this.#flows.reduce((sum, flow) => sum + flow.sent * flow.lineLength, 0);
    if (this.bytes !== sent) throw new Error(`a subscriber received ${this.bytes} bytes instead of ${sent}`);
  }

  protected receive(_bytes: Buffer, from: number, to: number): void {
    this.bytes += to - from;
    this.#flows[0]?.receive(to - from);
  }
}

/** Checks that each line is whole and the next one due, and measures how long it took. */
export class Witness extends Counter {
  readonly #crowd: Flow[];
  readonly #next = new Map<Publisher, number>();
  readonly #line: Buffer;
  readonly #messageAt: number;
  #filled = 0;

  /** @param crowd every channel, by its index */
  constructor(connection: Connection, flows: Flow[], crowd: Flow[]) {
    super(connection, flows);
    this.#crowd = crowd;
    this.#line = Buffer.alloc(crowd[0]?.lineLength ?? 0);
    this.#messageAt = crowd[0]?.messageAt ?? 0;
  }

  override begin(): void {
    super.begin();
    this.#next.clear();
  }

  protected override receive(bytes: Buffer, from: number, to: number): void {
    const now = performance.now();
    this.bytes += to - from;
    for (let at = from; at < to; ) {
      const copied = bytes.copy(this.#line, this.#filled, at, to);
      at += copied;
      this.#filled += copied;
      if (this.#filled < this.#line.length) return;
      this.#filled = 0;
      this.#read(now);
    }
  }

  #read(now: number): void {
    const line = this.#line;
    const flow = this.#crowd[channelOf(line, this.#messageAt)];
    const publisher = flow?.publishers[publisherOf(line, this.#messageAt)];
    const number = numberOf(line, this.#messageAt);
    const sentAt = publisher?.sentAt[number];
    if (!flow || !publisher || sentAt === undefined) throw new Error(`this line was never sent: ${line}`);
    const due = this.#next.get(publisher) ?? 0;
    this.#next.set(publisher, due + 1);
    if (number !== due) throw new Error(`message ${due} was due on ${flow.channel}, but ${number} came`);
    renumber(line, this.#messageAt, 0);
    if (!line.equals(publisher.line)) throw new Error(`this line is garbled: ${line}`);
    flow.meter.note(flow.meter.latencies, sentAt, now);
    flow.receive(line.length);
  }
}
