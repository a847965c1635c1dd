/**
 * `npm run deploy` as docs/deploying.md describes it, against a stand-in for Cloudflare's API: what the first upload of a
 * new Worker contains, and that settings of your own survive an upgrade.
 */
import { execFile } from "node:child_process";
import { appendFile, copyFile, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { merged } from "../../tools/deploy.ts";
import { startCloudflare, type Upload } from "./support/cloudflare.ts";
import { NODE, run } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { serve } from "./support/serve.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const guide = await readFile(join(ROOT, "docs/deploying.md"), "utf8");

/** Returns the only code block in a language that contains `mark`. */
function block(language: string, mark: string): string {
  const found = [...guide.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, named]) => named === language);
  const [code, ...others] = found.map(([, , code = ""]) => code).filter((code) => code.includes(mark));
  expect([code, others]).toEqual([expect.any(String), []]);
  return code ?? "";
}

let folder: string;
let uploads: Upload[];
let environment: Record<string, string | undefined>;

beforeEach(async () => {
  // The parts of a clone that a deployment reads.
  folder = await temporaryFolder();
  for (const name of ["src", "tools", "node_modules", "package.json"])
    await symlink(join(ROOT, name), join(folder, name));
  await copyFile(join(ROOT, "wrangler.toml"), join(folder, "wrangler.toml"));
  const cloudflare = await startCloudflare();
  uploads = cloudflare.uploads;
  environment = { ...process.env, ...cloudflare.environment };
  return async () => {
    cloudflare.end();
    await removeFolder(folder);
  };
});

/** Runs `npm run deploy`; returns what it prints. */
async function deploy(...words: string[]): Promise<string> {
  const command = [join(ROOT, "tools/deploy.ts"), ...words];
  const options = { cwd: folder, env: environment };
  const { stdout, stderr } = await promisify(execFile)(NODE, command, options).catch((error) => error);
  return stdout + stderr;
}

const SECRET = "x".repeat(44);

test("the first deployment is refused without the secret, and uploads it together with the code", async () => {
  await writeFile(join(folder, "deploy.toml"), block("toml", "[secrets]"));
  expect(await deploy()).toContain("The following required secrets have not been set: TOKEN_SECRET");
  expect(uploads).toEqual([]);
  await writeFile(join(folder, "deploy.env"), `TOKEN_SECRET=${SECRET}\n`);
  const printed = await deploy();
  expect(uploads, printed).toHaveLength(1);
  const [{ path, metadata } = { path: "", metadata: { bindings: [] } }] = uploads;
  expect(path).toMatch(/\/workers\/scripts\/chat$/);
  expect(metadata.bindings).toEqual(
    expect.arrayContaining([
      { name: "TOKEN_SECRET", type: "secret_text", text: SECRET },
      { name: "ALLOWED_ORIGINS", type: "plain_text", text: "https://example.com" },
      { name: "CHANNEL", type: "durable_object_namespace", class_name: "Channel" },
    ]),
  );
  expect(metadata).toMatchObject({ migrations: { new_tag: "v1" }, keep_bindings: ["secret_text", "secret_key"] });
});

test("a dry run names the Worker, and the required secrets that are missing", async () => {
  await writeFile(join(folder, "deploy.toml"), block("toml", "[secrets]"));
  const printed = await deploy("--dry-run");
  expect(printed).toContain("The Worker's name is 'chat'.\n");
  expect(printed).toContain("deploy.env lacks TOKEN_SECRET; deploying fails, unless the Worker already has it.\n");
  await writeFile(join(folder, "deploy.env"), `TOKEN_SECRET=${SECRET}\n`);
  expect(await deploy("--dry-run")).toContain("deploy.env has all required secrets.\n");
  await writeFile(join(folder, "deploy.toml"), "not toml");
  expect(await deploy("--dry-run")).not.toContain("The Worker's name");
  expect(uploads).toEqual([]);
});

