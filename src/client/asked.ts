/** Commands whose replies are pending, under the names by which replies tell them: the command and its argument. */
import type { Reply } from "../protocol/replies.ts";

export interface Asked {
  name: string;
  answered(reply: Reply): void;
  failed(error: Error): void;
  /** When it was sent, by the client's clock. */
  at: number;
}

export class AskedCommands {
  readonly #byName = new Map<string, Asked[]>();

  add(asked: Asked): void {
    const before = this.#byName.get(asked.name);
    if (before) before.push(asked);
    else this.#byName.set(asked.name, [asked]);
  }

  /** Takes out the oldest command of this name. */
  take(name: string): Asked | undefined {
    const asked = this.#byName.get(name);
    const first = asked?.shift();
    if (asked?.length === 0) this.#byName.delete(name);
    return first;
  }

  /** Forgets all commands of this name: there will be no reply. */
  forget(name: string): void {
    this.#byName.delete(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Whether a command was sent before that time. */
  hasOlderThan(time: number): boolean {
    for (const [first] of this.#byName.values()) if (first && first.at < time) return true;
    return false;
  }

  /** Fails all commands. */
  fail(error: Error): void {
    const asked = [...this.#byName.values()].flat();
    this.#byName.clear();
    for (const { failed } of asked) failed(error);
  }
}
