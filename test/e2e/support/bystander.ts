/** A connection on a server under attack that is not attacked itself, and must not notice anything. */
import { expect } from "vitest";
import { Listener } from "./listener.ts";

/** The channel that attackers are connected to, and the bystander listens to. */
export const ATTACKED = "attacked";
/** The channel that the bystander is connected to. */
export const OWN = "bystander";

/** A server or a runtime. */
export type Served = { readonly url: string };

export class Bystander {
  readonly #server: Served;
  readonly #listener: Listener;
  #announced = 0;
  #waits = false;

  private constructor(server: Served, listener: Listener) {
    this.#server = server;
    this.#listener = listener;
  }

  static async connect(server: Served): Promise<Bystander> {
    const listener = await Listener.connect(`${server.url}/${OWN}`);
    listener.say(`subscribe ${ATTACKED}`);
    await listener.ping();
    return new Bystander(server, listener);
  }

  /** Has a newcomer announce one more message on both channels. Ends when the bystander has read those two alone. */
  async hearsMore(): Promise<void> {
    // Else every test after one that made it miss a message would wait in vain for that.
    if (this.#waits) throw new Error("the bystander still waits for an earlier message");
    this.#waits = true;
    this.#announced += 1;
    const newcomer = await Listener.connect(this.#server.url, { closeTimeout: 30_000 });
    newcomer.say(`announce ${OWN} ${this.#announced}\nannounce ${ATTACKED} ${this.#announced}`);
    // Between channels no order is promised.
    const expected = [ATTACKED, OWN].map((channel) => `${channel}!${this.#announced}`);
    expect((await this.#listener.read(2)).sort()).toEqual(expected);
    this.#waits = false;
    newcomer.socket.close();
    await newcomer.closed;
  }
}
