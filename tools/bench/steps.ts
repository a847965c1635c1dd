/** Measures the steps of a delivery: a send to a socket, and a call to a linked object. */

import { bundle, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { connectAll, TestClient } from "../../test/e2e/support/test-client.ts";

const ROUNDS = 50;
const MANY = 500;

const folder = await temporaryFolder();
const runtime = await startRuntime(await bundle(folder), folder);
const sends = await measure(() => "/root");
const calls = await measure((i) => `/home${i}`);
console.log(
  `a send to a socket: ${sends.toFixed(0)} us; a link, including its object's own work: ${calls.toFixed(0)} us`,
);
await runtime.kill();
await removeFolder(folder);
process.exit();

/** Returns the microseconds per subscriber until the last of MANY has a message: the median of all rounds. */
async function measure(path: (i: number) => string): Promise<number> {
  const subscribers = await connectAll(
    runtime.url,
    Array.from({ length: MANY }, (_, i) => path(i)),
  );
  const publisher = await TestClient.connect(`${runtime.url}/root`);
  for (const subscriber of subscribers) subscriber.send("subscribe root");
  await Promise.all(subscribers.map((subscriber) => subscriber.ping()));
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const received = subscribers.map((subscriber) => subscriber.line());
    const began = performance.now();
    publisher.send(`announce root ${round}`);
    await Promise.all(received);
    times.push(((performance.now() - began) * 1000) / MANY);
    await publisher.line();
  }
  for (const subscriber of [...subscribers, publisher]) subscriber.close();
  return times.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
}
