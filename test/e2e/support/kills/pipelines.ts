/** The program and a slow consumer, connected by pipes as a shell does it, so that nothing is buffered in between. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { CACHE, NODE, PROGRAM } from "../program.ts";

const CONSUMER = fileURLToPath(new URL("./slow-consumer.ts", import.meta.url));

/** The file descriptors of a pipe's ends. */
export interface Pipe {
  read: number;
  write: number;
}

/** Opens a pipe, with a temporary file in a folder. */
export function openPipe(folder: string): Pipe {
  const path = join(folder, randomUUID());
  execFileSync("mkfifo", [path]);
  // Otherwise each end waits for the other one.
  const both = openSync(path, "r+");
  const pipe = { read: openSync(path, "r"), write: openSync(path, "w") };
  closeSync(both);
  rmSync(path);
  return pipe;
}

export function closePipe({ read, write }: Pipe): void {
  closeSync(read);
  closeSync(write);
}

/** A process, and its end. */
export interface Started {
  child: ChildProcess;
  /** Resolves to its exit code and its signal. */
  ended: Promise<unknown[]>;
  /** What it has written to standard error. */
  err: () => string;
}

/** Starts the program, which writes to a descriptor, and may read acknowledgements from another one as its fd 3. */
export function startProgram(words: string[], out: number, acks: number | "ignore" = "ignore"): Started {
  return started([PROGRAM, ...words], ["ignore", out, "pipe", acks]);
}

/** Starts a consumer that reads from a descriptor, and may write positions to another one. */
export function startConsumer(words: string[], input: number, acks: number | "ignore" = "ignore"): Started {
  return started([CONSUMER, ...words], [input, acks, "pipe"]);
}

function started(words: string[], stdio: (number | "ignore" | "pipe")[]): Started {
  const child = spawn(NODE, words, { stdio, env: { PATH: process.env.PATH, ...CACHE } });
  onTestFinished(() => void child.kill("SIGKILL"));
  let err = "";
  child.stderr?.on("data", (chunk: unknown) => {
    err += String(chunk);
  });
  return { child, ended: once(child, "exit"), err: () => err };
}
