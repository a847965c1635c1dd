/**
 * Consumers of `fanout sub` and clients of `fanout bridge`, while the program, its consumer, the bridge and the server
 * are killed at random moments. What they have received is judged by their own records, when all is silent.
 * `MINUTES=10` runs longer; `SEED=…` repeats the decisions.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Fanout } from "../../src/client/fanout.ts";
import { Dice } from "./support/dice.ts";
import { acknowledged } from "./support/kills/acknowledged.ts";
import { bridged } from "./support/kills/bridged.ts";
import { piped } from "./support/kills/piped.ts";
import { Run } from "./support/kills/run.ts";
import { freePort } from "./support/listening.ts";
import { MortalServer } from "./support/mortal-server.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { SEED } from "./support/seed.ts";

const SECONDS = 60 * Number(process.env.MINUTES ?? 0.5);
/** Most messages at once, and longest pause after them, in milliseconds. */
const MAX_BURST = 30;
const PAUSE = 400;
/** Most messages by which a consumer is behind, and retention for more. */
const MAX_LAG = 500;
const RETENTION = ["--var", "HISTORY_SECONDS=3600", "--var", "HISTORY_BYTES=500000"];
/** Messages so long that a pipe is full when its consumer is slow. */
const PADDING = "x".repeat(150);

/** Announces bursts of messages until it is told to end. */
function publish(run: Run, publisher: Fanout) {
  const dice = new Dice(SEED + 4);
  let isEnding = false;
  const announce = async (number: number) => {
    const position = await publisher.announce("news", `${number} ${PADDING}`, { timeout: 100_000 });
    run.announced = number;
    if (position !== run.start + number) run.faults.push(`${number} is announced at ${position}`);
  };
  const announceAll = async () => {
    while (!isEnding) {
      const burst = Array.from({ length: dice.below(MAX_BURST) }, () => announce(++run.sent));
      await Promise.all(burst);
      await run.recorded(MAX_LAG);
      await sleep(dice.below(PAUSE));
    }
  };
  const ended = announceAll();
  const end = async () => {
    isEnding = true;
    await ended;
  };
  return { ended, end };
}

test(`for ${SECONDS} s of kills, the records of consumers and TCP clients have what is promised`, {
  tags: ["cursor-ack", "bridge-resumes"],
  timeout: (SECONDS + 400) * 1_000,
}, async () => {
  console.log(`SEED=${SEED}`);
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const port = await freePort();
  const server = new MortalServer(join(folder, "data"), port, RETENTION);
  await server.start();
  const url = `ws://127.0.0.1:${port}`;
  const publisher = new Fanout(url);
  const run = new Run(url, folder, Number(await publisher.announce("news", "before")));
  const publishing = publish(run, publisher);
  const all = [piped(run), acknowledged(run), await bridged(run)] as const;
  const over = Promise.all(all.map((killing) => killing.over));
  for (const until = Date.now() + SECONDS * 1_000; Date.now() < until; ) {
    await Promise.race([server.die(), over, publishing.ended]);
  }
  run.isOver = true;
  await over;
  await publishing.end();
  await run.recorded();
  const [pipe, acks, bridge] = await Promise.all(all.map((killing) => killing.judge()));
  await publisher.close();
  await server.stop();
  console.log({ announced: run.announced, server: server.kills, pipe, acks, bridge });
  expect(run.faults).toEqual([]);
});
