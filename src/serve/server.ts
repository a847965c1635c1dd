/** Runs the server on this machine, in workerd, with its storage in a folder. */
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { inUrl, type Listener, listenerAt, urlOf } from "./address.ts";
import { ServeFault } from "./fault.ts";
import { fill, lockFolder, shareFolder } from "./folder.ts";
import { type Running, startRuntime } from "./runtime.ts";

export interface ServerOptions {
  /** The path of the runtime. */
  runtime: string;
  /** A name or an IP address of this machine. */
  host: string;
  /** 0 for any free port. */
  port: number;
  /** The folder of its data, which is created if it is missing. */
  data: string;
  /** Settings and secrets by name. */
  settings: Record<string, string>;
  /** Called with each line that the runtime or the server logs. */
  onLine: (line: string) => void;
}

export interface LocalServer extends Listener {
  /** The URL at which programs on this machine reach it. */
  readonly url: string;
  /** The runtime's process. */
  readonly pid: number;
  /** Resolves when the runtime has ended, to a description such as `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** Finishes requests for up to a second, then ends the runtime with all connections. */
  stop(): Promise<void>;
}

/** How long requests may take after the server was told to stop, in milliseconds. */
const STOP_TIME = 1_000;

/** How long the server may take to answer its first request, in milliseconds. */
const START_TIME = 30_000;

/**
 * Starts the server; resolves when it answers requests. Its folder stays locked until this program ends.
 * @throws ServeFault if it can't run
 */
export async function startServer(options: ServerOptions): Promise<LocalServer> {
  const { host, port, data, settings, onLine } = options;
  const folder = resolve(data);
  const listener = await listenerAt(host, port);
  await lockFolder(folder);
  fill(folder, Object.keys(settings));
  const lines: string[] = [];
  let report = (line: string): void => void lines.push(line);
  const runtime = startRuntime(options.runtime, folder, `${inUrl(listener.host)}:${port}`, settings, (line) =>
    report(line),
  );
  try {
    shareFolder(folder, runtime.pid);
    const place = { host: listener.host, port: await portOf(runtime, lines) };
    const url = urlOf(place);
    await checkHealth(url);
    report = onLine;
    lines.forEach(onLine);
    return { ...place, url, pid: runtime.pid, ended: runtime.ended, stop: () => stop(runtime) };
  } catch (error) {
    runtime.signal("SIGKILL");
    await runtime.ended;
    throw error;
  }
}

async function portOf(runtime: Running, lines: string[]): Promise<number> {
  const port = await runtime.port;
  if (port !== undefined) return port;
  const end = await runtime.ended;
  throw new ServeFault(`the runtime can't start: ${lines.at(-1) ?? end}`, true);
}

/** Checks that the server works; it refuses all requests if a setting is wrong. @throws ServeFault */
async function checkHealth(url: string): Promise<void> {
  const response = await fetch(`${url}/-/health`, { signal: AbortSignal.timeout(START_TIME) }).catch(() => {
    throw new ServeFault("the server doesn't answer", true);
  });
  const text = (await response.text()).trim();
  if (response.status === 503) throw new ServeFault(`the server can't store messages: ${text}`, true);
  if (!response.ok) throw new ServeFault(text.replace(/^This server's settings are wrong: (.*)\.$/s, "$1"));
}

async function stop(runtime: Running): Promise<void> {
  runtime.signal("SIGTERM");
  const hasEnded = await Promise.race([runtime.ended, pause(STOP_TIME, undefined, { ref: false })]);
  if (hasEnded === undefined) runtime.signal("SIGKILL");
  await runtime.ended;
}
