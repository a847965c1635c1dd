/**
 * Measures idle connections: how fast they are opened, how much memory each takes, and how long a hibernating object
 * needs to serve them again. Runs the bundle in the bare runtime.
 */
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bundle,
  memoryOf,
  type Runtime,
  removeFolder,
  startRuntime,
  temporaryFolder,
} from "../../test/e2e/support/runtime.ts";
import { connectAll, TestClient } from "../../test/e2e/support/test-client.ts";

/** Longer than the runtime keeps an idle object in memory, plus the second in which ours settles. */
const UNTIL_ASLEEP = 13_000;

const folder = await temporaryFolder();
const file = await bundle(folder);
const { size } = await stat(file);
console.log(`bundle: ${(size / 1024).toFixed(1)} KiB`);
for (const connections of [1_000, 8_000]) {
  const runtime = await startRuntime(file, folder);
  await measure(runtime, connections);
  await runtime.kill();
}
await removeFolder(folder);
process.exit();

async function measure(runtime: Runtime, connections: number): Promise<void> {
  const first = await TestClient.connect(`${runtime.url}/idle`);
  const before = await memoryOf(runtime.pid);
  const began = performance.now();
  const others = await connectAll(
    runtime.url,
    Array.from({ length: connections - 1 }, () => "/idle"),
  );
  const seconds = (performance.now() - began) / 1000;
  const awake = (await memoryOf(runtime.pid)) - before;
  await sleep(UNTIL_ASLEEP);
  const asleep = (await memoryOf(runtime.pid)) - before;
  const woken = await announce([first, ...others], "first");
  const again = await announce([first, ...others], "second");
  console.log(
    `${connections} connections: ${Math.round(connections / seconds)} per second, ` +
      `${(awake / connections).toFixed(1)} KiB each in memory, ${(asleep / connections).toFixed(1)} KiB each hibernating; ` +
      `a message reaches all in ${Math.round(woken)} ms from hibernation, ${Math.round(again)} ms from memory`,
  );
}

/** Returns the milliseconds until all have received a message from the first. */
async function announce(subscribers: TestClient[], message: string): Promise<number> {
  const received = subscribers.map((subscriber) => subscriber.line());
  const began = performance.now();
  subscribers[0]?.send(`announce idle ${message}`);
  await Promise.all(received);
  return performance.now() - began;
}
