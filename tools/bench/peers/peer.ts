/** What the servers have in common that this project is compared with. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../../../test/e2e/support/listening.ts";
import type { Protocol } from "../protocol.ts";

export interface Server {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly protocol: Protocol;
}

/** A server of another project. */
export interface Peer {
  readonly name: string;
  /** What it is, how it is configured, and what survives its end. */
  readonly configuration: string;
  /** How to install it. */
  readonly install: string;
  readonly protocol: Protocol;
  /** Returns its version; undefined if it isn't installed. */
  version(): Promise<string | undefined>;
  /**
   * Returns the command that serves on a port of this machine, in a process of its own that stays in the foreground.
   * @param folder an empty folder for its files
   */
  command(port: number, folder: string): Promise<string[]>;
}

/** Milliseconds between attempts to connect to a server that is starting, and how many there are. */
const PATIENCE = { interval: 50, attempts: 200 };

/** Starts a peer, which ends with this process. */
export async function startPeer({ name, protocol, command }: Peer, folder: string): Promise<Server> {
  const own = join(folder, name);
  await mkdir(own);
  const port = Number(await freePort());
  const [program = "", ...words] = await command(port, own);
  const child = spawn(program, words, { stdio: ["ignore", "ignore", "inherit"], cwd: own });
  const pid = pidOf(child);
  for (let attempt = 0; child.exitCode === null && attempt < PATIENCE.attempts; attempt++) {
    if (await accepts(port)) return { name, port, pid, protocol };
    await sleep(PATIENCE.interval);
  }
  throw new Error(`${name} isn't listening`);
}

/** Returns the process id of a child, which ends with this process. */
export function pidOf(child: ChildProcess): number {
  process.prependOnceListener("exit", () => child.kill("SIGKILL"));
  return child.pid ?? 0;
}

/** Returns a program's path; Debian installs some in folders that are only in root's PATH. */
export async function find(program: string): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const path = join(folder, program);
    if (await exists(path)) return path;
  }
  return undefined;
}

export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Returns what a program prints, whatever its exit code. */
export async function output(program: string, ...words: string[]): Promise<string> {
  const run = promisify(execFile)(program, words);
  const { stdout, stderr } = await run.catch((error: { stdout?: string; stderr?: string }) => error);
  return `${stdout ?? ""}${stderr ?? ""}`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
