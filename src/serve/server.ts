/** Runs the server on this machine, in workerd, with its storage in a folder. */
import { get as httpGet } from "node:http";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { inUrl, type Listener, listenerAt, urlOf } from "./address.ts";
import { codeIn, reasonOf, ServeFault } from "./fault.ts";
import { createFolder, fill, lockFolder, shareFolder } from "./folder.ts";
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
  /** Whether only this program knows the folder, which then needs no lock, and may end while the server runs. */
  isTemporary?: boolean;
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
  /** Ends the runtime at once. */
  kill(): Promise<void>;
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
  if (options.isTemporary) createFolder(folder);
  else await lockFolder(folder);
  // After the folder's last server has ended, which may have used this port.
  const listener = await listenerAt(host, port);
  fill(folder, Object.keys(settings));
  const lines: string[] = [];
  let report = (line: string): void => void lines.push(line);
  const runtime = spawned(() =>
    startRuntime(options.runtime, folder, `${inUrl(listener.host)}:${port}`, settings, (line) => report(line)),
  );
  try {
    if (!options.isTemporary) shareFolder(folder, runtime.pid);
    const place = { host: listener.host, port: await portOf(runtime, lines) };
    const url = urlOf(place);
    await checkHealth(url);
    report = onLine;
    lines.forEach(onLine);
    if (options.isTemporary) runtime.unref();
    const { pid, ended } = runtime;
    return { ...place, url, pid, ended, stop: () => stop(runtime), kill: () => kill(runtime) };
  } catch (error) {
    await kill(runtime);
    throw error;
  }
}

/** @throws ServeFault if the system can't start the process */
function spawned(start: () => Running): Running {
  try {
    return start();
  } catch (error) {
    if (codeIn(error) === "E2BIG") throw new ServeFault("the settings are too long for this system; shorten them");
    throw new ServeFault(`the runtime can't start: ${reasonOf(error)}`, true);
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
  const { status, text } = await get(`${url}/-/health`).catch(() => {
    throw new ServeFault("the server doesn't answer", true);
  });
  if (status === 503) throw new ServeFault(`the server can't store messages: ${text}`, true);
  if (status !== 200) throw new ServeFault(text.replace(/^This server's settings are wrong: (.*)\.$/s, "$1"));
}

/** Gets a small text. The environments of some test runners have no `fetch`. */
function get(url: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpGet(url, { agent: false, timeout: START_TIME }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.once("error", reject).once("end", () => resolve({ status: response.statusCode, text: text.trim() }));
    });
    request.once("timeout", () => request.destroy(new Error("no answer"))).once("error", reject);
  });
}

async function kill(runtime: Running): Promise<void> {
  runtime.signal("SIGKILL");
  await runtime.ended;
}

async function stop(runtime: Running): Promise<void> {
  runtime.signal("SIGTERM");
  const hasEnded = await Promise.race([runtime.ended, pause(STOP_TIME, undefined, { ref: false })]);
  if (hasEnded === undefined) runtime.signal("SIGKILL");
  await runtime.ended;
}
