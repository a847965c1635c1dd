/** Clients of a bridge that is killed, and starts again at the same port. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { Fanout } from "../../../../src/client/fanout.ts";
import { Dice } from "../dice.ts";
import { freePort } from "../listening.ts";
import { start } from "../program.ts";
import { SEED } from "../seed.ts";
import { type Killing, LIFE, type Run } from "./run.ts";
import { TcpRecorder } from "./tcp-recorder.ts";

const CLIENTS = 3;

export async function bridged(run: Run): Promise<Killing> {
  const dice = new Dice(SEED + 3);
  const address = `127.0.0.1:${await freePort()}`;
  const begin = async () => {
    const child = start(["bridge", "--to", run.url, "--listen", address]);
    await once(child.stdout, "data");
    return child;
  };
  let child = await begin();
  let [kills, isKilled] = [0, false];
  const subscriber = await subscribed(run);
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const words = { address, channel: "news", own: "said", messages: run };
    return new TcpRecorder(`client${i}`, { ...words, dice: new Dice(SEED + 10 + i) });
  });
  const running = clients.map((client) =>
    client.run(() => {
      if (!isKilled) run.faults.push(`bridged: the bridge closed a connection of ${client.name}`);
    }),
  );
  const kill = async () => {
    while (!run.isOver) {
      await sleep(dice.between(LIFE / 2, 3 * LIFE));
      isKilled = true;
      kills += 1;
      child.kill("SIGKILL");
      await once(child, "exit");
      await Promise.all(clients.map((client) => client.closed));
      child = await begin();
      isKilled = false;
    }
  };
  const judge = async () => {
    await Promise.all(clients.map((client) => client.settle(run.announced)));
    await subscriber.fanout.ping();
    for (const client of clients) client.stop();
    await Promise.all(running);
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(0);
    await subscriber.fanout.close();
    for (const client of clients) run.faults.push(...client.faults(subscriber.texts));
    const connections = clients.map((client) => client.connections.length);
    return { kills, connections, said: subscriber.texts.length };
  };
  return { over: kill(), judge };
}

/** Receives the clients' own announcements. */
async function subscribed(run: Run) {
  const texts: string[] = [];
  const fanout = new Fanout(run.url);
  const subscription = fanout.subscribe("said", {
    onMessage: ({ text }) => texts.push(text),
    onGap: () => run.faults.push("bridged: the subscriber has a gap"),
  });
  await expect.poll(() => subscription.state).toBe("subscribed");
  return { fanout, texts };
}
