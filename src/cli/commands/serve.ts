/** `fanout serve`: the server on this machine. */
import { statfsSync } from "node:fs";
import { isLoopback } from "../../serve/address.ts";
import { ServeFault } from "../../serve/fault.ts";
import { findRuntime } from "../../serve/runtime.ts";
import { type LocalServer, startServer } from "../../serve/server.ts";
import { SECRETS, settingsIn } from "../../serve/settings.ts";
import { DONE, Exit, LOCAL, USAGE } from "../exits.ts";
import { print, remark, surviveClosedPipe } from "../output.ts";
import { secretFrom } from "../secrets.ts";
import { instead } from "../signals.ts";

export interface ServeCommand {
  port: number;
  host: string;
  data: string;
  var: Record<string, string>;
  secretFile?: string;
  previousSecretFile?: string;
}

/** Least time between two remarks about a full disk, in milliseconds. */
const REMARK_INTERVAL = 60_000;

/** Runs until the program is stopped; resolves to its exit code. */
export async function serve(command: ServeCommand): Promise<number> {
  const { port, host, data } = command;
  // A server that doesn't run isn't a success.
  surviveClosedPipe();
  const settings = settingsOf(command);
  const stopped = new Promise<void>((resolve) => instead(() => resolve()));
  const runtime = await Promise.race([findRuntime(remark).catch(explain), stopped]);
  if (runtime === undefined) return DONE;
  const server = await startServer({ runtime, port, host, data, settings, onLine: logger(data) }).catch(explain);
  if (!isLoopback(server.host) && !("TOKEN_SECRET" in settings) && !("TOKEN_JWKS_URL" in settings)) {
    remark("warning: everyone who can reach this machine may subscribe and announce; set TOKEN_SECRET");
  }
  try {
    await print(`Fanout serves ${addressOf(server)}; stop it with Ctrl-C`);
    const end = await Promise.race([stopped, server.ended]);
    if (end !== undefined) throw new Exit(LOCAL, `the runtime ended unexpectedly (${end}); start the server again`);
    return DONE;
  } finally {
    await server.stop();
  }
}

/** @throws Exit */
function explain(error: unknown): never {
  throw error instanceof ServeFault ? new Exit(error.isLocal ? LOCAL : USAGE, error.message) : error;
}

/** @throws Exit if a secret can't be read */
function settingsOf({ var: variables, secretFile, previousSecretFile }: ServeCommand): Record<string, string> {
  for (const name of SECRETS) {
    if (!(name in variables)) continue;
    const option = name === "TOKEN_SECRET" ? "--secret-file" : "--previous-secret-file";
    throw new Exit(USAGE, `a secret isn't an argument, as other users can see those; set ${name} or ${option}`);
  }
  const settings = { ...settingsIn(process.env), ...variables };
  const secret = secretFrom(secretFile, "TOKEN_SECRET");
  const previous = secretFrom(previousSecretFile, "TOKEN_SECRET_PREVIOUS");
  if (secret !== undefined) settings.TOKEN_SECRET = secret;
  if (previous !== undefined) settings.TOKEN_SECRET_PREVIOUS = previous;
  for (const [name, value] of Object.entries(settings)) {
    if (value.includes("\0")) throw new Exit(USAGE, `${name} contains a NUL character; it has to be text`);
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ""));
}

function addressOf({ host, port, url }: LocalServer): string {
  if (host === "127.0.0.1") return `http://localhost:${port}`;
  return host === "0.0.0.0" || host === "::" ? `${url} and every other address of this machine` : url;
}

/** Free bytes below which a disk counts as full: storage grows by several pages at a time. */
const ENOUGH_BYTES = 262_144;

/** Returns the bytes that this program may still write to a folder's disk. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Returns a function that prints the server's log, and remarks that the disk is full, at most once a minute. */
function logger(data: string): (line: string) => void {
  let remarkedAt = Number.NEGATIVE_INFINITY;
  return (line) => {
    process.stderr.write(`${line}\n`);
    // The runtime doesn't always report why an object can't store messages.
    if (!/SQLITE_|"uncertain"|"unavailable"/.test(line)) return;
    if (performance.now() < remarkedAt + REMARK_INTERVAL || freeBytes(data) >= ENOUGH_BYTES) return;
    remarkedAt = performance.now();
    remark(`the disk of ${data} is full; announcements fail until there is room`);
  };
}
