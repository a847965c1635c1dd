/** A client that stops reading, among others that do not. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

const LISTENERS = 20;
/** 40 MB for each listener, ten times what may wait for one. */
const MESSAGES = 800;
const message = "x".repeat(50_000);
const LINE = "flood!".length + message.length + 1;

test("who does not read is closed with a reason; others miss nothing, and memory stays bounded", {
  timeout: 120_000,
}, async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const runtime = await startRuntime(await bundle(folder), folder);
  onTestFinished(runtime.kill);
  const connect = async () => {
    const socket = new WebSocket(`${runtime.url}/flood`, { perMessageDeflate: false });
    await once(socket, "message");
    return socket;
  };
  const [sleeper, publisher] = [await connect(), await connect()];
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, connect));
  const before = await memoryOf(runtime.pid);
  sleeper.pause();
  const closed = once(sleeper, "close");

  const readers = listeners.map(counter);
  let most = 0;
  for (let sent = 0; sent < MESSAGES; sent += 10) {
    for (let i = 0; i < 10; i++) publisher.send(`announce flood ${message}`);
    await Promise.all(readers.map((reader) => reader((sent + 10) * LINE)));
    most = Math.max(most, await memoryOf(runtime.pid));
  }
  sleeper.resume();
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([
    1013,
    "messages would be missing: you read too slowly; connect again",
  ]);
  // What waited for the sleeper, and what was under way to the others; not 40 MB for each of them.
  expect(most - before).toBeLessThan(150_000);
});

/** Counts the characters that a client reads; the function returned ends when it has read so many. */
function counter(socket: WebSocket): (characters: number) => Promise<void> {
  let read = 0;
  let arrived = () => {};
  socket.on("message", (frame) => {
    read += frame.toString().length;
    arrived();
  });
  return async (characters) => {
    while (read < characters) {
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
    expect(read).toBe(characters);
  };
}

/** Resident memory of a process, in KiB. */
async function memoryOf(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}
