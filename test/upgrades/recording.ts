/** What a version stores and sends, recorded so that objects can be asked whether they understand it. */
import { isRecord } from "../../src/runtime/rows.ts";
import type { Overheard, SimulatedObject } from "../simulation/life.ts";
import { kindOfRow } from "../simulation/rows.ts";

/** One object at one time: all that outlives its time in memory. */
export interface Kept {
  name: string;
  alarm: number | undefined;
  rows: Record<string, unknown>;
  attachments: unknown[];
}

export interface Recording {
  /** Together they have each kind of row and attachment, in each shape. */
  objects: Kept[];
  /** One of each kind, and of each shape of what is asked and answered. */
  calls: Overheard[];
}

/** Records what is new. */
export class Recorder {
  readonly recording: Recording = { objects: [], calls: [] };
  readonly #known = new Set<string>();

  /** Looks at an object. */
  look({ name, alarm, rows, sockets }: SimulatedObject): void {
    const attachments = sockets.filter(({ open }) => open).map((socket) => socket.deserializeAttachment());
    const kept = structuredClone({ name, alarm, rows: Object.fromEntries([...rows].sort()), attachments });
    const shapes = shapesKept(kept).filter((shape) => this.#isNew(shape));
    if (shapes.length > 0) this.recording.objects.push(kept);
  }

  /** Hears a call. */
  hear({ from, to, kind, ask, answer }: Overheard): void {
    const call = structuredClone({ from, to, kind, ask, answer });
    if (this.#isNew(shapeOfCall(call))) this.recording.calls.push(call);
  }

  #isNew(shape: string): boolean {
    const isNew = !this.#known.has(shape);
    this.#known.add(shape);
    return isNew;
  }
}

/** What an object keeps, each as `kind: shape`. */
export function shapesKept({ rows, attachments }: Kept): string[] {
  const shapes = attachments.map((attachment) => `attachment: ${shapeOf(attachment)}`);
  return [...shapes, ...Object.entries(rows).map(([key, row]) => `${kindOfRow(key)}: ${shapeOf(row)}`)];
}

/** What is asked and answered, as `kind: shape => shape`. */
export function shapeOfCall({ kind, ask, answer }: Overheard): string {
  return `${kind}: ${shapeOf(ask)} => ${shapeOf(answer)}`;
}

/** What a value is made of: which properties, of which types; of booleans also which, of texts whether empty. */
export function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (typeof value === "boolean") return String(value);
  if (value === "" || value === "sockets" || value === "links") return JSON.stringify(value);
  if (!isRecord(value)) return typeof value;
  const parts = Object.entries(value).map(([name, part]) => `${name}: ${shapeOf(part)}`);
  return `{ ${parts.sort().join(", ")} }`;
}

/** As JSON, a line for each object and call; null stands for undefined, which JSON has not. */
export function formatRecording({ objects, calls }: Recording): string {
  const lines = (values: unknown[]) =>
    values.map((value) => JSON.stringify(value, (_, part: unknown) => part ?? null)).join(",\n");
  return `{\n"objects": [\n${lines(objects)}\n],\n"calls": [\n${lines(calls)}\n]\n}\n`;
}

/** The same again, from JSON. */
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

/** A copy in which each object has one property more, as what a later version stores or sends may have. */
export function widened<T>(value: T): T {
  const copy = structuredClone(value);
  widen(copy);
  return copy;
}

function widen(value: unknown): void {
  if (!isRecord(value)) return;
  for (const part of Object.values(value)) widen(part);
  if (!Array.isArray(value)) value.fromLater = 7;
}

/** A copy in which what is undefined is not there at all. */
export function shortened<T>(value: T): T {
  const copy = structuredClone(value);
  leaveOut(copy);
  return copy;
}

function leaveOut(value: unknown): void {
  if (!isRecord(value)) return;
  for (const [name, part] of Object.entries(value)) {
    if (part === undefined) delete value[name];
    else leaveOut(part);
  }
}
