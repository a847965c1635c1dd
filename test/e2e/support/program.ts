/** Runs the program `fanout` as a shell does. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const PROGRAM = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
export const NODE = fileURLToPath(new URL("../../../node_modules/.bin/node", import.meta.url));

/** Starts the program, and kills it when the test ends. */
export function start(words: string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams {
  const child = spawn(NODE, [PROGRAM, ...words], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Runs the program to its end; returns its output and exit code. */
export async function run(
  words: string[],
  { input = "", env = {} }: { input?: string; env?: Record<string, string> } = {},
) {
  const child = start(words, env);
  child.stdin.end(input);
  const ended = once(child, "exit");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, out, err };
}
