/** Installs the packages that only the tests of this folder need. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function setup(): void {
  const script = fileURLToPath(new URL("../../tools/install.mjs", import.meta.url));
  execFileSync(process.execPath, [script, "test/packages"], { stdio: "inherit" });
}
