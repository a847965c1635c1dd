/** What events cost: the runtime with `counting-worker.js` around the Worker, asked before and after them. */
import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { Listener } from "../../test/e2e/support/listener.ts";
import {
  bundle,
  type Runtime,
  removeFolder,
  startRuntime,
  temporaryFolder,
} from "../../test/e2e/support/runtime.ts";
import { type Cost, minus, plus } from "./cost.ts";

/** What an object has cost, and how often it was awake for that. */
export interface Spent extends Cost {
  periods: number;
}

/** The same since the runtime began, and what the object is doing. */
interface Tally extends Spent {
  connections: number;
  hasAlarm: boolean;
  isAwake: boolean;
}

type Tallies = Record<string, Tally>;

export class Meter {
  #runtime: Runtime;
  readonly #folder: string;
  readonly #restart: () => Promise<Runtime>;
  /** Emits `quiet` each time that an object has become so. */
  readonly #told: EventEmitter;
  #connections = 0;

  private constructor(runtime: Runtime, folder: string, told: EventEmitter, restart: () => Promise<Runtime>) {
    this.#runtime = runtime;
    this.#restart = restart;
    this.#folder = folder;
    this.#told = told;
  }

  /**
   * @param historySeconds how long messages are kept
   * @param more settings
   */
  static async start(historySeconds: number, more: Record<string, string> = {}): Promise<Meter> {
    const folder = await temporaryFolder();
    const around = await readFile(new URL("counting-worker.js", import.meta.url), "utf8");
    const told = new EventEmitter();
    const onLine = (line: string) =>
      void (line.includes("quiet ") ? told.emit("quiet") : console.error(line));
    const settings = { HISTORY_SECONDS: String(historySeconds), ...more };
    const options = { around, flags: ["nodejs_als"], onLine, settings };
    const file = await bundle(folder);
    const start = () => startRuntime(file, folder, options);
    return new Meter(await start(), folder, told, start);
  }

  get port(): number {
    return Number(new URL(this.#runtime.url).port);
  }

  /** Has the power fail: everything ends but what is stored, and what has been counted is forgotten. */
  async restart(): Promise<void> {
    await this.#runtime.kill();
    this.#runtime = await this.#restart();
  }

  /** Requests of some kind that each object has had. */
  async requests(kind: string): Promise<Map<string, number>> {
    const tallies = Object.entries(await this.#read());
    return new Map(tallies.map(([name, { requests }]) => [name, requests[kind] ?? 0]));
  }

  /** Ends when the objects know that nobody is connected any more, and have done what comes of it. */
  async deserted(): Promise<void> {
    await this.#until((tallies) =>
      Object.values(tallies).every(({ connections, isAwake }) => connections === 0 && !isAwake),
    );
  }

  async stop(): Promise<void> {
    await this.#runtime.kill();
    await removeFolder(this.#folder);
  }

  /** A greeted connection. */
  async connect(path: string): Promise<Listener> {
    this.#connections += 1;
    return await Listener.connect(this.#runtime.url + path);
  }

  leave(listener: Listener): void {
    this.#connections -= 1;
    listener.close();
  }

  /**
   * What each object costs for something, and for what comes of it. That is over when no object is awake, no alarm
   * is set, and who has left is known to have gone.
   */
  async spent(act: () => Promise<unknown>): Promise<Map<string, Spent>> {
    const before = await this.#read();
    await act();
    const after = await this.#until((tallies) => {
      const all = Object.values(tallies);
      const open = all.reduce((sum, { connections }) => sum + connections, 0);
      return open === this.#connections && all.every(({ isAwake, hasAlarm }) => !isAwake && !hasAlarm);
    });
    return new Map(Object.entries(after).map(([name, tally]) => [name, since(before[name], tally)]));
  }

  /** Ends when no object of a family is awake, whatever its alarm is set to. */
  async quiet(family: string): Promise<void> {
    await this.#until((tallies) =>
      Object.entries(tallies).every(([name, { isAwake }]) => !isAwake || !isOf(family, name)),
    );
  }

  /** Looks each time that an object has become quiet. */
  async #until(isOver: (tallies: Tallies) => boolean): Promise<Tallies> {
    for (;;) {
      // Waited for before it is looked, so that nothing goes unnoticed between.
      const quiet = once(this.#told, "quiet");
      const tallies = await this.#read();
      if (isOver(tallies)) return tallies;
      await quiet;
    }
  }

  async #read(): Promise<Tallies> {
    const response = await fetch(`${this.#runtime.url.replace(/^ws/, "http")}/!costs`);
    const tallies: Tallies = JSON.parse(await response.text());
    return tallies;
  }
}

/** What the objects of a family cost together; without one, all. */
export function totalOf(spent: Map<string, Spent>, family?: string): Cost {
  return plus(
    ...[...spent].flatMap(([name, cost]) => (family === undefined || isOf(family, name) ? [cost] : [])),
  );
}

/** A channel is the head of a family, of all whose names go on with a slash. */
function isOf(family: string, name: string): boolean {
  return name === family || name.startsWith(`${family}/`);
}

function since(before: Spent | undefined, after: Spent): Spent {
  if (!before) return after;
  return { ...minus(after, before), periods: after.periods - before.periods };
}
