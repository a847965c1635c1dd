import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import exported from "workerd";

/** A runtime that serves a Worker, by default this project's, with nothing in front of it. */
export interface Runtime {
  /** Its URL: `ws://127.0.0.1:` and a free port. */
  readonly url: string;
  readonly pid: number;
  /** Kills it, as a power failure would; its folder keeps everything it has stored. */
  kill(): Promise<void>;
}

export interface RuntimeOptions {
  /** Path of another Worker's wrangler.toml, relative to the project; it must have one class of objects. */
  configuration?: string;
  /** Overrides of the variables in wrangler.toml. */
  settings?: Record<string, string>;
  /** Called with each line of the Worker's console output. */
  onLine?: (line: string) => void;
  /**
   * Source of a module that replaces the Worker. It may import the Worker from "./worker.js", and must export the same
   * names.
   */
  around?: string;
  /** Additional compatibility flags. */
  flags?: string[];
  /** V8's command-line flags. */
  v8Flags?: string[];
  /** A deployment mistake to simulate: no binding to the objects, or no SQLite storage for them. */
  lacks?: "binding" | "sqlite";
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CONFIGURATION = "wrangler.toml";

/** Raises the limit of open files, because each connection takes two. */
const MORE_FILES = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"';

/** Creates an empty folder for the storage of a runtime, or of several in turn. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "fanout-runtime-"));
}

/** Removes a folder with everything in it. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * Bundles the Worker into `folder` as a deployment does; returns the file's path.
 * @param configuration path of its wrangler.toml, relative to the project
 */
export async function bundle(folder: string, configuration = CONFIGURATION): Promise<string> {
  const bin = join(ROOT, "node_modules", ".bin");
  const out = join(folder, "bundle");
  const command = [join(bin, "wrangler"), "deploy", "-c", configuration, "--dry-run", "--outdir", out];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_WRITE_LOGS: "false" };
  await promisify(execFile)(join(bin, "node"), command, { cwd: ROOT, env });
  return join(out, "worker.js");
}

/**
 * Starts the runtime on a Worker's file, with its storage in `folder`.
 * @param file a module as `bundle` writes it
 */
export async function startRuntime(file: string, folder: string, options: RuntimeOptions = {}): Promise<Runtime> {
  const configuration = await configure(file, folder, options);
  const command = ["serve", configuration, "--socket-addr=http=127.0.0.1:0", "--control-fd=3"];
  const child = spawn("sh", ["-c", MORE_FILES, "sh", pathIn(exported), ...command], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const [, stdout, stderr, control] = child.stdio;
  const output: string[] = [];
  for (const stream of [stdout, stderr]) {
    linesOf(stream).on("line", (line) => {
      output.push(line);
      options.onLine?.(line);
    });
  }
  const port = await listeningPort(linesOf(control));
  if (port === undefined) throw new Error(`the runtime ended before it was listening:\n${output.join("\n")}`);
  const kill = () => {
    child.kill("SIGKILL");
    return ended;
  };
  return { url: `ws://127.0.0.1:${port}`, pid: child.pid ?? 0, kill };
}

/** Returns a process's resident memory, in KiB. */
export async function memoryOf(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Returns the most resident memory that a process has had, in KiB. */
export async function peakMemoryOf(pid: number): Promise<number> {
  return Number(/^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Returns the runtime's path, which Node and Vitest wrap differently. */
function pathIn(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "default" in value) return pathIn(value.default);
  throw new Error("the package workerd exports no path");
}

function linesOf(pipe: unknown): Interface {
  if (pipe instanceof Readable) return createInterface({ input: pipe });
  throw new Error("the runtime was started without a pipe");
}

/** Returns the port that the runtime reports; undefined if it ends first. */
async function listeningPort(lines: AsyncIterable<string>): Promise<number | undefined> {
  for await (const line of lines) {
    const event: unknown = JSON.parse(line);
    if (typeof event !== "object" || event === null || !("port" in event)) continue;
    if (typeof event.port === "number") return event.port;
  }
  return undefined;
}

/** Writes the runtime's configuration. Modules are referred to by the names used here. */
async function configure(file: string, folder: string, options: RuntimeOptions): Promise<string> {
  const { date, flags, binding, className, variables } = await read(options.configuration ?? CONFIGURATION);
  await mkdir(join(folder, "storage"), { recursive: true });
  const around = options.around ?? `export { default, ${className} } from "./worker.js";`;
  await writeFile(join(folder, "main.js"), around);
  await writeFile(join(folder, "worker.js"), await readFile(file));
  const bindings = Object.entries({ ...variables, ...options.settings }).map(
    ([name, value]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`,
  );
  const namespace = `(name = ${JSON.stringify(binding)}, durableObjectNamespace = ${JSON.stringify(className)})`;
  const objects = options.lacks === "binding" ? [] : [namespace];
  const path = join(folder, "config.capnp");
  await writeFile(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .fanout),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "storage", disk = (path = ${JSON.stringify(join(folder, "storage"))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
  v8Flags = ${JSON.stringify(options.v8Flags ?? [])},
);
const fanout :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "worker.js", esModule = embed "worker.js"),
  ],
  compatibilityDate = ${JSON.stringify(date)},
  compatibilityFlags = ${JSON.stringify([...flags, ...(options.flags ?? [])])},
  bindings = [
    ${[...objects, ...bindings].join(",\n    ")}
  ],
  durableObjectNamespaces = [
    (className = ${JSON.stringify(className)}, uniqueKey = "fanout", enableSql = ${options.lacks !== "sqlite"}),
  ],
  durableObjectStorage = (localDisk = "storage"),
);
`,
  );
  return path;
}

/** What the runtime needs to know from a wrangler.toml. */
interface Configuration {
  date: string;
  flags: string[];
  /** Name of the objects' binding. */
  binding: string;
  className: string;
  variables: Record<string, string>;
}

async function read(configuration: string): Promise<Configuration> {
  const toml = await readFile(join(ROOT, configuration), "utf8");
  const date = /^compatibility_date = "(.+)"/m.exec(toml)?.[1] ?? "";
  const [, listed = ""] = /^compatibility_flags = (.+)/m.exec(toml) ?? [];
  const flags = [...listed.matchAll(/"(.+?)"/g)].map(([, flag = ""]) => flag);
  const [, binding = "", className = ""] = /^name = "(.+)"\nclass_name = "(.+)"/m.exec(toml) ?? [];
  const [, vars = ""] = toml.split("[vars]");
  const variables = [...vars.matchAll(/^(\w+) = "(.*)"/gm)].map(([, name = "", value = ""]) => [name, value]);
  return { date, flags, binding, className, variables: Object.fromEntries(variables) };
}
