/** A simulated object: what it keeps, and its lives. */
import type { Guard } from "../../src/auth/verify.ts";
import { isSegmentRow } from "../../src/channel/history-rows.ts";
import type { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import type { Limits } from "../../src/runtime/limits.ts";
import { isRecord } from "../../src/runtime/rows.ts";
import type { Rarity } from "./rarities.ts";
import type { Depth } from "./rules.ts";
import type { SimulatedSocket } from "./socket.ts";

/** One life of an object: from its waking to its crash or sleep. */
export interface Life {
  broker: Broker;
  /** Timers, calls and other work that keep it in memory. */
  work: number;
  over: boolean;
  /** Its own clock, in milliseconds. */
  now: () => number;
  depth: Depth;
  /** Its storage as it sees it itself; what is not durable yet dies with it. */
  rows: Map<string, unknown>;
  alarm: number | undefined;
  /** What leaves when all is durable; undefined if that is so. */
  held: (() => void)[] | undefined;
  /** Whether it lets nothing come in for now. */
  isHolding: boolean;
  guard: Guard | undefined;
}

export class SimulatedObject {
  readonly name: string;
  /** What is durable. */
  rows = new Map<string, unknown>();
  sockets: SimulatedSocket[] = [];
  life: Life | undefined;
  /** When its alarm is to go off, by its own clock, in milliseconds. */
  alarm: number | undefined;
  /** By how much its clock is ahead, in milliseconds. */
  readonly skew: number;
  /** How often it has crashed: ways to it that were used before are spent. */
  crashes = 0;
  /** The epoch of its newest link to each object that it has been told of. */
  readonly linked = new Map<string, number>();

  constructor(name: string, skew: number) {
    this.name = name;
    this.skew = skew;
  }
}

/** Whether storage says that a crash now would leave links in doubt. */
export function isBusy({ rows, alarm }: SimulatedObject): boolean {
  const row = rows.get("order");
  if (row === undefined) return false;
  const { busy, alarm: rest, kept, position } = properties(row);
  if (kept === true) return Number(position) < newestKept(rows);
  return busy === true || (alarm !== undefined && alarm !== rest);
}

/** The position of the newest message that storage has. */
function newestKept(rows: Map<string, unknown>): number {
  let newest = 0;
  for (const [key, row] of rows) {
    if (!key.startsWith("history:") || !isSegmentRow(row)) continue;
    newest = Math.max(newest, row.after + row.counts.reduce((sum, count) => sum + count));
  }
  return newest;
}

/** A call, and its answer. */
export interface Overheard {
  from: string;
  to: string;
  kind: keyof Calls;
  ask: Calls[keyof Calls]["request"];
  answer: Calls[keyof Calls]["answer"];
}

/** What is the same for all objects. */
export interface Rules {
  now(): number;
  /** Picks one of `among` things: a number from 0 to `among - 1`. */
  choose(among: number): number;
  /** Says by how much a new object's clock is ahead, in milliseconds. */
  skew(): number;
  limits: Limits;
  /** What a life that begins now checks tokens with; undefined where none are needed. */
  guard(): Guard | undefined;
  meet(rarity: Rarity): void;
  /** Whether calls fail and objects crash. */
  withFaults: boolean;
  /** Whether the platform is as strict as in production. */
  isStrict: boolean;
  /** Whether another way may not be opened now. */
  isDenied(): boolean;
  /** Told of each call that has been answered, while its caller still waits. */
  overheard(call: Overheard): void;
  /** Whether storage takes another row. */
  takesRow(): boolean;
}

/** Has something leave an object: at once, or when what that has written is durable. */
export function leave(life: Life, act: () => void): void {
  if (life.held) life.held.push(act);
  else act();
}

/** What a value has, if it has anything. */
export function properties(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
