/**
 * Runs a client against a server that is killed repeatedly, over a faulty network, and judges it. A client consists of
 * two commands: the listening one prints a line for each message of the channel `judged`, and the announcing one
 * announces each line of its standard input on the channel `said`. Both find the server's URL in FANOUT_URL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../../test/e2e/support/dice.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { judge, type Verdict } from "./judge.ts";
import { Network } from "./network.ts";
import { Follower, Requests } from "./requests.ts";

export interface Trial {
  /** The shell commands of the client. */
  listen: string;
  announce: string;
  seconds: number;
  /** Decides what fails, and when. */
  seed: number;
  /** Called with each fault. */
  onFault?: (what: string) => void;
}

export interface Outcome {
  listened: Verdict;
  announced: Verdict;
  faults: number;
}

/** Maximum time between faults, in milliseconds. */
const FAULT_INTERVAL = 3_000;
/** How long clients may take to catch up once the faults are over, in milliseconds. */
const CATCH_UP_TIMEOUT = 90_000;

/** Runs a client through a trial. */
export async function runTrial(trial: Trial): Promise<Outcome> {
  const folder = await temporaryFolder();
  const file = await bundle(folder);
  let server = await startRuntime(file, folder);
  const lives = { count: 1, isUp: true };
  const url = () => server.url.replace(/^ws/, "http");
  const requests = new Requests({ url, life: () => (lives.isUp ? lives.count : undefined) });
  const network = await Network.start(url);
  const children: ChildProcess[] = [];
  const start = (command: string) => {
    const child = spawn("sh", ["-c", command], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, FANOUT_URL: network.url },
      detached: true,
    });
    children.push(child);
    return child;
  };
  const restart = async () => {
    lives.isUp = false;
    await server.kill();
    server = await startRuntime(file, folder);
    lives.count += 1;
    lives.isUp = true;
  };
  const endAll = () => {
    for (const { pid } of children) if (pid !== undefined) end(pid);
  };
  process.once("exit", endAll);
  try {
    const subscriber = start(trial.listen);
    const received: string[] = [];
    createInterface({ input: subscriber.stdout }).on("line", (line) => received.push(line));
    const announcer = start(trial.announce);
    // The judge connects directly, so only the server's own faults affect it.
    await until(
      () => received.includes("0"),
      () => requests.post("judged", "0"),
    );
    received.length = 0;
    const announced = new Follower(requests, "said", await requests.post("said", "0"));
    const counts = { posted: 0, given: 0 };
    const isOver = { value: false };
    const dice = new Dice(trial.seed);
    const announcing = announceUntilOver(dice.split(), isOver, async () => {
      announcer.stdin.write(`${++counts.given}\n`);
      await requests.post("judged", String(++counts.posted), `judge-${counts.posted}`);
      await announced.poll();
    });
    // Awaited below; a failure ends the faults, too.
    announcing.catch(() => {
      isOver.value = true;
    });
    const faults = await fail(trial, dice, network, restart, isOver);
    isOver.value = true;
    await announcing;
    await until(
      () => withoutFirst(received).length >= counts.posted && announced.lines.length >= counts.given,
      () => Promise.all([announced.poll(), sleep(200)]),
    );
    return {
      listened: judge(withoutFirst(received), counts.posted),
      announced: judge(announced.lines, counts.given),
      faults,
    };
  } finally {
    endAll();
    process.off("exit", endAll);
    network.stop();
    await server.kill();
    await removeFolder(folder);
  }
}

/** Removes the first message, which is announced repeatedly until the client receives it. */
function withoutFirst(lines: string[]): string[] {
  return lines.filter((line) => line !== "0");
}

/** Kills a command with all its children. */
function end(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has already ended.
  }
}

async function announceUntilOver(dice: Dice, isOver: { value: boolean }, announce: () => Promise<void>): Promise<void> {
  while (!isOver.value) {
    await announce();
    await sleep(dice.below(100));
  }
}

/** Causes faults for the given time, unless it is over before; returns how many. */
async function fail(
  { seconds, onFault }: Trial,
  dice: Dice,
  network: Network,
  restart: () => Promise<void>,
  isOver: { value: boolean },
): Promise<number> {
  const faults: [what: string, act: () => void | Promise<void>][] = [
    ["connections break", () => network.cut()],
    ["connections break", () => network.cut()],
    ["data to clients stalls", () => network.hold(true)],
    ["data to clients flows again", () => network.hold(false)],
    ["data is delayed by 200 ms", () => network.delay(200)],
    ["the delay ends", () => network.delay(0)],
    ["data comes in pieces", () => network.split(true)],
    ["data comes whole", () => network.split(false)],
    ["connections die silently", () => network.die()],
    ["the server is killed", restart],
  ];
  const until = Date.now() + seconds * 1_000;
  let count = 0;
  while (Date.now() < until && !isOver.value) {
    await sleep(dice.below(FAULT_INTERVAL));
    const [what, act] = dice.any(faults);
    onFault?.(what);
    await act();
    count += 1;
  }
  network.delay(0);
  network.split(false);
  network.hold(false);
  return count;
}

/** Repeats an action until a condition holds or the time is up. */
async function until(holds: () => boolean | Promise<boolean>, act: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + CATCH_UP_TIMEOUT;
  while (!(await holds()) && Date.now() < end) await act();
}
