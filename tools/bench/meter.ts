/** Measures the cost of events by the tallies of `counting-worker.js`, before and after. */
import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { type Cost, minus, plus } from "../../src/costs/cost.ts";
import { bundle, type Runtime, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { TestClient } from "../../test/e2e/support/test-client.ts";

/** An object's cost, and how often it was awake. */
export interface Spent extends Cost {
  periods: number;
}

/** An object's cost since the runtime started, and its state. */
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
  /** Emits `quiet` each time an object becomes idle. */
  readonly #events: EventEmitter;
  #connections = 0;

  private constructor(runtime: Runtime, folder: string, events: EventEmitter, restart: () => Promise<Runtime>) {
    this.#runtime = runtime;
    this.#restart = restart;
    this.#folder = folder;
    this.#events = events;
  }

  /**
   * Starts a runtime whose costs are counted.
   * @param historySeconds the setting `HISTORY_SECONDS`
   * @param more other settings
   */
  static async start(historySeconds: number, more: Record<string, string> = {}): Promise<Meter> {
    const folder = await temporaryFolder();
    const around = await readFile(new URL("counting-worker.js", import.meta.url), "utf8");
    const events = new EventEmitter();
    const onLine = (line: string) => void (line.includes("quiet ") ? events.emit("quiet") : console.error(line));
    const settings = { HISTORY_SECONDS: String(historySeconds), ...more };
    const options = { around, flags: ["nodejs_als"], onLine, settings };
    const file = await bundle(folder);
    const start = () => startRuntime(file, folder, options);
    return new Meter(await start(), folder, events, start);
  }

  get port(): number {
    return Number(new URL(this.#runtime.url).port);
  }

  /** Restarts the runtime after a power failure: only storage survives, and the counts start from zero. */
  async restart(): Promise<void> {
    await this.#runtime.kill();
    this.#runtime = await this.#restart();
  }

  /** Returns the number of requests of one kind, by object. */
  async requests(kind: string): Promise<Map<string, number>> {
    const tallies = Object.entries(await this.#read());
    return new Map(tallies.map(([name, { requests }]) => [name, requests[kind] ?? 0]));
  }

  /** Resolves when the objects have noticed that all connections have ended, and are idle. */
  async untilIdle(): Promise<void> {
    await this.#until((tallies) =>
      Object.values(tallies).every(({ connections, isAwake }) => connections === 0 && !isAwake),
    );
  }

  async stop(): Promise<void> {
    await this.#runtime.kill();
    await removeFolder(this.#folder);
  }

  /** Opens a connection, and reads the greeting. */
  async connect(path: string): Promise<TestClient> {
    this.#connections += 1;
    return await TestClient.connect(this.#runtime.url + path);
  }

  /** Announces by HTTP. */
  async post(channel: string, text: string): Promise<void> {
    const address = `${this.#runtime.url.replace(/^ws/, "http")}/${channel}`;
    const { ok, status } = await fetch(address, { method: "POST", body: text });
    if (!ok) throw new Error(`the announcement failed with status ${status}`);
  }

  leave(subscriber: TestClient): void {
    this.#connections -= 1;
    subscriber.close();
  }

  /**
   * Returns the cost per object of an action and everything it causes: until no object is awake, no alarm is set, and the
   * objects have noticed which clients have left.
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

  /** Resolves when no object of a family is awake; alarms may still be set. */
  async quiet(family: string): Promise<void> {
    await this.#until((tallies) =>
      Object.entries(tallies).every(([name, { isAwake }]) => !isAwake || !isOf(family, name)),
    );
  }

  /** Reads the tallies each time an object becomes idle, until a condition holds. */
  async #until(isOver: (tallies: Tallies) => boolean): Promise<Tallies> {
    for (;;) {
      // Listens before it reads, so that no event is missed in between.
      const quiet = once(this.#events, "quiet");
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

/** Returns the total cost of a family's objects, or of all objects. */
export function totalOf(spent: Map<string, Spent>, family?: string): Cost {
  return plus(...[...spent].flatMap(([name, cost]) => (family === undefined || isOf(family, name) ? [cost] : [])));
}

/** Whether an object belongs to a family: the channel of that name, and all names that continue with a slash. */
function isOf(family: string, name: string): boolean {
  return name === family || name.startsWith(`${family}/`);
}

function since(before: Spent | undefined, after: Spent): Spent {
  if (!before) return after;
  return { ...minus(after, before), periods: after.periods - before.periods };
}
