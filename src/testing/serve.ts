/**
 * `fanout-edge/testing`: the server in the tests of other projects. It runs in workerd like `fanout serve`, at a free
 * port of this machine, with its messages in a temporary folder.
 */
import { findRuntime } from "../serve/runtime.ts";
import { type LocalServer, startServer } from "../serve/server.ts";
import { temporaryFolder } from "./folder.ts";
import { Forwarder } from "./forwarder.ts";
import { checkCut, checkServe } from "./options.ts";

/** Options of `serve`. */
export interface ServeOptions {
  /** Settings and secrets by name, such as `{ HISTORY_SECONDS: 10, TOKEN_SECRET: "…" }`; docs/settings.md lists them. */
  settings?: Readonly<Record<string, string | number>> | undefined;
}

/** Options of `cut`. */
export interface CutOptions {
  /** Leaves the clients' ends of the connections open, as when a phone loses its network. */
  silently?: boolean | undefined;
}

/** A running server. */
export interface TestServer {
  /** Its URL, `http://127.0.0.1:` and a port, which stays the same until `stop`. */
  readonly url: string;
  /** The newest 1,000 lines that the server has logged. */
  readonly log: readonly string[];
  /** Kills it, as a power failure would: connections break, and new ones fail. Announced messages stay. */
  kill(): Promise<void>;
  /** Starts it again with its messages, at the same URL; kills it first if it runs. */
  restart(): Promise<void>;
  /** Breaks all present connections. The server keeps running, so clients can connect again at once. */
  cut(options?: CutOptions): void;
  /** Ends it, and removes its messages. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Lines of the log that are kept. */
const MAX_LOG = 1_000;

/**
 * Starts a server; resolves when it answers requests. It ends with this program, and doesn't keep it running.
 * @throws TypeError if an option is invalid; Error if the server can't run, for example because of a setting's value
 */
export async function serve(options: ServeOptions = {}): Promise<TestServer> {
  const settings = checkServe(options);
  const log: string[] = [];
  const onLine = (line: string) => {
    log.push(line);
    if (log.length > MAX_LOG) log.shift();
  };
  const runtime = await findRuntime((line) => process.stderr.write(`fanout: ${line}\n`));
  const folder = temporaryFolder();
  const forwarder = await Forwarder.listen();
  const start = async () => {
    const place = { host: "127.0.0.1", port: 0, data: folder.path, isTemporary: true };
    const server = await startServer({ runtime, ...place, settings, onLine });
    forwarder.forwardTo(server.port);
    return server;
  };
  const stop = () => {
    forwarder.close();
    folder.remove();
  };
  try {
    return new RunningServer(await start(), start, stop, forwarder, log);
  } catch (error) {
    stop();
    throw error;
  }
}

class RunningServer implements TestServer {
  readonly url: string;
  readonly log: readonly string[];
  readonly #forwarder: Forwarder;
  readonly #start: () => Promise<LocalServer>;
  readonly #remove: () => void;
  #server: LocalServer;
  #isStopped = false;
  /** The end of what was asked for so far, one after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(
    server: LocalServer,
    start: () => Promise<LocalServer>,
    remove: () => void,
    forwarder: Forwarder,
    log: readonly string[],
  ) {
    this.#server = server;
    this.#start = start;
    this.#remove = remove;
    this.#forwarder = forwarder;
    this.log = log;
    this.url = `http://127.0.0.1:${forwarder.port}`;
  }

  kill(): Promise<void> {
    return this.#next("kill", () => this.#end());
  }

  restart(): Promise<void> {
    return this.#next("restart", async () => {
      await this.#end();
      this.#server = await this.#start();
    });
  }

  cut(options: CutOptions = {}): void {
    this.#demandRunning("cut");
    if (checkCut(options)) this.#forwarder.silence();
    else this.#forwarder.cut();
  }

  stop(): Promise<void> {
    if (this.#isStopped) return this.#last;
    const stopped = this.#next("stop", async () => {
      await this.#end();
      this.#remove();
    });
    this.#isStopped = true;
    return stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #end(): Promise<void> {
    this.#forwarder.forwardTo(undefined);
    await this.#server.kill();
    this.#forwarder.cut();
  }

  async #next(name: string, act: () => Promise<void>): Promise<void> {
    this.#demandRunning(name);
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  #demandRunning(name: string): void {
    if (this.#isStopped) throw new Error(`this server was stopped, so it can't ${name}; serve() starts another one`);
  }
}
