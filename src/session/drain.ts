/** Room for more, where what waits for all clients together is as much as memory there is for it. */
import type { Runtime } from "../runtime/runtime.ts";
import { whenTaken } from "./commits.ts";
import type { Connection, Connections } from "./connections.ts";

/** The longest that clients may take for half of what waits for them, in milliseconds. */
const PATIENCE = 500;
/** For so long nothing comes in, in milliseconds, where clients do take it, but there is more. */
const LONGEST = 500;

interface DrainActs {
  /** Closes a connection that reads too slowly. */
  close(connection: Connection): void;
  /** Sends what is due, as far as there is room. */
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
   * Sends what is due as clients take what was sent before. Nothing comes in until all is sent, or for half a second:
   * whoever says more than others read has to wait. Those that are slow are closed, and where clients don't take half
   * of what waits for all in time, those for whom most waits. Frames that a commit holds back count as waiting, so
   * nobody is judged before the commit.
   */
  makeRoom(): Promise<void> {
    this.#room ??= this.#runtime
      .hold(() => this.#wait())
      .finally(() => {
        this.#room = undefined;
      });
    return this.#room;
  }

  /** Sends what is due, as far as there is room; says whether that was all. Else nothing more comes in until it is. */
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

  /** Finds out, where much has been sent, when it has left this object. */
  #confirm(): void {
    const { waiting } = this.#connections;
    if (this.#isConfirming || !waiting.isDoubtful) return;
    this.#isConfirming = true;
    const { sent } = waiting;
    const done = () => {
      this.#isConfirming = false;
    };
    this.#runtime.store
      .sync()
      .then(() => waiting.confirm(sent))
      .then(done, done);
  }

  async #wait(): Promise<void> {
    const began = this.#runtime.now();
    do {
      const { waiting } = this.#connections;
      const { sent } = waiting;
      const isDurable = await whenTaken(this.#runtime, () => this.#connections.slow.length === 0);
      if (isDurable) waiting.confirm(sent);
      await this.#untilDrained();
      this.#send();
    } while (this.#connections.areHeld && this.#runtime.now() < began + LONGEST);
  }

  async #untilDrained(): Promise<void> {
    for (const connection of this.#connections.slow) this.#acts.close(connection);
    const hasDrained = () => this.#connections.hasDrained();
    for (let waited = 0, wait = 1; waited < PATIENCE && !hasDrained(); waited += wait, wait *= 2) {
      await this.#runtime.sleep(wait);
    }
    if (hasDrained()) return;
    for (const connection of this.#connections.tooSlow) this.#acts.close(connection);
  }
}
