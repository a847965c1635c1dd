/** `fanout serve`, while the command or its runtime is killed again and again, also at its start. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { isAlive, serveIn } from "./cli-server.ts";
import { Dice } from "./dice.ts";
import { start } from "./program.ts";
import { memoryOf } from "./runtime.ts";
import { SEED } from "./seed.ts";

/** Longest life of a server, in milliseconds. */
const LIFE = 5_000;
/** The shares of kills that hit the command when it starts, and its runtime. */
const AT_START = 0.2;
const RUNTIME = 0.4;

type Server = Awaited<ReturnType<typeof serveIn>>;

/** A server that is killed, and starts again in the same place. */
export class MortalServer {
  readonly kills = { command: 0, runtime: 0, start: 0 };
  /** The runtime's memory before each kill, in KiB. */
  readonly memory: number[] = [];
  readonly #data: string;
  readonly #words: string[];
  readonly #dice = new Dice(SEED);
  #server: Server | undefined;

  /** @param words more options of the command */
  constructor(data: string, port: string, words: string[] = []) {
    this.#data = data;
    this.#words = ["--port", port, ...words];
  }

  async start(): Promise<void> {
    this.#server = await serveIn(this.#data, this.#words);
  }

  /** Lives for a while, is killed, and starts again. */
  async die(): Promise<void> {
    await sleep(this.#dice.between(LIFE / 5, LIFE));
    const { child, ended, runtime } = this.#running;
    this.memory.push(await memoryOf(runtime));
    if (this.#dice.below(1) < RUNTIME) {
      this.kills.runtime += 1;
      process.kill(runtime, "SIGKILL");
      expect(await ended).toEqual([7, null]);
    } else {
      this.kills.command += 1;
      child.kill("SIGKILL");
      await ended;
    }
    while (this.#dice.below(1) < AT_START) await this.#dieAtStart();
    await this.start();
    // One runtime at a time has the folder.
    expect(await isAlive(runtime)).toBe(false);
  }

  /** Stops as an operator would. */
  async stop(): Promise<void> {
    const { child, ended, runtime } = this.#running;
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(await isAlive(runtime)).toBe(false);
  }

  get #running(): Server {
    if (!this.#server) throw new Error("the server isn't running");
    return this.#server;
  }

  /** Starts the command, and kills it before it serves. */
  async #dieAtStart(): Promise<void> {
    this.kills.start += 1;
    const child = start(["serve", "--data", this.#data, ...this.#words]);
    const ended = once(child, "exit");
    await sleep(this.#dice.below(700));
    child.kill("SIGKILL");
    await ended;
  }
}
