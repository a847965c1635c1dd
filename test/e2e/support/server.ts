import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** A `wrangler dev` of this project. */
export interface Server {
  /** Its URL: `http://127.0.0.1:` and a free port. */
  readonly url: string;
  /** The process group of everything it has started. */
  readonly group: number;
  /** Its output so far. */
  output(): string;
  /** Resolves when the output contains `text`; rejects if the server ends first. */
  wrote(text: string): Promise<void>;
  /** Ends it with everything it has started, and removes its storage. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");

const READY = /Ready on (http:\/\/\S+)/;

/**
 * Runs a command in this shell's process group until standard input ends, then ends the group and removes the folder.
 * Standard input ends when the server is stopped, and also when the test run is interrupted or killed. Only the command
 * holds the output open.
 */
const KEEPER = '"$@" & exec >&- 2>&-; read -r _; trap "" TERM; kill 0; wait; rm -rf "$FOLDER"';

/**
 * Starts `wrangler dev` with empty storage. Several can run at the same time.
 * @param settings overrides of the variables in wrangler.toml
 * @param configurations paths of other Workers' files, relative to the project; the first Worker is the one served
 */
export async function startServer(
  settings: Record<string, string> = {},
  configurations: string[] = [],
): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "fanout-e2e-"));
  const command = [join(BIN, "node"), join(BIN, "wrangler"), "dev"];
  const options = ["--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--persist-to", folder];
  // Hides the developer's own .dev.vars.
  const secrets = ["--env-file", "/dev/null"];
  const variables = Object.entries(settings).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const workers = configurations.flatMap((configuration) => ["-c", configuration]);
  const words = [...command, ...workers, ...options, ...secrets, ...variables];
  const keeper = spawn("sh", ["-c", KEEPER, "sh", ...words], {
    cwd: ROOT,
    detached: true,
    env: {
      ...process.env,
      FOLDER: folder,
      // Keeps it from sharing state with other runs, and off the network.
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

  const output = new Output(keeper.stdout, keeper.stderr);
  try {
    await output.until((text) => READY.test(text));
    const [, url = ""] = READY.exec(output.text) ?? [];
    // The port opens before the Worker runs; the first response shows that it does.
    await (await fetch(url)).text();
    return {
      url,
      group: keeper.pid ?? 0,
      output: () => output.text,
      wrote: (what) => output.until((text) => text.includes(what)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The output of `wrangler dev`. */
class Output {
  text = "";
  #ended = false;
  readonly #noticed = new EventEmitter();

  constructor(stdout: Readable, stderr: Readable) {
    for (const stream of [stdout, stderr]) {
      stream.on("data", (chunk: unknown) => {
        this.text += String(chunk);
        this.#noticed.emit("news");
      });
    }
    stdout.once("end", () => {
      this.#ended = true;
      this.#noticed.emit("news");
    });
  }

  /**
   * Resolves when the whole output satisfies a condition.
   * @throws Error if the server ends first
   */
  async until(holds: (text: string) => boolean): Promise<void> {
    while (!holds(this.text)) {
      if (this.#ended) throw new Error(`wrangler dev ended early. Its output:\n${this.text}`);
      await once(this.#noticed, "news");
    }
  }
}
