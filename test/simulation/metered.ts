/** A simulated service without faults that counts what its clients make it do. */
import type { From } from "../../src/protocol/positions.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import { CALM } from "./profile.ts";
import { Scheduler } from "./scheduler.ts";
import { Simulation } from "./simulation.ts";
import { type Reader, SimulatedSocket } from "./socket.ts";

/** More rows than any test writes. */
const ROWS = 1_000_000_000;

/** What clients made a service do. */
export interface Costs {
  /** Answered calls between objects, by kind. */
  calls: Partial<Record<keyof Calls, number>>;
  /** Calls that failed because the other object was unreachable, by kind. */
  failed: Record<string, number>;
  /** Rows written and deleted, and alarms set. */
  rows: number;
  /** Objects that left hibernation. */
  wakes: number;
  /** Alarms that fired. */
  alarms: number;
}

/** A client that reads at once, and whatever the server sends. */
export class MeteredClient implements Reader {
  readonly name: string;
  readonly home: string;
  readonly socket: SimulatedSocket;
  /** The lines received since they were last taken. */
  #lines: string[] = [];
  closed: string | undefined;

  constructor(name: string, home: string) {
    this.name = name;
    this.home = home;
    this.socket = new SimulatedSocket(this, false, () => {});
  }

  get open(): boolean {
    return this.closed === undefined;
  }

  read(frame: string): void {
    this.#lines.push(...frame.split("\n").slice(0, -1));
  }

  take(): string[] {
    return this.#lines.splice(0);
  }

  ended(code: number, reason: string): void {
    this.closed ??= `${code} ${reason}`;
  }

  closing(): void {}

  closedByServer(code: number, reason: string): void {
    this.ended(code, reason);
  }

  sent(): void {}
}

export class MeteredService {
  readonly simulation: Simulation;
  readonly clients: MeteredClient[] = [];
  readonly #scheduler: Scheduler;
  readonly #calls = new Map<keyof Calls, number>();
  readonly #awake = new WeakSet<object>();
  #wakes = 0;

  constructor() {
    const profile = { ...CALM, withHistory: true, withCrowds: true };
    this.simulation = new Simulation(() => 0, profile);
    this.#scheduler = new Scheduler(this.simulation, () => 0);
    this.simulation.observe = ({ kind }) => this.#calls.set(kind, (this.#calls.get(kind) ?? 0) + 1);
    this.simulation.rowsLeft = ROWS;
  }

  /** Connects a client to the object of a channel; resolves when everything that follows has happened. */
  async connect(home: string, from?: From): Promise<MeteredClient> {
    const client = new MeteredClient(`client${this.clients.length}`, home);
    this.clients.push(client);
    await this.#act(`${client.name} connects`, () =>
      this.simulation.objects.event(home, 2).opened(client.socket, "", undefined, from),
    );
    return client;
  }

  /** Sends a frame; resolves when everything that follows has happened, except what waits for seconds. */
  send({ name, home, socket }: MeteredClient, lines: string[]): Promise<void> {
    return this.#act(`${name} sends`, () => this.simulation.objects.event(home, 1).received(socket, lines.join("\n")));
  }

  /** Disconnects a client. */
  disconnect(client: MeteredClient): Promise<void> {
    const object = this.simulation.objects.of(client.home);
    client.ended(1005, "");
    client.socket.open = false;
    object.sockets = object.sockets.filter((socket) => socket !== client.socket);
    return this.#act(`${client.name} leaves`, () =>
      this.simulation.objects.event(client.home, 1).closed(client.socket),
    );
  }

  /** Calls an object as a Worker does for a request of HTTP. */
  async ask<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]) {
    const answer = this.simulation.objects.askFromWorker(to, kind, ask);
    await this.#scheduler.quiesce();
    this.#note();
    return await answer;
  }

  /** Cuts an object off from all others, for some milliseconds. */
  cutOff(name: string, milliseconds: number): void {
    this.simulation.objects.network.outages.begin(name, undefined, this.simulation.now + milliseconds);
  }

  /** Lets time pass, in milliseconds. */
  async pass(milliseconds: number): Promise<void> {
    await this.#scheduler.pass(milliseconds);
    this.#note();
  }

  /** Lets hours pass without input, until nothing is due, and all objects have left memory. */
  async silence(): Promise<void> {
    await this.#scheduler.silence();
    this.#note();
    for (const object of this.simulation.objects) this.simulation.objects.end(object);
  }

  /** The keys of the rows in storage, by object; only of objects with rows. */
  get rows(): Record<string, string[]> {
    const used = [...this.simulation.objects].filter(({ rows }) => rows.size > 0);
    return Object.fromEntries(used.map(({ name, rows }) => [name, [...rows.keys()].sort()]));
  }

  /** Returns what was done since the last call. */
  takeCosts(): Costs {
    this.#note();
    const costs = {
      calls: Object.fromEntries([...this.#calls].sort()),
      failed: countFailed(this.simulation.trace),
      rows: ROWS - this.simulation.rowsLeft,
      wakes: this.#wakes,
      alarms: this.simulation.trace.filter((line) => line.includes(": the alarm of ")).length,
    };
    this.#calls.clear();
    this.simulation.rowsLeft = ROWS;
    this.simulation.trace.length = 0;
    this.#wakes = 0;
    return costs;
  }

  async #act(label: string, happen: () => void): Promise<void> {
    await this.simulation.perform({ label, happen });
    await this.#scheduler.quiesce();
    this.#note();
  }

  /** Counts the objects that have woken. */
  #note(): void {
    for (const { incarnation } of this.simulation.objects) {
      if (!incarnation || this.#awake.has(incarnation)) continue;
      this.#awake.add(incarnation);
      this.#wakes += 1;
    }
  }
}

/** Counts the calls that failed, by kind. */
function countFailed(trace: string[]): Record<string, number> {
  const failed: Record<string, number> = {};
  for (const line of trace) {
    const [, kind] = /: unreachable: \S+ -> \S+: (\w+)/.exec(line) ?? [];
    if (kind !== undefined) failed[kind] = (failed[kind] ?? 0) + 1;
  }
  return failed;
}
