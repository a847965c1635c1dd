/** Clients that enter a channel and leave it again, as fast as the server lets them, in a thread of their own. */
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Connection, clientFrame } from "./websocket.ts";

/** Maximum connections being opened at once. */
const OPENING = 200;

interface Plan {
  port: number;
  /** The channel whose members they become. */
  channel: string;
  /** The channels that they connect to, in turns. */
  homes: string[];
  clients: number;
}

/** The changes carried out, and those refused. */
export interface Done {
  changes: number;
  refused: number;
}

/** The clients, seen from the main thread. They pause at first. */
export class Churn {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Connects the clients. */
  static async connect(plan: Plan): Promise<Churn> {
    const worker = new Worker(new URL(import.meta.url), { workerData: plan });
    worker.once("error", (error) => {
      throw error;
    });
    await once(worker, "message");
    return new Churn(worker);
  }

  start(): void {
    this.#worker.postMessage("start");
  }

  /** Pauses the clients, once each has left; returns what was carried out since the start. */
  pause(): Promise<Done> {
    const done = new Promise<Done>((resolve) => this.#worker.once("message", resolve));
    this.#worker.postMessage("pause");
    return done;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

class Client {
  readonly done: Done = { changes: 0, refused: 0 };
  readonly #connection: Connection;
  readonly #frame: Buffer;
  #rest = "";
  #isPaused = true;
  #onIdle = () => {};

  constructor({ port, channel, homes }: Plan, index: number) {
    const home = homes[index % homes.length] ?? channel;
    this.#connection = new Connection(port, `/${home}`, `unsubscribe ${home}\nping\n`);
    this.#frame = clientFrame(`enter ${channel} member-${index}\nleave ${channel}\nping\n`);
    this.#connection.onReceive = (bytes, from, to) => this.#receive(bytes.toString("latin1", from, to));
  }

  /** Resolves when the reply to a `ping` has been received and nothing more was sent. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  start(): void {
    this.#isPaused = false;
    this.done.changes = this.done.refused = 0;
    this.#connection.write(this.#frame);
  }

  pause(): Promise<void> {
    this.#isPaused = true;
    return this.idle();
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#read(line);
  }

  #read(line: string): void {
    if (/^debug!error \S+ leave /.test(line)) this.#refuse(1);
    // The client had nothing to leave then.
    else if (line.startsWith("debug!error ")) this.#refuse(2);
    if (!/^\d+$/.test(line)) return;
    this.done.changes += 2;
    if (this.#isPaused) this.#onIdle();
    else this.#connection.write(this.#frame);
  }

  #refuse(changes: number): void {
    this.done.refused += 1;
    this.done.changes -= changes;
  }
}

async function work(plan: Plan): Promise<void> {
  const clients: Client[] = [];
  while (clients.length < plan.clients) {
    const count = Math.min(OPENING, plan.clients - clients.length);
    const some = Array.from({ length: count }, (_, i) => new Client(plan, clients.length + i));
    clients.push(...some);
    await Promise.all(some.map((client) => client.idle()));
  }
  const pause = async () => {
    await Promise.all(clients.map((client) => client.pause()));
    const sum = (what: keyof Done) => clients.reduce((total, { done }) => total + done[what], 0);
    parentPort?.postMessage({ changes: sum("changes"), refused: sum("refused") });
  };
  parentPort?.on("message", (order) => {
    if (order === "start") for (const client of clients) client.start();
    else void pause();
  });
  parentPort?.postMessage("connected");
}

if (!isMainThread) await work(workerData);
