/**
 * A client that stops reading, among others that do not, and a publisher that waits for all but that one.
 *
 * The others are read by this process, which on a busy machine takes its time, as the server must not forgive:
 * so the publisher never is further ahead of the slowest of them than what may well wait for a good reader.
 */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { hasEnded, Listener } from "./support/listener.ts";
import { memoryOf } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";

const LISTENERS = 100;
/** Megabytes for each listener; many times what may wait for one. */
const MEGABYTES = Number(process.env.SLOW_MEGABYTES ?? 20);
const message = "x".repeat(50_000);
const MESSAGES = (MEGABYTES * 1e6) / message.length;
const LINE = "flood!".length + message.length + 1;
/** Messages that a good reader may be behind: 1 MB, a quarter of what may wait for one. */
const AHEAD = 20;
/** Most of the runtime's memory that this may take, in KiB: a small part of the 2 GB that are delivered. */
const BOUND = 400_000;

/** Counts what one client has read. */
class Reader {
  readonly #listener: Listener;
  #read = 0;
  #noticed = () => {};

  constructor(listener: Listener) {
    this.#listener = listener;
    listener.count((characters) => {
      this.#read += characters;
      this.#noticed();
    });
    void listener.closed.then(() => this.#noticed());
  }

  /** Characters read so far. */
  get read(): number {
    return this.#read;
  }

  /**
   * Ends when so many characters have been read.
   * @throws Error with the code and the reason, if the connection ends before
   */
  async hasRead(characters: number): Promise<void> {
    while (this.#read < characters) {
      if (this.#listener.closing) throw hasEnded(this.#listener.closing);
      await new Promise<void>((resolve) => {
        this.#noticed = resolve;
      });
    }
  }
}

test(`of ${LISTENERS + 1} clients, one that does not read ${MEGABYTES} MB is closed, and the others miss nothing`, {
  timeout: 300_000,
}, async () => {
  const runtime = await serveInTest();
  const connect = () => Listener.connect(`${runtime.url}/flood`);
  const [sleeper, publisher] = [await connect(), await connect()];
  publisher.say("unsubscribe flood");
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, connect));
  const readers = listeners.map((listener) => new Reader(listener));
  const before = await memoryOf(runtime.pid);
  sleeper.socket.pause();

  let most = 0;
  for (let sent = 1; sent <= MESSAGES; sent += 1) {
    publisher.say(`announce flood ${message}`);
    for (const reader of readers) await reader.hasRead((sent - AHEAD) * LINE);
    most = Math.max(most, await memoryOf(runtime.pid));
  }
  for (const reader of readers) await reader.hasRead(MESSAGES * LINE);
  for (const reader of readers) expect(reader.read).toBe(MESSAGES * LINE);
  console.log(`memory of the runtime: ${before} KiB before, at most ${most} KiB`);
  expect(most - before).toBeLessThan(BOUND);

  // If it had not been closed, it would be answered, whatever it has missed: it asks again with each frame.
  sleeper.socket.on("message", () => sleeper.say("ping"));
  sleeper.socket.resume();
  await expect(sleeper.ping().then((before) => `${before.length} lines`)).rejects.toThrow(
    "closed (1013 unavailable: the client reads too slowly, so messages would be missing; connect again)",
  );
  for (const { socket } of listeners) expect(socket.readyState).toBe(WebSocket.OPEN);
});
