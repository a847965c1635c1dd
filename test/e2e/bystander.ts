/** A connection on a server under attack that is not attacked itself, and must not notice anything. */
import { once } from "node:events";
import { expect } from "vitest";
import { WebSocket } from "ws";

/** The channel that attackers are connected to, and the bystander listens to. */
export const ATTACKED = "attacked";
/** The channel that the bystander is connected to. */
export const OWN = "bystander";

/** A server or a runtime. */
export type Served = { readonly url: string };

export class Bystander {
  readonly #server: Served;
  readonly #socket: WebSocket;
  readonly #lines: string[] = [];
  #announced = 0;
  #waits = false;
  #arrived = () => {};

  private constructor(server: Served, socket: WebSocket) {
    this.#server = server;
    this.#socket = socket;
    socket.on("message", (frame) => {
      this.#lines.push(...frame.toString().split("\n").slice(0, -1));
      this.#arrived();
    });
    socket.on("close", () => this.#arrived());
  }

  static async connect(server: Served): Promise<Bystander> {
    const socket = await greeted(server, `/${OWN}`);
    socket.send(`subscribe ${ATTACKED}\nping`);
    await once(socket, "message");
    return new Bystander(server, socket);
  }

  /**
   * Has a newcomer announce one more message on both channels. Ends when the bystander has read it, after
   * exactly those before it.
   */
  async hearsMore(): Promise<void> {
    // Else every test after one that made it miss a message would wait in vain for that.
    if (this.#waits) throw new Error("the bystander still waits for an earlier message");
    this.#waits = true;
    this.#announced += 1;
    const newcomer = await greeted(this.#server, "/");
    newcomer.send(`announce ${OWN} ${this.#announced}\nannounce ${ATTACKED} ${this.#announced}`);
    while (this.#lines.length < 2 * this.#announced && this.#socket.readyState === WebSocket.OPEN) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    this.#waits = false;
    expect(this.#socket.readyState).toBe(WebSocket.OPEN);
    // Between channels no order is promised.
    const numbers = Array.from({ length: this.#announced }, (_, i) => i + 1);
    const expected = [OWN, ATTACKED].flatMap((channel) => numbers.map((number) => `${channel}!${number}`));
    const channelOf = (line: string) => line.slice(0, line.indexOf("!"));
    const byChannel = Map.groupBy(this.#lines, channelOf);
    expect([...(byChannel.get(OWN) ?? []), ...(byChannel.get(ATTACKED) ?? [])]).toEqual(expected);
    expect(this.#lines).toHaveLength(expected.length);
    newcomer.close();
    await once(newcomer, "close");
  }
}

/** A connection that has been greeted. */
async function greeted(server: Served, path: string): Promise<WebSocket> {
  const socket = new WebSocket(server.url + path);
  const [frame] = await once(socket, "message");
  expect(String(frame)).toBe("debug!connected...\n");
  return socket;
}