test("a secret of the environment doesn't replace the one of deploy.env", async () => {
  await writeFile(join(folder, "deploy.env"), `TOKEN_SECRET=${SECRET}\n`);
  environment.TOKEN_SECRET = "the secret before a rotation, exported to verify the server";
  const printed = await deploy();
  expect(uploads, printed).toHaveLength(1);
  const secret = { name: "TOKEN_SECRET", type: "secret_text", text: SECRET };
  expect(uploads[0]?.metadata.bindings).toContainEqual(secret);
});

test("settings of your own survive an upgrade, and git ignores their files", async () => {
  await writeFile(join(folder, "deploy.toml"), 'name = "chat"\nlimits = { cpu_ms = 50 }\n[vars]\nCLIENT_LIMIT = "7"\n');
  const project = await readFile(join(folder, "wrangler.toml"), "utf8");
  await writeFile(join(folder, "wrangler.toml"), project.replace("compatibility_flags = [", '$&"nodejs_compat", '));
  await appendFile(join(folder, "wrangler.toml"), 'LINES_PER_SECOND = "9"\n');
  const printed = await deploy();
  expect(uploads, printed).toHaveLength(1);
  expect(uploads[0]?.path).toMatch(/\/chat$/);
  expect(uploads[0]?.metadata).toMatchObject({ limits: { cpu_ms: 50 }, observability: { redact_query_string: true } });
  expect(uploads[0]?.metadata.compatibility_flags).toContain("nodejs_compat");
  const settings = ["CLIENT_LIMIT=7", "LINES_PER_SECOND=9"].map((setting) => {
    const [name = "", text = ""] = setting.split("=");
    return { name, type: "plain_text", text };
  });
  expect(uploads[0]?.metadata.bindings).toEqual(expect.arrayContaining(settings));
  const files = ["deploy.toml", "deploy.env", "wrangler.deploy.json"];
  const { stdout } = await promisify(execFile)("git", ["check-ignore", ...files], { cwd: ROOT });
  expect(stdout.trim().split("\n")).toEqual(files);
});

test("without deploy.toml, the name and settings of wrangler.toml are deployed", async () => {
  expect(await deploy()).toContain("There is no deploy.toml");
  expect(uploads.map(({ path }) => path)).toEqual([expect.stringMatching(/\/workers\/scripts\/fanout$/)]);
});

test("settings are merged: tables with tables, lists with lists", () => {
  const base = { name: "fanout", vars: { A: "1", B: "1" }, flags: ["a"], build: { command: "x" } };
  const own = { name: "chat", vars: { B: "2", C: "2" }, flags: ["b"], routes: [{ pattern: "example.com" }] };
  expect(merged(base, own)).toEqual({
    name: "chat",
    vars: { A: "1", B: "2", C: "2" },
    flags: ["a", "b"],
    build: { command: "x" },
    routes: [{ pattern: "example.com" }],
  });
});

test("the token of docs/deploying.md is enough for the doctor", async () => {
  const settings = [...block("toml", "[vars]").matchAll(/^([A-Z_]+) = "(.*?)"/gm)].map(([, name, value]) => [
    name,
    value,
  ]);
  const { url, end } = await serve({ settings: { ...Object.fromEntries(settings), TOKEN_SECRET: SECRET } });
  onTestFinished(end);
  const file = join(folder, "deploy.env");
  await writeFile(file, `TOKEN_SECRET=${SECRET}\n`);
  const commands = block("sh", "FANOUT_TOKEN=").replace("deploy.env", file);
  const [secret = "", token = "", doctor = ""] = commands.trimEnd().split("\n");
  expect(doctor).toContain(" doctor wss://chat.example.workers.dev");
  const script = `${secret}\n${token}\necho $FANOUT_TOKEN`;
  const { stdout } = await promisify(execFile)("sh", ["-c", script], { cwd: ROOT });
  const { code, out } = await run(["doctor", url], { env: { FANOUT_TOKEN: stdout.trim() } });
  expect(out).toMatch(/^ok +tokens: /m);
  // That it is for operators.
  expect(out.match(/^note \w+/gm)).toEqual(["note grants"]);
  expect([code, out]).toEqual([0, out]);
});
