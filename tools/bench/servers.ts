/** Starts the servers that are compared. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, mkdir, readFile, watch, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bundle, startRuntime } from "../../test/e2e/support/runtime.ts";

export interface Server {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Whether it speaks NATS's protocol instead of Fanout's. */
  readonly isNats: boolean;
}

export interface Servers {
  ours: Server;
  /** Ours, with 1,000 connections of one channel in 4 and in 16 objects. */
  trees: Server[];
  loop: Server;
  /** Undefined if it isn't installed. */
  nats: Server | undefined;
  bare: Server;
}

/** One publisher sends more than a client normally may. */
const UNLIMITED = { LINES_PER_SECOND: "1000000" };

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Starts all servers, which end with this process. */
export async function startServers(folder: string): Promise<Servers> {
  const file = await bundle(folder);
  const tree = (objects: number) => {
    const settings = { ...UNLIMITED, SOCKETS_PER_OBJECT: String(Math.ceil(1_000 / objects)) };
    return startWorker(`${objects} objects`, file, folder, settings);
  };
  const [ours, loop, nats, bare, ...trees] = await Promise.all([
    startWorker("ours", file, folder, UNLIMITED),
    startWorker("loop", join(HERE, "loop-worker.js"), folder),
    startNats(folder),
    startBare(),
    tree(4),
    tree(16),
  ]);
  return { ours, trees, loop, nats, bare };
}

/** Returns the measured versions. */
export async function versions(): Promise<string> {
  const workerd = join(HERE, "..", "..", "node_modules", ".bin", "workerd");
  const commands = [workerd, await findNats()].filter((command) => command !== undefined);
  const runs = commands.map(async (command) => (await promisify(execFile)(command, ["--version"])).stdout.trim());
  return [...(await Promise.all(runs)), `node ${process.version}`].join(", ");
}

async function startWorker(
  name: string,
  file: string,
  folder: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const own = join(folder, name);
  await mkdir(own);
  const onLine = (line: string) => console.error(`${name}: ${line}`);
  const { url, pid, kill } = await startRuntime(file, own, { onLine, settings });
  process.prependOnceListener("exit", () => void kill());
  return { name, port: Number(new URL(url).port), pid, isNats: false };
}

async function startBare(): Promise<Server> {
  const child = spawn(process.execPath, [join(HERE, "bare-server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = pidOf(child);
  for await (const port of createInterface({ input: child.stdout })) {
    return { name: "bare", port: Number(port), pid, isNats: false };
  }
  throw new Error("the bare server ended before it was listening");
}

/** Starts NATS on free ports, which it writes to a file. */
async function startNats(folder: string): Promise<Server | undefined> {
  const program = await findNats();
  if (program === undefined) return undefined;
  const configuration = join(folder, "nats.conf");
  await writeFile(
    configuration,
    `listen: "127.0.0.1:-1"
websocket { listen: "127.0.0.1:-1", no_tls: true }
ports_file_dir: ${JSON.stringify(folder)}
ping_interval: "1h"
`,
  );
  const ended = new AbortController();
  const changes = watch(folder, { signal: ended.signal });
  const child = spawn(program, ["-c", configuration], { stdio: "ignore" });
  const pid = pidOf(child);
  child.once("exit", () => ended.abort(new Error("the NATS server ended before it was listening")));
  const file = join(folder, `nats-server_${pid}.ports`);
  for await (const _ of changes) {
    const [, port] = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(await readFile(file, "utf8").catch(() => "")) ?? [];
    if (port) return { name: "nats", port: Number(port), pid, isNats: true };
  }
  return undefined;
}

/** Returns NATS's path; Debian installs it in a folder that is only in root's PATH. */
async function findNats(): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const program = join(folder, "nats-server");
    const exists = await access(program).then(
      () => true,
      () => false,
    );
    if (exists) return program;
  }
  return undefined;
}

/** Returns the process id of a child, which ends with this process. */
function pidOf(child: ChildProcess): number {
  process.prependOnceListener("exit", () => child.kill("SIGKILL"));
  return child.pid ?? 0;
}
