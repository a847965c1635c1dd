/** Finds or starts the probe: in a local runtime, or deployed. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bundle, type Runtime, startRuntime } from "../../test/e2e/support/runtime.ts";
import type { Access } from "./platform.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CONFIGURATION = "tools/probe/wrangler.toml";

/** Attempts to reach a new deployment, and the time between them in milliseconds. */
const ATTEMPTS = 60;
const BETWEEN = 2_000;

/**
 * Starts a runtime with the probe.
 * @param folder the folder of its storage
 * @param around as in `startRuntime`
 */
export async function startLocal(folder: string, around?: string): Promise<{ access: Access; runtime: Runtime }> {
  const key = newKey();
  const settings = { KEY: key, VERSION: "1" };
  const file = await bundle(folder, CONFIGURATION);
  const options = { configuration: CONFIGURATION, settings, ...(around === undefined ? {} : { around }) };
  const runtime = await startRuntime(file, folder, options);
  return { access: { url: runtime.url.replace("ws:", "http:"), key }, runtime };
}

/** Deploys the probe with wrangler's login, and waits until it answers. */
export async function deployProbe(): Promise<Access> {
  const key = newKey();
  const url = await wranglerDeploy(key, "1");
  const deploy = async (version: string) => void (await wranglerDeploy(key, version));
  const access = { url, key, deploy };
  await untilReachable(access);
  return access;
}

function newKey(): string {
  return randomBytes(16).toString("hex");
}

/** Returns the URL that wrangler prints; its output also goes to standard error. */
async function wranglerDeploy(key: string, version: string): Promise<string> {
  const bin = join(ROOT, "node_modules", ".bin");
  const variables = ["--var", `KEY:${key}`, "--var", `VERSION:${version}`];
  const command = [join(bin, "wrangler"), "deploy", "-c", CONFIGURATION, ...variables];
  const child = spawn(join(bin, "node"), command, { cwd: ROOT, stdio: ["inherit", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: unknown) => {
    output += String(chunk);
    process.stderr.write(String(chunk));
  });
  const [code] = await once(child, "close");
  const [url] = /https:\/\/\S+\.workers\.dev/.exec(output) ?? [];
  if (code !== 0 || url === undefined) throw new Error("wrangler failed, or printed no URL: see its output above");
  return url;
}

/** Waits for a new address, which takes a while to be known everywhere. */
async function untilReachable({ url, key }: Access): Promise<void> {
  const headers = { Authorization: `Bearer ${key}` };
  const body = JSON.stringify({ experiment: "identity" });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const response = await fetch(`${url}/first`, { method: "POST", headers, body }).catch(() => undefined);
    if (response?.ok) return;
    await sleep(BETWEEN);
  }
  throw new Error(`${url} does not answer`);
}
