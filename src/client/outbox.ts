/** What is announced and not answered yet: it goes out again, under the same key, until it is. */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import { Refused, type Session } from "./session.ts";

/** Messages that may wait; who announces more has to wait. */
const MOST_WAITING = 1_000;

interface Waiting {
  channel: string;
  text: string;
  key: string;
  /** By which it is under way. */
  by: Session | undefined;
  resolve(position: number | undefined): void;
  reject(error: Error): void;
}

export class Outbox {
  readonly #waiting = new Set<Waiting>();
  #session: Session | undefined;
  /** Set while something was refused for the moment: nothing is to overtake it. */
  #later: ReturnType<typeof setTimeout> | undefined;
  #left: (() => void)[] = [];

  /** Ends when there is room for one more; undefined if there is. */
  room(): Promise<void> | undefined {
    return this.#waiting.size < MOST_WAITING ? undefined : this.#until(MOST_WAITING);
  }

  /** Ends when everything has been answered. */
  emptied(): Promise<void> {
    return this.#until(1);
  }

  /** Ends when fewer than so many wait. */
  async #until(fewer: number): Promise<void> {
    while (this.#waiting.size >= fewer) await new Promise<void>((resolve) => this.#left.push(resolve));
  }

  /** Announces a message, now or when there is a session; see `Session.announce`. */
  announce(channel: string, text: string, key: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { channel, text, key, by: undefined, resolve, reject };
      this.#waiting.add(waiting);
      if (this.#later === undefined) this.#send(waiting);
    });
  }

  /** There is another session, or none. */
  use(session: Session | undefined): void {
    this.#session = session;
    this.#sendAll();
  }

  #sendAll(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    for (const waiting of this.#waiting) this.#send(waiting);
  }

  /** Nothing more will be sent. */
  fail(error: Error): void {
    for (const waiting of this.#waiting) this.#settle(waiting, () => waiting.reject(error));
  }

  #send(waiting: Waiting): void {
    const session = this.#session;
    if (!session || waiting.by === session) return;
    waiting.by = session;
    session.announce(waiting.channel, waiting.text, waiting.key).then(
      (position) => this.#settle(waiting, () => waiting.resolve(position)),
      (error: unknown) => {
        if (error instanceof Refused && !isTemporary(error.code) && error.code !== "uncertain") {
          this.#settle(waiting, () => waiting.reject(error));
        } else if (this.#session === session) {
          waiting.by = undefined;
          this.#later ??= setTimeout(() => this.#sendAll(), backoff(0));
        }
      },
    );
  }

  #settle(waiting: Waiting, settle: () => void): void {
    if (!this.#waiting.delete(waiting)) return;
    settle();
    for (const left of this.#left.splice(0)) left();
  }
}
