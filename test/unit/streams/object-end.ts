/** An object's end of a Worker's connection, controlled by a test. */
import type { Budget } from "../../../src/streams/backlog.ts";
import { type Ending, ObjectConnection } from "../../../src/streams/object-connection.ts";
import type { Time } from "../../simulation/streams/time.ts";

export class ObjectEnd {
  readonly connection: ObjectConnection;
  /** Frames of the Worker that the test hasn't read. */
  #sent: string[] = [];
  /** Whether the Worker has closed the connection. */
  isClosed = false;

  constructor(time: Time, budget: Budget) {
    const close = () => {
      this.isClosed = true;
    };
    this.connection = new ObjectConnection({ send: (text) => void this.#sent.push(text), close }, time, budget);
  }

  /** Sends text to the Worker, and lets it react. */
  async send(text: string): Promise<void> {
    this.connection.received(text);
    await settle();
  }

  async end(ending: Ending): Promise<void> {
    this.connection.end(ending);
    await settle();
  }

  /** Returns the frames that the Worker has sent since the last call. */
  sent(): string[] {
    return this.#sent.splice(0);
  }
}

/** Advances the clock, and fires timers. */
export async function pass(time: Time, milliseconds: number): Promise<void> {
  const until = time.now() + milliseconds;
  for (let next = time.next; next && next.at <= until; next = time.next) {
    next.fire();
    await settle();
  }
  time.pass(until - time.now());
}

/** Runs everything that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}
