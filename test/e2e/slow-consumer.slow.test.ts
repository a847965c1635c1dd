/**
 * One client that stops reading, among others that don't, and a publisher that waits for all the others.
 *
 * This process reads for the others too, and may be slow on a busy machine, which the server would punish. So the
 * publisher never gets further ahead of the slowest of them than a good reader may fall behind.
 */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { memoryOf } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";
import { hasEnded, TestClient } from "./support/test-client.ts";

const CLIENTS = 100;
/** Megabytes for each client, many times what the server buffers for one. */
const MEGABYTES = Number(process.env.SLOW_MEGABYTES ?? 20);
const message = "x".repeat(50_000);
const MESSAGES = (MEGABYTES * 1e6) / message.length;
const LINE = "flood!".length + message.length + 1;
/** Messages that a good reader may be behind: 1 MB, a quarter of what the server buffers. */
const AHEAD = 20;
/** Maximum growth of the runtime's memory, in KiB: five times the 32 MB that may be pending; the runtime needs half. */
const BOUND = (5 * 32_000_000) / 1_024;

/** Counts the characters that a client has received. */
class Reader {
  readonly #client: TestClient;
  #read = 0;
  #noticed = () => {};

  constructor(client: TestClient) {
    this.#client = client;
    client.count((characters) => {
      this.#read += characters;
      this.#noticed();
    });
    void client.closed.then(() => this.#noticed());
  }

  /** Characters received so far. */
  get read(): number {
    return this.#read;
  }

  /**
   * Waits until this many characters have been received.
   * @throws Error with the code and the reason, if the connection ends first
   */
  async hasRead(characters: number): Promise<void> {
    while (this.#read < characters) {
      if (this.#client.closing) throw hasEnded(this.#client.closing);
      await new Promise<void>((resolve) => {
        this.#noticed = resolve;
      });
    }
  }
}

test(`one of ${CLIENTS + 1} clients leaves ${MEGABYTES} MB unread and is closed, and the others miss nothing`, {
  tags: ["slow-closed"],
  timeout: 300_000,
}, async () => {
  const runtime = await serveInTest();
  const connect = () => TestClient.connect(`${runtime.url}/flood`);
  const [sleeper, publisher] = [await connect(), await connect()];
  publisher.send("unsubscribe flood");
  const clients = await Promise.all(Array.from({ length: CLIENTS }, connect));
  const readers = clients.map((client) => new Reader(client));
  const before = await memoryOf(runtime.pid);
  sleeper.socket.pause();

  let most = 0;
  for (let sent = 1; sent <= MESSAGES; sent += 1) {
    publisher.send(`announce flood ${message}`);
    for (const reader of readers) await reader.hasRead((sent - AHEAD) * LINE);
    most = Math.max(most, await memoryOf(runtime.pid));
  }
  for (const reader of readers) await reader.hasRead(MESSAGES * LINE);
  for (const reader of readers) expect(reader.read).toBe(MESSAGES * LINE);
  console.log(`runtime memory: ${before} KiB before, peak ${most} KiB`);
  expect(most - before).toBeLessThan(BOUND);

  // If it were still open, one of these pings would get a reply, even if messages were lost.
  sleeper.socket.on("message", () => sleeper.send("ping"));
  sleeper.socket.resume();
  await expect(sleeper.ping().then((before) => `${before.length} lines`)).rejects.toThrow(
    "closed (1013 unavailable: the client reads too slowly, so messages would be missing; connect again)",
  );
  for (const { socket } of clients) expect(socket.readyState).toBe(WebSocket.OPEN);
});
