/** Commands that process one message each. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Message } from "../client/fanout.ts";
import { Exit, FAILED, LOCAL, messageOf } from "./exits.ts";
import { environmentWithoutSecrets } from "./secrets.ts";

/** Runs a command with a message as its standard input. @throws Exit if the command's exit code isn't 0 */
export async function execute(command: string, { channel, text, position }: Message): Promise<void> {
  const env = {
    ...environmentWithoutSecrets(),
    FANOUT_CHANNEL: channel,
    FANOUT_POSITION: String(position ?? ""),
  };
  const child = spawn("sh", ["-c", command], { stdio: ["pipe", "inherit", "inherit"], env });
  child.stdin.on("error", () => {});
  child.stdin.end(`${text}\n`);
  const [code, signal] = await once(child, "exit").catch((error: unknown) => {
    throw new Exit(LOCAL, `'${command}' can't be run: ${messageOf(error)}`);
  });
  if (code === 0) return;
  throw new Exit(FAILED, `'${command}' ended with ${code ?? signal}`);
}
