/** Applies backpressure: while pending output exceeds the send budget, the object receives no events. */
import type { Runtime } from "../runtime/runtime.ts";
import { whenReadable } from "./commits.ts";
import type { Connection, Connections } from "./connections.ts";

/** How long clients may take to read half of their pending output, in milliseconds. */
const PATIENCE = 500;
/** How long the object receives no events while clients read but more lines are buffered, in milliseconds. */
const MAX_HOLD = 500;

interface DrainActs {
  /** Closes a slow consumer. */
  close(connection: Connection): void;
  /** Sends buffered lines within the send budget. */
  flush(): void;
}

export class Drain {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #acts: DrainActs;
  #room: Promise<void> | undefined;
  #isConfirming = false;

  constructor(runtime: Runtime, connections: Connections, acts: DrainActs) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#acts = acts;
  }

  /**
   * Sends all buffered lines as clients read earlier ones. For up to about half a second the object receives no events,
   * so that publishers can't outrun subscribers. Closes slow consumers and, if clients don't read half of all pending
   * output in time, those with the most. Judges clients only after a commit, because output that it holds back counts as
   * pending.
   */
  makeRoom(): Promise<void> {
    this.#room ??= this.#runtime
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
    const isAll = this.#connections.due === 0;
    if (!isAll) void this.makeRoom();
    return isAll;
  }

  #send(): void {
    this.#acts.flush();
    this.#confirm();
  }

  /** Waits for a commit if many bytes are unconfirmed. */
  #confirm(): void {
    const { budget } = this.#connections;
    if (this.#isConfirming || !budget.needsConfirmation) return;
    this.#isConfirming = true;
    const { sent } = budget;
    const done = () => {
      this.#isConfirming = false;
    };
    this.#runtime.store
      .sync()
      .then(() => budget.confirm(sent))
      .then(done, done);
  }

  async #drain(): Promise<void> {
    const began = this.#runtime.now();
    do {
      const { budget } = this.#connections;
      const { sent } = budget;
      const isDurable = await whenReadable(this.#runtime, () => this.#connections.slow.length === 0);
      if (isDurable) budget.confirm(sent);
      await this.#closeSlow();
      this.#send();
    } while (this.#connections.isBlocked && this.#runtime.now() < began + MAX_HOLD);
  }

  async #closeSlow(): Promise<void> {
    for (const connection of this.#connections.slow) this.#acts.close(connection);
    const hasDrained = () => this.#connections.hasDrained();
    for (let waited = 0, wait = 1; waited < PATIENCE && !hasDrained(); waited += wait, wait *= 2) {
      await this.#runtime.sleep(wait);
    }
    if (hasDrained()) return;
    for (const connection of this.#connections.slowest) this.#acts.close(connection);
  }
}
