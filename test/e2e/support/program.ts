/** Runs the program `fanout` as a shell does. */
import { type ChildProcessByStdio, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Served } from "./serve.ts";

export const PROGRAM = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
export const NODE = fileURLToPath(new URL("../../../node_modules/.bin/node", import.meta.url));

/** Where Node caches compiled modules, which starts a program three times as fast. */
export const CACHE = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../../node_modules/.cache/compile", import.meta.url)),
};

/** Starts the program, and kills it when the test ends. */
export function start(words: string[], env: Record<string, string> = {}, cwd?: string): ChildProcessWithoutNullStreams {
  const child = spawn(NODE, [PROGRAM, ...words], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...CACHE, ...env },
    cwd,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Runs the program to its end; returns its output and exit code. */
export async function run(
  words: string[],
  { input = "", env = {}, cwd }: { input?: string; env?: Record<string, string>; cwd?: string } = {},
) {
  const child = start(words, env, cwd);
  child.stdin.end(input);
  return outcomeOf(child);
}

/** Returns a program's output and exit code once it has ended. */
export async function outcomeOf(child: ChildProcessByStdio<Writable | null, Readable, Readable>) {
  const ended = once(child, "exit");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, out, err };
}

/** Parses a program's lines of JSON. */
export const jsonIn = (out: string) =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Announces by POST, and returns the position. */
export async function post(server: Served, channel: string, body: string): Promise<number> {
  const response = await fetch(`${server.url.replace(/^ws/, "http")}/${channel}`, { method: "POST", body });
  return Number(/"position":(\d+)/.exec(await response.text())?.[1]);
}
