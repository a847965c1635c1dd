/** The systemd unit of `examples/hosting/`. */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TESTED } from "../../src/serve/runtime.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { find } from "./support/tools.ts";

const analyze = find("systemd-analyze", "apt-get install systemd");

test.skipIf(!analyze)("systemd accepts the unit", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const unit = await readFile(new URL("../../examples/hosting/fanout.service", import.meta.url), "utf8");
  expect(unit).toContain(`workerd@${TESTED}`);
  // The only fault would be that nothing is installed there.
  const installed = unit.replace("/opt/fanout/node_modules/.bin/fanout", process.execPath);
  const file = join(folder, "fanout.service");
  await writeFile(file, installed);
  expect(warningsOf(analyze ?? "", file)).toBe("");
  await writeFile(file, installed.replace("KillMode=mixed", "KillMode=gently"));
  expect(warningsOf(analyze ?? "", file)).toContain("gently");
});

/** Returns the warnings about a unit, which don't make the program fail. */
function warningsOf(program: string, file: string): string {
  return execFileSync("sh", ["-c", '"$0" verify "$1" 2>&1; true', program, file], { encoding: "utf8" });
}
