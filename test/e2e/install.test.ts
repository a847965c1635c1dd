/** What `npm start` and `npm test` install, with a stand-in for npm that writes down its options. */
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, expect, test } from "vitest";
import { NODE } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";

const OPTIONS = "--no-audit --no-fund --loglevel=error";

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder, "tools"));
  await mkdir(join(folder, "node_modules"));
  await copyFile(fileURLToPath(new URL("../../tools/install.mjs", import.meta.url)), join(folder, "tools/install.mjs"));
  await writeFile(join(folder, "npm"), `#!/bin/sh\necho "$@" >> "${folder}/calls"\n`);
  await chmod(join(folder, "npm"), 0o755);
  await writeFile(join(folder, "package-lock.json"), "{}");
  return () => removeFolder(folder);
});

/** Says that packages are installed, those for development too or not. */
async function installed(isComplete: boolean): Promise<void> {
  await writeFile(join(folder, "node_modules/.package-lock.json"), "{}");
  if (isComplete) await mkdir(join(folder, "node_modules/fanout-development"));
}

/** Runs the installer; returns how it called npm, and what it printed. */
async function install(version: string, ...words: string[]) {
  await rm(join(folder, "calls"), { force: true });
  const url = new URL(`file://${join(folder, "tools/install.mjs")}`);
  const code = `Object.defineProperty(process.versions, "node", { value: "${version}" });
    process.argv.splice(1, 0, "install.mjs");
    await import("${url}");`;
  const env = { ...process.env, PATH: folder + delimiter + process.env.PATH };
  const { stderr } = await promisify(execFile)(NODE, ["--input-type=module", "-e", code, "--", ...words], { env });
  const calls = await readFile(join(folder, "calls"), "utf8").catch(() => "");
  return { calls: calls.replaceAll(` ${OPTIONS}`, "").trim(), stderr };
}

test("a server needs no packages for development, and Node only if the machine's is older than 24.2", async () => {
  for (const version of ["24.2.0", "24.21.0", "26.0.0"]) {
    const { calls, stderr } = await install(version, "--serving");
    expect(calls).toBe("ci --workspaces=false");
    expect(stderr).toMatch(/^Installing the server's packages, \d+ MB: about \d+ seconds, once\.\n$/);
  }
  for (const version of ["20.20.2", "22.18.0", "24.1.0"]) {
    const { calls } = await install(version, "--serving");
    expect(calls).toBe("ci --workspace=tools/node --include-workspace-root");
  }
});

test("tests need all packages, and leave those of a running server in place", async () => {
  expect((await install("24.21.0")).calls).toBe("ci");
  await installed(false);
  expect((await install("24.21.0")).calls).toBe("install --no-save");
});

test("nothing is installed twice", async () => {
  await installed(false);
  expect(await install("24.21.0", "--serving")).toEqual({ calls: "", stderr: "" });
  await installed(true);
  expect(await install("24.21.0")).toEqual({ calls: "", stderr: "" });
  expect(await install("24.21.0", "--serving")).toEqual({ calls: "", stderr: "" });
});

test("after an upgrade, as much is installed as before", async () => {
  await installed(true);
  await utimes(join(folder, "node_modules/.package-lock.json"), 0, 0);
  expect((await install("24.21.0", "--serving")).calls).toBe("ci");
});

test("other folders get all of their own packages", async () => {
  await mkdir(join(folder, "other"));
  await writeFile(join(folder, "other/package-lock.json"), "{}");
  expect((await install("24.21.0", "other")).calls).toBe("ci");
});
