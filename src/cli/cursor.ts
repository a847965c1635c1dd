/** A file with a position in each channel. It is replaced atomically, and locked by one run at a time. */
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { acquire, Locked } from "../serve/lock.ts";
import { codeOf, Exit, LOCAL, messageOf, USAGE } from "./exits.ts";

export type Cursor = ReturnType<typeof openCursor>;

/**
 * Locks the file until the program ends, and reads it. A missing or empty file has no positions.
 * @throws Exit if another run uses the file, or if it can't be read or isn't a cursor
 */
export function openCursor(file: string) {
  // Before the lock, so that a wrong name leaves no lock behind.
  readPositions(file);
  lock(file);
  const positions = readPositions(file);
  return {
    positionIn: (channel: string) => positions.get(channel),
    /** Stores the position at which a channel starts, unless one is stored already. */
    begin(channel: string, position: number): void {
      if (!positions.has(channel)) this.reach(channel, position);
    },
    /** Stores a position, unless a later one is stored. @throws Exit if the file can't be written */
    reach(channel: string, position: number): void {
      if (position <= (positions.get(channel) ?? -1)) return;
      positions.set(channel, position);
      writePositions(file, positions);
    },
  };
}

function writePositions(file: string, positions: Map<string, number>): void {
  const next = `${file}.${randomUUID()}.tmp`;
  try {
    writeFileSync(next, `${JSON.stringify(Object.fromEntries(positions))}\n`, {
      mode: 0o600,
      flag: "wx",
      // Otherwise the file may be empty after a power failure, which would count as a new cursor.
      flush: true,
    });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw new Exit(LOCAL, `the cursor can't be written: ${messageOf(error)}`);
  }
}

function readPositions(file: string): Map<string, number> {
  const text = readText(file);
  if (text.trim() === "") return new Map();
  try {
    return parsePositions(text);
  } catch {
    throw new Exit(USAGE, `${file} isn't a cursor; name a file that --cursor wrote, or a new one`);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw new Exit(USAGE, `the cursor can't be read: ${messageOf(error)}`);
  }
}

/** Parses the text of a cursor. @throws Error if it isn't one */
function parsePositions(text: string): Map<string, number> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("no object");
  const positions = new Map<string, number>();
  for (const [channel, position] of Object.entries<unknown>({ ...value })) {
    if (typeof position !== "number" || !Number.isSafeInteger(position) || position < 0) throw new Error("no position");
    positions.set(channel, position);
  }
  return positions;
}

/** Locks `<file>.lock` until the program ends. @throws Exit if another run has it, or it can't be written */
function lock(file: string): void {
  try {
    acquire(`${file}.lock`);
  } catch (error) {
    if (error instanceof Locked) {
      const { holder } = error;
      const who = holder === undefined ? "another run has just taken" : `process ${holder} is using`;
      throw new Exit(LOCAL, `${who} the cursor ${file}; use one cursor for each run`);
    }
    const code = codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR" ? USAGE : LOCAL;
    throw new Exit(code, `the cursor can't be locked: ${messageOf(error)}`);
  }
}
