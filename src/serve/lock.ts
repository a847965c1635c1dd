/** Files that at most one program at a time owns. They name processes, so a lock ends with them, also after `kill -9`. */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { codeIn } from "./fault.ts";

/** Another program owns the lock. */
export class Locked extends Error {
  /** A process that holds the lock; undefined if another program took the lock at the same moment. */
  readonly holder: number | undefined;
  /** Whether the program that took the lock has ended, and only a process that it started holds the lock. */
  readonly isOrphaned: boolean;

  constructor(holder: number | undefined, isOrphaned: boolean) {
    super(holder === undefined ? "another process has just taken the lock" : `process ${holder} holds the lock`);
    this.holder = holder;
    this.isOrphaned = isOrphaned;
  }
}

/**
 * Creates a lock file with this process's id until the process ends, and replaces one whose processes have ended.
 * @throws Locked if another process holds it; the system's error if the file can't be written
 */
export function acquire(file: string): void {
  const mine = temporary(file);
  try {
    writeFileSync(mine, `${identityOf(process.pid)}\n`, { mode: 0o600, flag: "wx" });
    // Linking is atomic, so another process never reads an incomplete lock.
    if (!linked(mine, file)) {
      refuseIfHeld(file);
      takeOver(file, mine);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  process.on("exit", () => release(file));
}

/** Removes the lock, unless a process that shares it still runs: then it is stale once that has ended. */
function release(file: string): void {
  if (holdersIn(file).every((holder) => holder === undefined)) rmSync(file, { force: true });
}

/** Adds a process to this process's lock, which also has to end before another program gets the lock. */
export function share(file: string, pid: number): void {
  const mine = temporary(file);
  writeFileSync(mine, `${identityOf(process.pid)}\n${identityOf(pid)}\n`, { mode: 0o600, flag: "wx" });
  renameSync(mine, file);
}

function temporary(file: string): string {
  return `${file}.${randomUUID()}`;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeIn(error) === "EEXIST") return false;
    throw error;
  }
}

/** Replaces a stale lock. If several processes try, the first one that moves the old lock away wins. */
function takeOver(file: string, mine: string): void {
  const old = `${mine}.old`;
  try {
    renameSync(file, old);
  } catch (error) {
    if (codeIn(error) === "ENOENT") throw new Locked(undefined, false);
    throw error;
  }
  // Another process may have replaced the stale lock since it was read.
  const isStale = holdersIn(old).every((holder) => holder === undefined);
  if (!isStale) linked(old, file);
  unlinkSync(old);
  if (!isStale || !linked(mine, file)) throw new Locked(undefined, false);
}

/** @throws Locked if a process that the lock names is alive */
function refuseIfHeld(file: string): void {
  const [owner, ...others] = holdersIn(file);
  const holder = owner ?? others.find((pid) => pid !== undefined);
  if (holder !== undefined) throw new Locked(holder, owner === undefined);
}

/** Returns the processes of a lock, in the file's order; undefined for those that have ended. */
function holdersIn(file: string): (number | undefined)[] {
  return readLock(file)
    .trim()
    .split("\n")
    .map((line) => {
      const [word = "", start] = line.split(" ");
      const pid = Number(word);
      if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid || !isAlive(pid)) return undefined;
      // The system gives the ids of ended processes to others.
      return start === undefined || start === startOf(pid) ? pid : undefined;
    });
}

function readLock(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // Its owner has just removed it.
    if (codeIn(error) === "ENOENT") return "";
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeIn(error) === "EPERM";
  }
}

/** Returns a process's id, and on Linux also when the process started. */
function identityOf(pid: number): string {
  const start = startOf(pid);
  return start === undefined ? String(pid) : `${pid} ${start}`;
}

/**
 * Returns when a process started: the boot, and the ticks since then. Only Linux tells.
 * @returns undefined also for zombies, which have ended
 */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // The second field is the program's name in parentheses, which may contain anything; the start is field 22.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    return fields?.[0] === "Z" ? undefined : `${boot}/${fields?.[19]}`;
  } catch {
    return undefined;
  }
}
