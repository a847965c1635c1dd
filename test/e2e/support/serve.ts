/** This project's server in the bare runtime, with storage of its own. */
import { inject, onTestFinished } from "vitest";
import { type Runtime, type RuntimeOptions, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

/** A running server. Its URL changes with each restart. */
export interface Served extends Runtime {
  /** Kills it, and starts it again with the same storage. */
  restart(): Promise<void>;
  /** Kills it, and removes its storage. */
  end(): Promise<void>;
}

/** Starts a server, which the caller has to end. */
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

/** Starts a server that ends with the test. */
export async function serveInTest(options: RuntimeOptions = {}): Promise<Served> {
  const server = await serve(options);
  onTestFinished(server.end);
  return server;
}

/** Returns how many connections a server without tokens has, by its own count. */
export async function connectionsAt(url: string): Promise<number> {
  const info = await (await fetch(`${url.replace(/^ws/, "http")}/-/info`)).text();
  return Number(/"current connections":\s*(\d+)/.exec(info)?.[1]);
}
