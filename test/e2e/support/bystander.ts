/** A connection to a server under attack, which must not be affected. */

import { expect } from "vitest";
import { byChannel } from "../../by-channel.ts";
import { TestClient } from "./test-client.ts";

/** The channel that attackers connect to, and that the bystander subscribes to. */
export const ATTACKED = "attacked";
/** The channel that the bystander connects to. */
export const OWN = "bystander";

/** A server or a runtime. */
export type Served = { readonly url: string };

export class Bystander {
  readonly #server: Served;
  readonly #client: TestClient;
  #announced = 0;
  #isWaiting = false;

  private constructor(server: Served, client: TestClient) {
    this.#server = server;
    this.#client = client;
  }

  static async connect(server: Served): Promise<Bystander> {
    const client = await TestClient.connect(`${server.url}/${OWN}`);
    client.send(`subscribe ${ATTACKED}`);
    await client.ping();
    return new Bystander(server, client);
  }

  /** Has a new client announce a message on each of the two channels, and checks that the bystander receives exactly those. */
  async receivesMore(): Promise<void> {
    // If the bystander missed a message in an earlier test, fail at once instead of timing out.
    if (this.#isWaiting) throw new Error("the bystander is still waiting for an earlier message");
    this.#isWaiting = true;
    this.#announced += 1;
    const newcomer = await TestClient.connect(this.#server.url, { closeTimeout: 30_000 });
    newcomer.send(`announce ${OWN} ${this.#announced}\nannounce ${ATTACKED} ${this.#announced}`);
    const expected = { [ATTACKED]: [`${this.#announced}`], [OWN]: [`${this.#announced}`] };
    expect(byChannel(await this.#client.read(2))).toEqual(expected);
    this.#isWaiting = false;
    newcomer.socket.close();
    await newcomer.closed;
  }
}
