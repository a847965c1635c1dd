/** Room for more, where what waits for all clients together is as much as memory there is for it. */
import type { World } from "../links/world.ts";
import type { Connection, Connections } from "../sockets/connections.ts";

/** The last and longest wait of those that double from one on, in milliseconds: half a second in all. */
const LONGEST = 256;

export class Drain {
  readonly #world: World;
  readonly #connections: Connections;
  readonly #close: (connection: Connection) => void;
  #room: Promise<void> | undefined;

  /** @param close closes a connection that reads too slowly */
  constructor(world: World, connections: Connections, close: (connection: Connection) => void) {
    this.#world = world;
    this.#connections = connections;
    this.#close = close;
  }

  /**
   * Resolves when clients have taken half of what may wait for all. Nothing comes in until then, so whoever
   * says more than others read has to wait. In time those for whom most waits are closed instead.
   */
  makeRoom(): Promise<void> {
    this.#room ??= this.#world
      .hold(() => this.#wait())
      .finally(() => {
        this.#room = undefined;
      });
    return this.#room;
  }

  async #wait(): Promise<void> {
    for (let wait = 1; wait <= LONGEST && !this.#connections.hasDrained(); wait *= 2) {
      await this.#world.sleep(wait);
    }
    if (this.#connections.hasDrained()) return;
    for (const connection of this.#connections.tooSlow) this.#close(connection);
  }
}
