/**
 * Runs clients against a server that is killed, over a network that does what networks do, and judges them. A client
 * is any two commands: one that listens prints a line for each message of the channel `judged`, one that announces
 * takes lines from its standard input and announces each on the channel `said`. Both find the server in FANOUT_URL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { judge, type Verdict } from "./judge.ts";
import { Network } from "./network.ts";

export interface Trial {
  /** Commands for a shell. */
  listen: string;
  announce: string;
  seconds: number;
  /** From 0 to less than 1: what happens, and when. */
  random: () => number;
  /** Told of what happens. */
  onFault?: (what: string) => void;
}

export interface Outcome {
  listened: Verdict;
  announced: Verdict;
  faults: number;
}

/** Between faults, in milliseconds, at most. */
const BETWEEN = 3_000;
/** How long the server may take to answer the judge, in milliseconds. */
const ANSWER_WITHIN = 5_000;
/** How long clients may take to come to where everyone is, in milliseconds, when all is well again. */
const PATIENCE = 90_000;

/** Tries a client out. */
export async function tryOut(trial: Trial): Promise<Outcome> {
  const folder = await temporaryFolder();
  const file = await bundle(folder);
  let server = await startRuntime(file, folder);
  const url = () => server.url.replace(/^ws/, "http");
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
    await server.kill();
    server = await startRuntime(file, folder);
  };
  const endAll = () => {
    for (const { pid } of children) if (pid !== undefined) end(pid);
  };
  process.once("exit", endAll);
  try {
    const listener = start(trial.listen);
    const heard: string[] = [];
    createInterface({ input: listener.stdout }).on("line", (line) => heard.push(line));
    const announcer = start(trial.announce);
    // The judge's own way to the server has no faults but the server's.
    await until(
      () => heard.includes("0"),
      () => post(url, "judged", "0"),
    );
    heard.length = 0;
    const said = new Follower(url, "said", await post(url, "said", "0"));
    const counts = { posted: 0, given: 0 };
    const isOver = { value: false };
    const talking = talk(trial, isOver, async () => {
      announcer.stdin.write(`${++counts.given}\n`);
      await post(url, "judged", String(++counts.posted), `judge-${counts.posted}`);
      await said.look();
    });
    const faults = await fail(trial, network, restart);
    isOver.value = true;
    await talking;
    await until(
      () => withoutFirst(heard).length >= counts.posted && said.lines.length >= counts.given,
      () => Promise.all([said.look(), sleep(200)]),
    );
    return {
      listened: judge(withoutFirst(heard), counts.posted),
      announced: judge(said.lines, counts.given),
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

/** The one that told that the client listens may have come several times, as it was announced until then. */
function withoutFirst(lines: string[]): string[] {
  return lines.filter((line) => line !== "0");
}

/** Ends a command with all that it has started. */
function end(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function talk({ random }: Trial, isOver: { value: boolean }, say: () => Promise<void>): Promise<void> {
  while (!isOver.value) {
    await say();
    await sleep(random() * 100);
  }
}

/** Has things fail for a time; says how many did. */
async function fail({ seconds, random, onFault }: Trial, network: Network, restart: () => Promise<void>) {
  const faults: [what: string, act: () => void | Promise<void>][] = [
    ["connections break off", () => network.cut()],
    ["connections break off", () => network.cut()],
    ["nothing comes any more", () => network.hold(true)],
    ["everything comes again", () => network.hold(false)],
    ["everything takes 200 ms", () => network.delay(200)],
    ["everything is quick", () => network.delay(0)],
    ["everything comes in pieces", () => network.split(true)],
    ["everything comes whole", () => network.split(false)],
    ["connections die in silence", () => network.die()],
    ["the server is killed", restart],
  ];
  const until = Date.now() + seconds * 1_000;
  let count = 0;
  while (Date.now() < until) {
    await sleep(random() * BETWEEN);
    const [what, act] = faults[Math.floor(random() * faults.length)] ?? ["", () => {}];
    onFault?.(what);
    await act();
    count += 1;
  }
  network.delay(0);
  network.split(false);
  network.hold(false);
  return count;
}

/** Announces until that is answered, once. */
async function post(url: () => string, channel: string, text: string, key?: string): Promise<number> {
  const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
  for (;;) {
    try {
      const response = await fetch(`${url()}/${channel}`, {
        method: "POST",
        body: text,
        headers,
        signal: AbortSignal.timeout(ANSWER_WITHIN),
      });
      const [, position] = /"position":(\d+)/.exec(await response.text()) ?? [];
      if (position !== undefined) return Number(position);
    } catch {
      // The server is being killed.
    }
    await sleep(100);
  }
}

/** What has been announced on a channel, asked for again and again. */
class Follower {
  readonly lines: string[] = [];
  readonly #url: () => string;
  readonly #channel: string;
  #position: number;

  constructor(url: () => string, channel: string, position: number) {
    this.#url = url;
    this.#channel = channel;
    this.#position = position;
  }

  async look(): Promise<void> {
    try {
      const response = await fetch(`${this.#url()}/${this.#channel}?poll&since=${this.#position}`, {
        signal: AbortSignal.timeout(ANSWER_WITHIN),
      });
      const lines = (await response.text()).split("\n").filter((line) => line !== "");
      if (!response.ok) return;
      this.lines.push(...lines.map((line) => line.slice(this.#channel.length + 1)));
      this.#position = Number(response.headers.get("Fanout-Position"));
    } catch {
      // The server is being killed.
    }
  }
}

/** Does something until something holds, or patience ends. */
async function until(holds: () => boolean | Promise<boolean>, act: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await holds()) && Date.now() < end) await act();
}
