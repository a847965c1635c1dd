/** Folders that are removed when the program ends, even if it is killed. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Waits for the end of standard input, which is the end of the program, and for the runtime, which ends with it. */
const REMOVE = 'trap "" INT; read -r _; sleep 1; rm -rf "$1"';

/** Creates an empty folder; returns it with a function that removes it at once. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "fanout-testing-"));
  const remover = spawn("/bin/sh", ["-c", REMOVE, "sh", path], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  remover.on("error", () => {});
  remover.stdin?.on("error", () => {});
  remover.unref();
  if (remover.stdin instanceof Socket) remover.stdin.unref();
  const remove = () => {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    remover.kill("SIGKILL");
  };
  return { path, remove };
}
