/** The runtime's installation by `fanout serve`, in a copy of the program that has no runtime beside it, with a stand-in for npm. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { TESTED } from "../../src/serve/runtime.ts";
import { NODE, outcomeOf } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Installs a runtime that ends at once with a line. */
const NPM = `#!/bin/sh
printenv | grep -i npm_config_ >> "$HOME/npm.log"
echo "$@" >> "$HOME/npm.log"
mkdir -p node_modules/workerd
echo '{ "name": "workerd", "main": "main.js" }' > node_modules/workerd/package.json
echo 'module.exports = { default: require("path").join(__dirname, "program"), version: "${TESTED}" };' > node_modules/workerd/main.js
printf '#!/bin/sh\\necho installed >&2\\n' > node_modules/workerd/program
chmod +x node_modules/workerd/program
`;

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await cp(join(ROOT, "src"), join(folder, "src"), { recursive: true });
  await writeFile(join(folder, "src/serve/server.js"), "");
  await mkdir(join(folder, "node_modules"));
  for (const name of ["commander", "jose"]) {
    await symlink(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  }
  await npmIs(NPM);
  return () => removeFolder(folder);
});

async function npmIs(script: string): Promise<void> {
  await mkdir(join(folder, "bin"), { recursive: true });
  await writeFile(join(folder, "bin/npm"), script);
  await chmod(join(folder, "bin/npm"), 0o755);
}

const cache = () => join(folder, ".cache/fanout");
const cached = () => join(cache(), `workerd-${TESTED}`);

function start(env: Record<string, string> = {}) {
  const program = join(folder, "src/cli/main.ts");
  const child = spawn(NODE, [program, "serve", "--port", "0", "--data", join(folder, "data")], {
    cwd: folder,
    env: { PATH: `${join(folder, "bin")}:${process.env.PATH}`, HOME: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

const serve = (env?: Record<string, string>) => outcomeOf(start(env));
const INSTALLING = /^fanout: installing the runtime, workerd [\d.]+, once, in (.*)\n/;
const STARTED = /fanout: the runtime can't start: installed\n$/;

test("the runtime is installed once, whatever npm's own options are", async () => {
  const first = await serve({ npm_config_workspace: "a", npm_config_workspaces: "true", npm_config_registry: "x" });
  expect(first).toEqual({ code: 7, out: "", err: expect.stringMatching(STARTED) });
  expect(INSTALLING.exec(first.err)?.[1]).toBe(cached());
  const log = await readFile(join(folder, "npm.log"), "utf8");
  expect(log).toMatch(/^npm_config_registry=x\ninstall .*--include=optional .*workerd@[\d.]+\n$/);
  expect((await serve()).err).toMatch(/^fanout: the runtime can't start: installed\n$/);
  expect(await readdir(cache())).toEqual([`workerd-${TESTED}`]);
});

test.each<[what: string, path: string]>([
  ["is empty", "node_modules"],
  ["lacks the program", "node_modules/workerd/program"],
  ["lacks a module", "node_modules/workerd/main.js"],
])("a cached runtime that %s is replaced", async (_, path) => {
  await serve();
  await rm(join(cached(), path), { recursive: true });
  const { err } = await serve();
  expect(err).toMatch(INSTALLING);
  expect(err).toMatch(STARTED);
  expect(await readdir(cache())).toEqual([`workerd-${TESTED}`]);
  expect(await readdir(cached())).toEqual(["node_modules", "package.json"]);
});

test("a failed installation leaves nothing, and says why", async () => {
  await npmIs("#!/bin/sh\necho 'npm error code E404' >&2\necho 'npm error no such version' >&2\nexit 1\n");
  const { code, err } = await serve();
  expect([code, err.split("\n")[1]]).toEqual([
    7,
    `fanout: the runtime workerd can't be installed: no such version; install it beside this package: npm install workerd@${TESTED}`,
  ]);
  expect(await readdir(cache())).toEqual([]);
});

test("an installation without the program, as on a full disk, isn't used", async () => {
  await npmIs(`${NPM}rm node_modules/workerd/program\n`);
  const { code, err } = await serve();
  expect([code, err.split("\n")[1]]).toEqual([
    7,
    expect.stringMatching(/: npm got no program for .*, or the disk is full;/),
  ]);
  expect(await readdir(cache())).toEqual([]);
  await npmIs(NPM);
  expect((await serve()).err).toMatch(STARTED);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends it while npm runs, and nothing is left", async (signal) => {
  await npmIs('#!/bin/sh\necho $$ > "$HOME/npm.pid"\nexec sleep 60\n');
  const child = start();
  const outcome = outcomeOf(child);
  await once(createInterface({ input: child.stderr }), "line");
  await expect.poll(() => readFile(join(folder, "npm.pid"), "utf8").catch(() => "")).not.toBe("");
  child.kill(signal);
  expect(await outcome).toMatchObject({ code: 0 });
  expect(await readdir(cache())).toEqual([]);
});

test("what killed installations left is removed after a day", async () => {
  for (const name of ["installing-old", "installing-new", "other"])
    await mkdir(join(cache(), name), { recursive: true });
  for (const name of ["installing-old", "other"]) await utimes(join(cache(), name), new Date(0), new Date(0));
  await serve();
  expect((await readdir(cache())).sort()).toEqual(["installing-new", "other", `workerd-${TESTED}`]);
});

test("a home that isn't absolute isn't used", async () => {
  const own = join(folder, "own");
  const { err } = await serve({ HOME: "", XDG_CACHE_HOME: own });
  expect(INSTALLING.exec(err)?.[1]).toBe(join(own, `fanout/workerd-${TESTED}`));
  await npmIs("#!/bin/sh\nexit 1\n");
  // It uses the user's own cache then, which may have a runtime.
  for (const HOME of ["", "relative"]) {
    const { code, err } = await serve({ HOME, XDG_CACHE_HOME: "relative" });
    expect([code, err]).toEqual([7, expect.stringMatching(/the runtime (workerd )?can't/)]);
  }
  expect(await readdir(folder)).not.toContain("relative");
});
