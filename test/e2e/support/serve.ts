/** This project's server in the bare runtime, with a storage of its own. */
import { inject, onTestFinished } from "vitest";
import { type Runtime, type RuntimeOptions, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

/** Where it listens is another place each time that it is started. */
export interface Served extends Runtime {
  /** Kills it, and starts it with what it has stored. */
  restart(): Promise<void>;
  /** Kills it, and removes what it has stored. */
  end(): Promise<void>;
}

/** Starts one; who does ends it. */
export async function serve(options: RuntimeOptions = {}): Promise<Served> {
  const folder = await temporaryFolder();
  const start = () => startRuntime(inject("worker"), folder, options);
  let runtime = await start();
  const kill = () => runtime.kill();
  return {
    get url() {
      return runtime.url;
    },
    get pid() {
      return runtime.pid;
    },
    kill,
    restart: async () => {
      await kill();
      runtime = await start();
    },
    end: async () => {
      await kill();
      await removeFolder(folder);
    },
  };
}

/** Starts one that ends with the test. */
export async function serveInTest(options: RuntimeOptions = {}): Promise<Served> {
  const server = await serve(options);
  onTestFinished(server.end);
  return server;
}
