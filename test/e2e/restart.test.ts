/**
 * Repeated power failures with the same storage: clients that connect after one stay connected.
 * `LIVES=20` runs more than the suite has time for.
 */
import { expect, test } from "vitest";
import { type Closing, connectAll, type Listener } from "./support/listener.ts";
import { serveInTest } from "./support/serve.ts";

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
    const listeners = await connectAll(runtime.url, paths);
    for (const listener of listeners) listener.say("subscribe all");
    await Promise.allSettled(listeners.map((listener) => listener.ping()));
    const took = performance.now() - began;
    endings.push(await endingsAfterAll(listeners));
    console.log(
      `start ${start + 1}: all connected after ${Math.round(took)} ms, ${endings.at(-1)?.length} closed`,
    );
    // Some of these are in flight when the power fails.
    for (const listener of listeners.slice(0, 100)) listener.say("announce all lost");
    await Promise.any(listeners.map((listener) => listener.read(1)));
    await runtime.kill();
    await Promise.all(listeners.map(({ closed }) => closed));
  }
  expect(endings.flat()).toEqual([]);
});

/** Returns how connections ended, once every object has reported what its last run left unfinished. */
async function endingsAfterAll(listeners: Listener[]): Promise<Closing[]> {
  const [first] = listeners;
  first?.say("announce all received");
  await Promise.allSettled(listeners.map((listener) => listener.read(1)));
  return listeners.flatMap(({ closing }) => closing ?? []);
}
