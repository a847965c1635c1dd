import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** A `wrangler dev` of this project, started for a test. */
export interface Server {
  /** Where it listens: `http://127.0.0.1:` and a port of its own. */
  readonly url: string;
  /** The process group of all that it has started. */
  readonly group: number;
  /** What it has written to its output so far. */
  output(): string;
  /** Ends it, with all that it has started, and removes what it has stored. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");

const READY = /Ready on (http:\/\/\S+)/;

/**
 * Runs a command in this shell's own process group until standard input ends, then ends the group
 * and removes the folder. The input ends however a test run is over: when the server is stopped, but
 * also when somebody interrupts the tests or kills them. Only the command holds the output.
 */
const KEEPER = '"$@" & exec >&- 2>&-; read -r _; trap "" TERM; kill 0; wait; rm -rf "$FOLDER"';

/**
 * Starts `wrangler dev` with an empty storage of its own. Several can run at the same time.
 * @param settings overrides of the variables in wrangler.toml
 */
export async function startServer(settings: Record<string, string> = {}): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "fanout-e2e-"));
  const command = [join(BIN, "node"), join(BIN, "wrangler"), "dev"];
  const options = ["--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--persist-to", folder];
  const variables = Object.entries(settings).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const keeper = spawn("sh", ["-c", KEEPER, "sh", ...command, ...options, ...variables], {
    cwd: ROOT,
    detached: true,
    env: {
      ...process.env,
      FOLDER: folder,
      // What would be shared with other runs, or ask the network.
      WRANGLER_REGISTRY_PATH: join(folder, "registry"),
      WRANGLER_WRITE_LOGS: "false",
      WRANGLER_HIDE_BANNER: "true",
      WRANGLER_SEND_METRICS: "false",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      FORCE_COLOR: "0",
    },
  });
  const ended = new Promise<void>((resolve, reject) => {
    keeper.once("exit", () => resolve());
    keeper.once("error", reject);
  });
  const stop = () => {
    keeper.stdin.end();
    return ended;
  };

  try {
    const { url, output } = await ready(keeper.stdout, keeper.stderr);
    // The port is open before the Worker runs; the first answer shows that it does.
    await (await fetch(url)).text();
    return { url, group: keeper.pid ?? 0, output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What wrangler's output is, and the URL that it names when it is ready. */
function ready(stdout: Readable, stderr: Readable): Promise<Pick<Server, "url" | "output">> {
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (chunk: unknown) => {
      output += String(chunk);
      const url = READY.exec(output)?.[1];
      if (url) resolve({ url, output: () => output });
    };
    stdout.on("data", read);
    stderr.on("data", read);
    stdout.once("end", () => reject(new Error(`wrangler dev has ended early. Its output:\n${output}`)));
  });
}
