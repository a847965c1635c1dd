/** The runtime, workerd: a program of about 160 MB, which is installed when a server starts for the first time. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable, Writable } from "node:stream";
import { CONFIGURATION } from "./configuration.ts";
import { reasonOf, ServeFault } from "./fault.ts";
import { cachedRuntime, installRuntime, MACHINE } from "./install.ts";

/** The version with which the server is tested. */
export const TESTED = "1.20261117.1";

/** The oldest version that knows the Worker's compatibility date. */
const OLDEST = 20_261_001;

const INSTALL = `install it beside this package: npm install workerd@${TESTED}`;

/**
 * Returns the path of the runtime: the one beside this package or in the current folder, or else this user's, which is
 * installed if it is missing.
 * @param onLine called with a line before an installation, which takes a while
 * @throws ServeFault
 */
export async function findRuntime(onLine: (line: string) => void): Promise<string> {
  if (process.platform === "win32") throw new ServeFault("this command runs on Linux and macOS; use WSL on Windows");
  const path = pathFrom(import.meta.filename) ?? pathFrom(join(process.cwd(), "x"));
  if (path !== undefined) return path;
  const cached = cachedRuntime(TESTED);
  const usable = usableIn(cached);
  if (usable !== undefined) return usable;
  onLine(`installing the runtime, workerd ${TESTED}, once, in ${cached}`);
  const folder = await installRuntime(TESTED, (folder) => usableIn(folder) !== undefined).catch((error: unknown) => {
    throw new ServeFault(`the runtime workerd can't be installed: ${reasonOf(error)}; ${INSTALL}`, true);
  });
  const installed = pathFrom(join(folder, "x"));
  if (installed === undefined) throw new ServeFault(`the runtime workerd isn't in ${folder}; ${INSTALL}`, true);
  return installed;
}

/** Returns the path of the runtime in a folder of the cache; undefined if files are missing, such as its program. */
function usableIn(folder: string): string | undefined {
  try {
    const path = pathFrom(join(folder, "x"));
    return path !== undefined && existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the path of the runtime that a module would import; undefined if there is none. @throws ServeFault */
function pathFrom(module: string): string | undefined {
  const require = createRequire(module);
  try {
    require.resolve("workerd");
  } catch {
    return undefined;
  }
  return pathIn(load(require));
}

/** @throws ServeFault if the package has no program for this machine */
function load(require: NodeJS.Require): unknown {
  try {
    return require("workerd");
  } catch {
    throw new ServeFault(`workerd is installed without its program for ${MACHINE}; ${INSTALL}`);
  }
}

function pathIn(exported: unknown): string {
  if (typeof exported !== "object" || exported === null || !("default" in exported) || !("version" in exported)) {
    throw new ServeFault(`this workerd names no program; ${INSTALL}`);
  }
  const { default: path, version } = exported;
  if (Number(String(version).split(".")[1]) < OLDEST) {
    throw new ServeFault(`workerd ${version} is too old; ${INSTALL}`);
  }
  return String(path);
}

/**
 * Starts a watcher, and becomes the runtime. If the program that started it ends without a line on file descriptor 4,
 * for example because it was killed, the watcher ends the runtime. Each connection takes two files.
 */
const START = `( exec >&- 2>&- 3>&-; read -r _ <&4 || kill -KILL $$ ) &
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
exec "$@" 4<&-`;

export interface Running {
  readonly pid: number;
  /** Resolves to the port when the runtime listens; to undefined if it ends first. */
  readonly port: Promise<number | undefined>;
  /** Resolves when it has ended, to a description such as `signal SIGKILL`. */
  readonly ended: Promise<string>;
  signal(signal: "SIGTERM" | "SIGKILL"): void;
  /** Lets this program end while the runtime runs; then the runtime ends, too. */
  unref(): void;
}

/**
 * Starts the runtime in the folder of its configuration.
 * @param variables its whole environment
 * @param onLine called with each line of its output
 */
export function startRuntime(
  path: string,
  folder: string,
  address: string,
  variables: Record<string, string>,
  onLine: (line: string) => void,
): Running {
  const command = [path, "serve", CONFIGURATION, `--socket-addr=http=${address}`, "--control-fd=3"];
  const child = spawn("/bin/sh", ["-c", START, "sh", ...command], {
    cwd: folder,
    env: variables,
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    // Otherwise Ctrl-C would end it before it is told to finish.
    detached: true,
  });
  const [, stdout, stderr, control, watcher] = child.stdio;
  for (const stream of [stdout, stderr]) linesOf(stream).on("line", onLine);
  const ended = endOf(child).finally(() => {
    // Its id may soon be another process's.
    if (watcher instanceof Writable) watcher.end("ended\n");
  });
  // The watcher closes its end with the runtime.
  watcher?.on("error", () => {});
  return {
    pid: child.pid ?? 0,
    port: listeningPort(linesOf(control)),
    ended,
    signal: (signal) => {
      // Its end is awaited.
      child.ref();
      child.kill(signal);
    },
    unref: () => {
      child.unref();
      for (const pipe of child.stdio) if (pipe instanceof Socket) pipe.unref();
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", ({ message }) => resolve(message));
    child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
}

function linesOf(pipe: unknown) {
  if (pipe instanceof Readable) return createInterface({ input: pipe });
  throw new Error("the runtime was started without a pipe");
}

async function listeningPort(lines: AsyncIterable<string>): Promise<number | undefined> {
  for await (const line of lines) {
    const event: unknown = JSON.parse(line);
    if (typeof event !== "object" || event === null || !("port" in event)) continue;
    if (typeof event.port === "number") return event.port;
  }
  return undefined;
}
