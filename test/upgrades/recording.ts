/** What a version stores and sends, recorded to check that other versions understand it. */
import { isRecord } from "../../src/runtime/rows.ts";
import type { ObservedCall, SimulatedObject } from "../simulation/object.ts";
import { kindOfRow } from "../simulation/rows.ts";

/** Everything of an object that outlives its time in memory. */
export interface Stored {
  name: string;
  alarm: number | undefined;
  rows: Record<string, unknown>;
  attachments: unknown[];
}

export interface Recording {
  /** Together they have each kind of row and attachment, in each shape. */
  objects: Stored[];
  /** One call of each kind and shape. */
  calls: ObservedCall[];
}

/** Records new shapes. */
export class Recorder {
  readonly recording: Recording = { objects: [], calls: [] };
  readonly #known = new Set<string>();

  /** Records an object if any shape of its state is new. */
  addObject({ name, alarm, rows, sockets }: SimulatedObject): void {
    const attachments = sockets.filter(({ open }) => open).map((socket) => socket.deserializeAttachment());
    const state = structuredClone({ name, alarm, rows: Object.fromEntries([...rows].sort()), attachments });
    const shapes = storedShapes(state).filter((shape) => this.#isNew(shape));
    if (shapes.length > 0) this.recording.objects.push(state);
  }

  /** Records a call if its shape is new. */
  addCall({ from, to, kind, ask, answer }: ObservedCall): void {
    const call = structuredClone({ from, to, kind, ask, answer });
    if (this.#isNew(shapeOfCall(call))) this.recording.calls.push(call);
  }

  #isNew(shape: string): boolean {
    const isNew = !this.#known.has(shape);
    this.#known.add(shape);
    return isNew;
  }
}

/** Returns the shapes of an object's state, each as `kind: shape`. */
export function storedShapes({ rows, attachments }: Stored): string[] {
  const shapes = attachments.map((attachment) => `attachment: ${shapeOf(attachment)}`);
  return [...shapes, ...Object.entries(rows).map(([key, row]) => `${kindOfRow(key)}: ${shapeOf(row)}`)];
}

/** Returns the shape of a call, as `kind: shape => shape`. */
export function shapeOfCall({ kind, ask, answer }: ObservedCall): string {
  return `${kind}: ${shapeOf(ask)} => ${shapeOf(answer)}`;
}

/** Returns a value's properties and their types; for booleans and some strings, also the value. */
export function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (typeof value === "boolean") return String(value);
  if (value === "" || value === "sockets" || value === "links") return JSON.stringify(value);
  if (!isRecord(value)) return typeof value;
  const parts = Object.entries(value).map(([name, part]) => `${name}: ${shapeOf(part)}`);
  return `{ ${parts.sort().join(", ")} }`;
}

/** Formats a recording as JSON, one line per object and call, with null for undefined. */
export function formatRecording({ objects, calls }: Recording): string {
  const lines = (values: unknown[]) =>
    values.map((value) => JSON.stringify(value, (_, part: unknown) => part ?? null)).join(",\n");
  return `{\n"objects": [\n${lines(objects)}\n],\n"calls": [\n${lines(calls)}\n]\n}\n`;
}

/** Parses the output of `formatRecording`. */
export function parseRecording(text: string): Recording {
  const recording: Recording = JSON.parse(text);
  restore(recording);
  return recording;
}

function restore(value: unknown): void {
  if (!isRecord(value)) return;
  for (const [name, part] of Object.entries(value)) {
    if (part === null) value[name] = undefined;
    else restore(part);
  }
}

const EXTRA = "fromLater";

/** Returns a copy in which each object has an extra property, as later versions may add. */
export function withExtraProperties<T>(value: T): T {
  const copy = structuredClone(value);
  widen(copy);
  return copy;
}

function widen(value: unknown): void {
  if (!isRecord(value)) return;
  for (const part of Object.values(value)) widen(part);
  if (!Array.isArray(value)) value[EXTRA] = 7;
}

/** Returns a copy without those extra properties. */
export function withoutExtraProperties<T>(value: T): T {
  return without(value, (name) => name === EXTRA);
}

/** Returns a copy without the properties that are undefined. */
export function withoutUndefined<T>(value: T): T {
  return without(value, (_, part) => part === undefined);
}

function without<T>(value: T, isDropped: (name: string, part: unknown) => boolean): T {
  const copy = structuredClone(value);
  drop(copy, isDropped);
  return copy;
}

function drop(value: unknown, isDropped: (name: string, part: unknown) => boolean): void {
  if (!isRecord(value)) return;
  for (const [name, part] of Object.entries(value)) {
    if (isDropped(name, part)) delete value[name];
    else drop(part, isDropped);
  }
}
