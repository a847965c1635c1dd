/** A file with a position in each channel. It is replaced atomically, and locked by one run at a time. */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { codeOf, Exit, LOCAL, messageOf, USAGE } from "./exits.ts";

export interface Cursor {
  positionIn(channel: string): number | undefined;
  /** Stores the position at which a channel starts, unless one is stored already. */
  begin(channel: string, position: number): void;
  /** Stores a position, unless a later one is stored. @throws Exit if the file can't be written */
  reach(channel: string, position: number): void;
}

/**
 * Locks the file until the program ends, and reads it. A missing or empty file has no positions.
 * @throws Exit if another run uses the file, or if it can't be read or isn't a cursor
 */
export function openCursor(file: string): Cursor {
  // Before the lock, so that a wrong name leaves no lock behind.
  readPositions(file);
  lock(file);
  const positions = readPositions(file);
  return {
    positionIn: (channel) => positions.get(channel),
    begin(channel, position) {
      if (!positions.has(channel)) this.reach(channel, position);
    },
    reach(channel, position) {
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

/** Creates `<file>.lock` with this process's id, and replaces a lock whose process has ended. */
function lock(file: string): void {
  const lockFile = `${file}.lock`;
  const mine = `${lockFile}.${randomUUID()}`;
  try {
    writeFileSync(mine, `${process.pid}\n`, { mode: 0o600, flag: "wx" });
    // Linking is atomic, so another run never reads an incomplete lock.
    if (!linked(mine, lockFile)) {
      const holder = holderOf(lockFile);
      if (holder !== undefined) {
        throw new Exit(LOCAL, `process ${holder} is using the cursor ${file}; use one cursor for each run`);
      }
      takeOver(lockFile, mine);
    }
  } catch (error) {
    if (error instanceof Exit) throw error;
    const code = codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR" ? USAGE : LOCAL;
    throw new Exit(code, `the cursor can't be locked: ${messageOf(error)}`);
  } finally {
    rmSync(mine, { force: true });
  }
  process.on("exit", () => rmSync(lockFile, { force: true }));
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Replaces a stale lock. If several runs try, the first one that moves the old lock away wins. */
function takeOver(lockFile: string, mine: string): void {
  const old = `${mine}.old`;
  renameSync(lockFile, old);
  // Another run may have replaced the stale lock since it was read.
  const isStale = holderOf(old) === undefined;
  if (!isStale) linked(old, lockFile);
  unlinkSync(old);
  if (!isStale || !linked(mine, lockFile)) {
    throw new Exit(LOCAL, "another run has just taken the cursor; use one cursor for each run");
  }
}

/** Returns the process that holds a lock; undefined if it has ended. */
function holderOf(lockFile: string): number | undefined {
  const pid = Number(readFileSync(lockFile, "utf8"));
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return codeOf(error) === "EPERM" ? pid : undefined;
  }
}
