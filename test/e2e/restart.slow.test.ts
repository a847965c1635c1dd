/**
 * Repeated power failures with the same storage: clients that connect after one stay connected.
 * `LIVES=20` runs more than the suite has time for.
 */
import { expect, test } from "vitest";
import { serveInTest } from "./support/serve.ts";
import { type Closing, connectAll, type TestClient } from "./support/test-client.ts";

const LIVES = Number(process.env.LIVES ?? 3);
const CHANNELS = 500;
const paths = Array.from({ length: 1_000 }, (_, i) => `/room${i % CHANNELS}`);

test(`after each of ${LIVES - 1} power failures, connections that are accepted stay open`, {
  timeout: LIVES * 300_000,
}, async () => {
  const runtime = await serveInTest({ settings: { LINKS_PER_OBJECT: "16" } });
  const endings: Closing[][] = [];
  for (let start = 0; start < LIVES; start++) {
    if (start > 0) await runtime.restart();
    const began = performance.now();
    const clients = await connectAll(runtime.url, paths);
    for (const client of clients) client.send("subscribe all");
    await Promise.allSettled(clients.map((client) => client.ping()));
    const took = performance.now() - began;
    endings.push(await endingsAfterAll(clients));
    console.log(`start ${start + 1}: all connected after ${Math.round(took)} ms, ${endings.at(-1)?.length} closed`);
    // Some of these are in flight when the power fails.
    for (const client of clients.slice(0, 100)) client.send("announce all lost");
    await Promise.any(clients.map((client) => client.read(1)));
    await runtime.kill();
    await Promise.all(clients.map(({ closed }) => closed));
  }
  expect(endings.flat()).toEqual([]);
});

/** Returns how connections ended, once every object has reported what its last run left unfinished. */
async function endingsAfterAll(clients: TestClient[]): Promise<Closing[]> {
  const [first] = clients;
  first?.send("announce all received");
  await Promise.allSettled(clients.map((client) => client.read(1)));
  return clients.flatMap(({ closing }) => closing ?? []);
}
