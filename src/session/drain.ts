/** Sends gathered lines to clients within the object's memory budget, and closes clients that read too slowly. */
import type { Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import type { Router } from "../tree/router.ts";
import { whenTaken } from "./commits.ts";
import type { Connections } from "./connections.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Pace } from "./pace.ts";
import type { Tokens } from "./tokens.ts";

/** How long clients may take to read half of the pending output, in milliseconds. */
const PATIENCE = 500;
/** How long no event comes in while clients read but more output is due, in milliseconds. */
const MAX_HOLD = 500;

interface DrainParts {
  runtime: Runtime;
  connections: Connections;
  lifecycle: Lifecycle;
  tokens: Tokens;
  router: Router;
  pace: Pace;
  schedule: Pick<Schedule, "stay">;
}

export class Drain {
  readonly #parts: DrainParts;
  #room: Promise<void> | undefined;
  #isConfirming = false;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** The number of sockets, at most, for which lines are gathered. */
  get dueSockets(): number {
    return this.#parts.connections.due;
  }

  /** Sends gathered lines to clients and links; returns whether there was room for all of them. */
  send(): boolean {
    const isAll = this.flush();
    this.#parts.router.flush();
    return isAll;
  }

  /** Resolves when other clients' events could come in. */
  letIn(): Promise<void> {
    return this.#parts.pace.letIn();
  }

  /** Flushes early if much is gathered. Sending takes time, which slows a flood down. */
  flushIfLarge(): void {
    if (this.#parts.connections.isMuch) this.flush();
  }

  /**
   * Sends what is due as clients read what was sent before. No event comes in until everything is sent, or for half a
   * second: publishers have to wait for readers. Slow connections are closed; if clients don't read half of the pending
   * output in time, those with the most pending are closed. Frames held back by a commit count as pending, so no client
   * is judged before the commit.
   */
  makeRoom(): Promise<void> {
    this.#room ??= this.#parts.runtime
      .hold(() => this.#drain())
      .finally(() => {
        this.#room = undefined;
      });
    return this.#room;
  }

  /** Sends what is due as far as there is room; returns whether that was everything. Else it makes room. */
  flush(): boolean {
    this.#send();
    const isAll = this.#parts.connections.due === 0;
    if (!isAll) void this.makeRoom();
    return isAll;
  }

  /** Messages are stored before clients get them, and expired connections get nothing more. */
  #send(): void {
    const { connections, lifecycle, tokens, router, schedule } = this.#parts;
    if (tokens.closeExpired()) schedule.stay();
    router.store();
    for (const connection of connections.writeAttachments()) lifecycle.closeUnkept(connection);
    connections.flush();
    this.#confirm();
  }

  /** After much output, finds out when it has left the object. */
  #confirm(): void {
    const { runtime, connections } = this.#parts;
    const { waiting } = connections;
    if (this.#isConfirming || !waiting.isDoubtful) return;
    this.#isConfirming = true;
    const { sent } = waiting;
    const done = () => {
      this.#isConfirming = false;
    };
    runtime.store
      .sync()
      .then(() => waiting.confirm(sent))
      .then(done, done);
  }

  async #drain(): Promise<void> {
    const { runtime, connections } = this.#parts;
    const began = runtime.now();
    do {
      const { waiting } = connections;
      const { sent } = waiting;
      const isDurable = await whenTaken(runtime, () => connections.slow.length === 0);
      if (isDurable) waiting.confirm(sent);
      await this.#untilDrained();
      this.#send();
    } while (connections.areHeld && runtime.now() < began + MAX_HOLD);
  }

  async #untilDrained(): Promise<void> {
    const { runtime, connections, lifecycle } = this.#parts;
    for (const connection of connections.slow) lifecycle.closeSlow(connection);
    const hasDrained = () => connections.hasDrained();
    for (let waited = 0, wait = 1; waited < PATIENCE && !hasDrained(); waited += wait, wait *= 2) {
      await runtime.sleep(wait);
    }
    if (hasDrained()) return;
    for (const connection of connections.tooSlow) lifecycle.closeSlow(connection);
  }
}
