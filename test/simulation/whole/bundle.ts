/** The Worker's code as a function of its globals, so that each call makes a new isolate with a memory of its own. */
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";
import { build, type Plugin } from "esbuild";
import type { Grants } from "../../../src/auth/grants.ts";
import type { TokenSettings } from "../../../src/auth/tokens.ts";
import type { Guard } from "../../../src/auth/verify.ts";
import type { Fault } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import type { Placement } from "../../../src/tree/capacity.ts";

/** A response, which may accept a WebSocket. */
export interface UpgradeResponse extends Response {
  readonly webSocket?: unknown;
}

/** What a Worker's code exports here. */
export interface WorkerCode {
  handle(request: Request, env: object): Promise<UpgradeResponse>;
  guardOf(settings: TokenSettings): Promise<Guard>;
  parseUpgrade(headers: Headers): {
    region: string;
    full: string;
    below: boolean;
    grants: Grants | undefined;
    from: From | undefined;
    subprotocol: string | undefined;
  };
  formatRedirect(placement: Placement): UpgradeResponse;
  formatRefused(fault: Fault): UpgradeResponse;
  formatAccepted(socket: object, subprotocol: string | undefined): UpgradeResponse;
}

/** Creates an isolate, whose code finds these globals instead of the real ones. */
export type NewIsolate = (globals: Record<string, unknown>) => WorkerCode;

const ENTRY = `
  export { handle } from "./src/worker/routes.ts";
  export { guardOf } from "./src/worker/verification.ts";
  export * from "./src/worker/upgrade.ts";
`;

const PLATFORM = `
  export const { waitUntil, env } = cloudflare;
  export class WorkerEntrypoint {}
`;

/** The runtime's own module. */
const platform: Plugin = {
  name: "platform",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^cloudflare:/ }, ({ path }) => ({ path, namespace: "platform" }));
    onLoad({ filter: /./, namespace: "platform" }, () => ({ contents: PLATFORM }));
  },
};

const GLOBALS = ["Date", "Math", "Response", "clearTimeout", "cloudflare", "console", "crypto", "fetch", "setTimeout"];

/** Bundles the Worker. */
export async function bundleWorker(): Promise<NewIsolate> {
  const resolveDir = fileURLToPath(new URL("../../..", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: ENTRY, resolveDir, loader: "ts" },
    plugins: [platform],
    bundle: true,
    format: "iife",
    globalName: "worker",
    platform: "neutral",
    target: "es2024",
    write: false,
  });
  const [file] = outputFiles;
  if (!file) throw new Error("esbuild produced no file");
  const make: unknown = new Script(`(({ ${GLOBALS} }) => {\n${file.text}\nreturn worker;\n})`, {
    filename: "worker.js",
  }).runInThisContext();
  if (typeof make !== "function") throw new Error("the bundle isn't a function");
  return (globals) => Reflect.apply(make, undefined, [globals]);
}
