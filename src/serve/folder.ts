/** The folder of a server's data: its storage, its lock, and what the runtime reads at its start. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CONFIGURATION, configurationFor, STORAGE, WORKER } from "./configuration.ts";
import { codeIn, reasonOf, ServeFault } from "./fault.ts";
import { acquire, Locked, share } from "./lock.ts";
import { workerSource } from "./worker-source.ts";

/** How long a runtime may take to end after the program that started it was killed, in milliseconds. */
const ORPHAN_TIME = 5_000;

const LOCK = "lock";

/** Creates the folder if it is missing. @throws ServeFault */
export function createFolder(folder: string): void {
  try {
    mkdirSync(join(folder, STORAGE), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw faultOf(error, folder);
  }
}

/** Creates the folder if it is missing, and locks it until this program ends. @throws ServeFault */
export async function lockFolder(folder: string): Promise<void> {
  createFolder(folder);
  try {
    await lock(join(folder, LOCK));
  } catch (error) {
    throw faultOf(error, folder);
  }
}

/** Adds the runtime to the lock. @throws ServeFault */
export function shareFolder(folder: string, pid: number): void {
  try {
    share(join(folder, LOCK), pid);
  } catch (error) {
    throw faultOf(error, folder);
  }
}

/** Waits for a runtime that is just being ended. */
async function lock(file: string): Promise<void> {
  for (const deadline = performance.now() + ORPHAN_TIME; ; await pause(20)) {
    try {
      return acquire(file);
    } catch (error) {
      if (!(error instanceof Locked) || !error.isOrphaned || performance.now() > deadline) throw error;
    }
  }
}

/** Writes the server's code and the runtime's configuration. @throws ServeFault */
export function fill(folder: string, settings: string[]): void {
  const source = workerSource();
  try {
    writeFileSync(join(folder, WORKER), source);
    writeFileSync(
      join(folder, CONFIGURATION),
      `# Written by fanout serve at each start.\n${configurationFor(settings)}`,
    );
  } catch (error) {
    throw faultOf(error, folder);
  }
}

function faultOf(error: unknown, folder: string): ServeFault {
  if (error instanceof Locked) {
    const who = error.holder === undefined ? "another process has just taken" : `process ${error.holder} is using`;
    return new ServeFault(`${who} the folder ${folder}; stop it, or choose another folder with --data`, true);
  }
  switch (codeIn(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new ServeFault(`the disk of ${folder} is full; make room, or choose another folder with --data`, true);
    case "EEXIST":
    case "ENOTDIR":
      return new ServeFault(`${folder} isn't a folder; choose one with --data`);
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new ServeFault(`the folder ${folder} isn't writable; choose another one with --data`, true);
    default:
      return new ServeFault(`the folder ${folder} can't be used: ${reasonOf(error)}`, true);
  }
}
