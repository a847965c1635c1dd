/** Sends buffered lines within the send budget, applies backpressure while it is used up, and closes slow consumers. */
import { sleepUntil, whenReadable } from "./commits.ts";
import type { Pace } from "./pace.ts";
import type { TokenParts, Tokens } from "./tokens.ts";

/** How long clients may take to read half of their pending output, in milliseconds. */
const PATIENCE = 500;
/** How long the object receives no events while clients read but more lines are buffered, in milliseconds. */
const MAX_HOLD = 500;

export interface DrainParts extends TokenParts {
  readonly tokens: Tokens;
  readonly pace: Pace;
}

export class Drain {
  readonly #parts: DrainParts;
  #room: Promise<void> | undefined;
  #isConfirming = false;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Sends buffered lines to clients and links, and returns whether clients had room for all of them. */
  send(): boolean {
    const isAll = this.flush();
    this.#parts.router.downstream.flush();
    return isAll;
  }

  /** Flushes early if many lines are buffered. Sending takes time, which slows a flood down. */
  flushIfLarge(): void {
    if (this.#parts.connections.shouldFlush) this.flush();
  }

  /**
   * Sends all buffered lines as clients read earlier ones. For up to about half a second the object receives no events,
   * so that publishers can't outrun subscribers. Closes slow consumers and, if clients don't read half of all pending
   * output in time, those with the most. Judges clients only after a commit, because output that it holds back counts as
   * pending.
   */
  makeRoom(): Promise<void> {
    this.#room ??= this.#parts.runtime
      .hold(() => this.#drain())
      .finally(() => {
        this.#room = undefined;
      });
    return this.#room;
  }

  /**
   * Sends buffered lines within the send budget, then applies backpressure until the rest is sent.
   * @returns whether that was all
   */
  flush(): boolean {
    this.#send();
    const isAll = this.#parts.connections.due === 0;
    if (!isAll) void this.makeRoom();
    return isAll;
  }

  /** Closes expired connections and stores messages before anything is sent. */
  #send(): void {
    const { connections, lifecycle, tokens, router, presence } = this.#parts;
    tokens.closeExpired();
    presence.flush();
    router.channel.store();
    for (const connection of connections.writeAttachments()) {
      // It would receive nothing after hibernation.
      lifecycle.close(connection, "unkept", "the server can't store this connection's subscriptions; connect again");
    }
    connections.flush();
    void this.#confirm();
  }

  /** Waits for a commit if many bytes are unconfirmed. */
  async #confirm(): Promise<void> {
    const { runtime, connections } = this.#parts;
    const { budget } = connections;
    if (this.#isConfirming || !budget.needsConfirmation) return;
    this.#isConfirming = true;
    const { sent } = budget;
    const commit = runtime.store.sync().then(() => budget.confirm(sent));
    await commit.catch(() => {});
    this.#isConfirming = false;
  }

  async #drain(): Promise<void> {
    const { runtime, connections, lifecycle } = this.#parts;
    const { budget } = connections;
    const hasDrained = () => connections.hasDrained();
    const began = runtime.now();
    do {
      const { sent } = budget;
      const isDurable = await whenReadable(runtime, () => connections.slow.length === 0);
      if (isDurable) budget.confirm(sent);
      for (const connection of connections.slow) lifecycle.closeSlow(connection);
      await sleepUntil(runtime, PATIENCE, hasDrained);
      for (const connection of hasDrained() ? [] : connections.slowest) lifecycle.closeSlow(connection);
      this.#send();
    } while (connections.isBlocked && runtime.now() < began + MAX_HOLD);
  }
}
