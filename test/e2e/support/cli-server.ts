/** A server that `fanout serve` runs. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { start } from "./program.ts";

/** Starts a server with its data in a folder, by default on a free port; resolves when it has printed its address. */
export async function serveIn(data: string, words: string[] = [], env: Record<string, string> = {}) {
  const child = start(["serve", "--port", "0", "--data", data, ...words], env);
  const ended = once(child, "exit");
  let err = "";
  child.stderr.on("data", (chunk: unknown) => {
    err += String(chunk);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: line = "" } = await lines.next();
  const url = /http:\/\/[\w.:[\]]+/.exec(line)?.[0];
  if (url === undefined) throw new Error(`it didn't start: ${err}`);
  const [, runtime = 0] = readFileSync(join(data, "lock"), "utf8").split("\n").map(Number.parseFloat);
  return { child, ended, line, url, port: new URL(url).port, runtime, err: () => err };
}

/** Whether a process runs; zombies don't. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z");
  return !/\) Z/.test(stat);
}
