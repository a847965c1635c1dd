/** A client that stops reading, among others that do not, and a publisher that waits for nobody. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { Listener } from "./listener.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

const LISTENERS = 100;
/** Megabytes for each listener; many times what may wait for one. */
const MEGABYTES = Number(process.env.SLOW_MEGABYTES ?? 20);
const message = "x".repeat(50_000);
const MESSAGES = (MEGABYTES * 1e6) / message.length;
const LINE = "flood!".length + message.length + 1;
/** Most of the runtime's memory that this may take, in KiB: far less than even a tenth of what is delivered. */
const BOUND = 400_000;

test(`of ${LISTENERS + 1} clients, one that does not read ${MEGABYTES} MB is closed, and the others miss nothing`, {
  timeout: 300_000,
}, async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const runtime = await startRuntime(await bundle(folder), folder);
  onTestFinished(runtime.kill);
  const connect = async () => (await Listener.connect(`${runtime.url}/flood`)).socket;
  const [sleeper, publisher] = [await connect(), await connect()];
  publisher.send("unsubscribe flood");
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, () => connect()));
  const before = await memoryOf(runtime.pid);
  sleeper.pause();
  const closed = once(sleeper, "close");

  let most = 0;
  const watching = setInterval(async () => {
    most = Math.max(most, await memoryOf(runtime.pid));
  }, 100);
  const read = listeners.map((listener) => charactersOf(listener, MESSAGES * LINE));
  for (let sent = 0; sent < MESSAGES; sent += 1) {
    publisher.send(`announce flood ${message}`);
    if (publisher.bufferedAmount > 1e6) await new Promise(setImmediate);
  }
  for (const characters of await Promise.all(read)) expect(characters).toBe(MESSAGES * LINE);
  clearInterval(watching);
  console.log(`memory of the runtime: ${before} KiB before, at most ${most} KiB`);
  expect(most - before).toBeLessThan(BOUND);

  sleeper.resume();
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([
    1013,
    "messages would be missing: you read too slowly; connect again",
  ]);
  for (const listener of listeners) expect(listener.readyState).toBe(WebSocket.OPEN);
});

/** How many characters a client has read, once that is `enough`; fails if it is closed before. */
function charactersOf(socket: WebSocket, enough: number): Promise<number> {
  let read = 0;
  return new Promise((resolve, reject) => {
    socket.on("message", (frame: Buffer) => {
      read += frame.length;
      if (read >= enough) resolve(read);
    });
    socket.on("close", (code, reason) => reject(new Error(`closed (${code} ${reason})`)));
  });
}

/** Resident memory of a process, in KiB. */
async function memoryOf(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}
