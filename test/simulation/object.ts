/** Simulated objects, and what each holds while it is in memory. */
import type { Guard } from "../../src/auth/verify.ts";
import { isSegmentRow } from "../../src/channel/history-rows.ts";
import type { Broker } from "../../src/object/broker.ts";
import type { Calls } from "../../src/runtime/calls.ts";
import type { Limits } from "../../src/runtime/limits.ts";
import { isRecord } from "../../src/runtime/rows.ts";
import type { CoverageGoal } from "./coverage.ts";
import type { Depth } from "./platform-rules.ts";
import type { SimulatedSocket } from "./socket.ts";

/** An object's time in memory: from its waking to its crash or hibernation. */
export interface Incarnation {
  broker: Broker;
  /** Number of timers, calls and other work that keep it in memory. */
  work: number;
  over: boolean;
  /** Its own clock, in milliseconds. */
  now: () => number;
  depth: Depth;
  /** Storage as the object itself sees it; a crash loses what isn't durable. */
  rows: Map<string, unknown>;
  alarm: number | undefined;
  /** Output that is held until all writes are durable; undefined if they are. */
  held: (() => void)[] | undefined;
  /** Rows of its history that aren't durable yet. */
  histories: unknown[];
  /** Whether the object blocks its input. */
  isHolding: boolean;
  /** The objects that haven't answered a report of members yet. */
  reporting: Set<string>;
  guard: Guard | undefined;
}

export class SimulatedObject {
  readonly name: string;
  /** The durable rows. */
  rows = new Map<string, unknown>();
  sockets: SimulatedSocket[] = [];
  incarnation: Incarnation | undefined;
  /** When its alarm is due, by its own clock, in milliseconds. */
  alarm: number | undefined;
  /** How far its clock is ahead, in milliseconds. */
  readonly skew: number;
  /** Number of crashes; each one invalidates the stubs in use. */
  crashes = 0;
  /** Whether it runs today's code rather than the last release. */
  isUpgraded = false;
  /** The epoch of the newest link to each object that it knows of. */
  readonly linked = new Map<string, number>();

  constructor(name: string, skew: number) {
    this.name = name;
    this.skew = skew;
  }
}

/** Whether, according to storage, a crash now would leave links in doubt. */
export function isBusy({ rows, alarm }: SimulatedObject): boolean {
  const row = rows.get("order");
  if (row === undefined) return false;
  const { busy, alarm: rest, kept, position } = properties(row);
  if (kept === true) return Number(position) < newestStored(rows);
  return busy === true || (alarm !== undefined && alarm !== rest);
}

/** The position of the newest stored message. */
function newestStored(rows: Map<string, unknown>): number {
  let newest = 0;
  for (const [key, row] of rows) {
    if (!key.startsWith("history:") || !isSegmentRow(row)) continue;
    newest = Math.max(newest, row.after + row.counts.reduce((sum, count) => sum + count));
  }
  return newest;
}

/** A call between objects, and its answer. */
export interface ObservedCall {
  from: string;
  to: string;
  kind: keyof Calls;
  ask: Calls[keyof Calls]["request"];
  answer: Calls[keyof Calls]["answer"];
}

/** What all objects share. */
export interface Environment {
  now(): number;
  /** Picks one of `among` options: a number from 0 to `among - 1`. */
  choose(among: number): number;
  /** Draws how far a new object's clock is ahead, in milliseconds. */
  skew(): number;
  limits: Limits;
  /** Returns what an object checks tokens with, from its waking on; undefined if it needs none. */
  guard(): Guard | undefined;
  cover(goal: CoverageGoal): void;
  /** Whether calls fail and objects crash. */
  withFaults: boolean;
  /** Whether objects run the last release until a deploy reaches them. */
  isDeploying: boolean;
  /** Whether the platform is as strict as in production. */
  isStrict: boolean;
  /** Whether the platform refuses to open another stub now. */
  isDenied(): boolean;
  /** Receives each answered call, before its caller does. */
  observe(call: ObservedCall): void;
  /** Whether storage accepts another row. */
  acceptsRow(): boolean;
  /** Receives each durable row of a root's history. */
  retained(object: SimulatedObject, row: unknown): void;
  /** Called when storage has refused such a row. */
  notRetained(object: SimulatedObject): void;
  /** Called before an object leaves memory. */
  ending(object: SimulatedObject): void;
  /** Called before an object crashes. */
  crashing(object: SimulatedObject): void;
}

/** Sends output of an object: immediately, or once its writes are durable. */
export function leave(incarnation: Incarnation, act: () => void): void {
  if (incarnation.held) incarnation.held.push(act);
  else act();
}

/** The properties of a value; none if it isn't an object. */
export function properties(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
