/** Runs programs of others, which may stall. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

interface Where {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** How long a program may take, in seconds: far more than any does, and less than a test may take. */
const PATIENCE_SECONDS = 150;

/** How often an installation is tried while the network fails. */
const ATTEMPTS = 3;

/**
 * npm's and pnpm's own patience with a registry that doesn't answer, in milliseconds. By default it is five minutes for each
 * attempt.
 */
const REGISTRY = { npm_config_fetch_timeout: "30000", npm_config_fetch_retry_mintimeout: "1000" };

/** What package managers print when a registry doesn't answer, and what `run` throws for programs that stall. */
const ABOUT_NETWORK = /FETCH_ERROR|ERR_SOCKET|ETIMEDOUT|ECONNRESET|EAI_AGAIN|ERR_PNPM_META_FETCH_FAIL|: not done after/;

/**
 * Runs a command of the shell; returns its output, both of standard output and standard error.
 * @throws Error with its output if it fails, or takes longer than two and a half minutes: then it is killed, with all
 *   processes that it started
 */
export async function run(command: string, { cwd, env }: Where): Promise<string> {
  const child = spawn("sh", ["-c", `{ ${command}\n} 2>&1`], {
    cwd,
    env: { ...env, ...REGISTRY },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  let isStalled = false;
  const timer = setTimeout(() => {
    isStalled = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }, PATIENCE_SECONDS * 1_000);
  const ended = new Promise<number | null>((resolve, reject) => child.once("exit", resolve).once("error", reject));
  const [output, code] = await Promise.all([text(child.stdout), ended]).finally(() => clearTimeout(timer));
  if (isStalled) throw new Error(`${command}: not done after ${PATIENCE_SECONDS} s\n${output}`);
  if (code !== 0) throw new Error(`${command}:\n${output}`);
  return output;
}

/** Runs a command that installs packages, and again if the network fails, which may lose connections without a word. */
export async function install(command: string, where: Where): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(command, where);
    } catch (error) {
      if (attempt === ATTEMPTS || !ABOUT_NETWORK.test(String(error))) throw error;
      console.warn(`${error}\nTrying again.`);
    }
  }
}
