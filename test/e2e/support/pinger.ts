/** A client that pings continuously in its own thread, so that other reading doesn't delay it. */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { TestClient } from "./test-client.ts";

/** Starts a pinging client; the returned function stops it, and returns the longest delay in milliseconds. */
export async function startPinger(url: string, channels: string[]): Promise<() => Promise<number>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { url, channels } });
  const next = () => new Promise<unknown>((resolve) => worker.once("message", resolve));
  await next();
  return async () => {
    const slowest = next();
    worker.postMessage("stop");
    return Number(await slowest);
  };
}

async function ping(url: string, channels: string[]): Promise<void> {
  const client = await TestClient.connect(url);
  for (const channel of channels) client.send(`subscribe ${channel}`);
  await client.ping();
  let isOver = false;
  parentPort?.once("message", () => {
    isOver = true;
  });
  parentPort?.postMessage("started");
  let slowest = 0;
  while (!isOver) {
    const began = performance.now();
    await client.ping();
    slowest = Math.max(slowest, performance.now() - began);
  }
  parentPort?.postMessage(slowest);
  client.close();
}

if (parentPort) await ping(workerData.url, workerData.channels);
