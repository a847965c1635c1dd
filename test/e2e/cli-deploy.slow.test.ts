/** `fanout deploy`, with Wrangler against a stand-in for Cloudflare's API, and with a stand-in for Wrangler. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv, promisify } from "node:util";
import { beforeEach, expect, test } from "vitest";
import { MARK } from "../../src/cli/deploy/templates.ts";
import { TESTED } from "../../src/cli/deploy/wrangler.ts";
import { type Cloudflare, startCloudflare } from "./support/cloudflare.ts";
import { run, start } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What an installed package looks like to a bundler. */
const PACKAGE = `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Channel extends DurableObject {}
export class Fanout extends WorkerEntrypoint {}
export const mount = () => new Response();
`;

let folder: string;
let cloudflare: Cloudflare;

beforeEach(async () => {
  folder = await temporaryFolder();
  const exported = { "./worker": "./worker.js", "./package.json": "./package.json" };
  await mkdir(join(folder, "node_modules", "fanout-edge"), { recursive: true });
  await write("node_modules/fanout-edge/package.json", JSON.stringify({ type: "module", exports: exported }));
  await write("node_modules/fanout-edge/worker.js", PACKAGE);
  await symlink(join(ROOT, "node_modules", "wrangler"), join(folder, "node_modules", "wrangler"));
  cloudflare = await startCloudflare();
  return async () => {
    cloudflare.end();
    await removeFolder(folder);
  };
});

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const read = (name: string) => readFile(join(folder, name), "utf8");
const files = async () =>
  (await readdir(folder)).filter((name) => !["node_modules", ".wrangler"].includes(name)).sort();

const WRITTEN = [".gitignore", "deploy.env", "worker.js", "wrangler.toml"];

/** Runs `fanout deploy` in the folder. */
const deploy = (words: string[] = [], env: Record<string, string> = {}) =>
  run(["deploy", ...words], { cwd: folder, env: { ...cloudflare.environment, ...env } });

/** The secrets and settings of the newest upload. */
const bindings = () => cloudflare.uploads.at(-1)?.metadata.bindings ?? [];

/** Replaces Wrangler by a script, which reads configurations as Wrangler does, and prints its arguments. */
async function fakeWrangler(script: string, version = TESTED): Promise<void> {
  const place = join(folder, "node_modules", "wrangler");
  await rm(place);
  await mkdir(join(place, "bin"), { recursive: true });
  await writeFile(
    join(place, "package.json"),
    JSON.stringify({ version, type: "module", exports: { ".": "./main.js", "./package.json": "./package.json" } }),
  );
  await writeFile(
    join(place, "main.js"),
    `export * from ${JSON.stringify(join(ROOT, "node_modules/wrangler/wrangler-dist/cli.js"))};`,
  );
  await writeFile(join(place, "bin", "wrangler.js"), `if (process.argv[2] === "secret") process.exit(1);\n${script}`);
}

test("the first run writes the files of a closed server, and deploys it with its secret", async () => {
  const { code, out, err } = await deploy(["--name", "chat"]);
  expect([code, err]).toEqual([0, "fanout: wrote deploy.env, .gitignore, worker.js, wrangler.toml\n"]);
  expect(await files()).toEqual(WRITTEN);
  const { TOKEN_SECRET = "" } = parseEnv(await read("deploy.env"));
  expect(TOKEN_SECRET).toMatch(/^[\w-]{43}$/);
  expect((await stat(join(folder, "deploy.env"))).mode & 0o777).toBe(0o600);
  expect((await read("worker.js")).trim().split("\n").slice(1)).toHaveLength(3);
  const [upload, ...others] = cloudflare.uploads;
  expect(others).toEqual([]);
  expect(upload?.path).toMatch(/\/workers\/scripts\/chat$/);
  expect(upload?.metadata).toMatchObject({
    compatibility_flags: ["no_web_socket_compression", "enable_request_signal"],
    migrations: { new_tag: "v1" },
    observability: { enabled: true, redact_query_string: true, logs: { enabled: true, invocation_logs: false } },
  });
  expect(bindings()).toContainEqual({ name: "TOKEN_SECRET", type: "secret_text", text: TOKEN_SECRET });
  expect(bindings()).toContainEqual({ name: "CHANNEL", type: "durable_object_namespace", class_name: "Channel" });
  expect(out).toContain("Fanout is deployed at wss://chat.me.workers.dev, and requires tokens.");
  expect(out).toContain("  npx fanout doctor wss://chat.me.workers.dev\n");
  expect(out).not.toContain(TOKEN_SECRET);
});

test("the steps that it prints make a token of the server's secret", async () => {
  const { out } = await deploy();
  const steps = out.split("\n").filter((line) => line.startsWith("  export "));
  const program = `${process.execPath} ${join(ROOT, "src/cli/main.ts")}`;
  const script = `${steps.join("\n").replace("npx fanout", program)}\nprintf %s "$FANOUT_TOKEN"`;
  const { stdout } = await promisify(execFile)("sh", ["-ec", script], { cwd: folder });
  expect(stdout.split(".")).toHaveLength(3);
});

test("later runs keep the secret and the user's changes, and git ignores the secret", async () => {
  await promisify(execFile)("git", ["init", "-q"], { cwd: folder });
  await write(".gitignore", "node_modules");
  await deploy();
  const secret = await read("deploy.env");
  await write("wrangler.toml", (await read("wrangler.toml")).replace("[vars]", '[vars]\nCLIENT_LIMIT = "7"'));
  await appendFile(join(folder, "worker.js"), "// mine\n");
  const { code, err } = await deploy();
  expect(code).toBe(0);
  expect(err).not.toContain("wrote");
  expect(await read("deploy.env")).toBe(secret);
  expect(await read("worker.js")).toMatch(/\/\/ mine\n$/);
  expect(bindings()).toContainEqual({ name: "CLIENT_LIMIT", type: "plain_text", text: "7" });
  expect(await read(".gitignore")).toBe("node_modules\ndeploy.env\n");
  const { stdout } = await promisify(execFile)("git", ["check-ignore", "deploy.env"], { cwd: folder });
  expect(stdout).toBe("deploy.env\n");
});

test("the Worker is that of the configuration, whatever CLOUDFLARE_ENV says", async () => {
  await write(".env", "CLOUDFLARE_ENV=staging\n");
  expect(await deploy(["--name", "chat"], { CLOUDFLARE_ENV: "production" })).toMatchObject({ code: 0 });
  expect(cloudflare.uploads.map(({ path }) => path)).toEqual([expect.stringMatching(/\/chat$/)]);
});

test("git ignores a secret that the user wrote", async () => {
  await write("deploy.env", `TOKEN_SECRET=${"s".repeat(40)}\r\n`);
  await write(".gitignore", "node_modules\r\n*.env\r\n!deploy.env\r\n");
  const { code, err } = await deploy();
  expect([code, err]).toEqual([0, "fanout: wrote .gitignore, worker.js, wrangler.toml\n"]);
  await promisify(execFile)("git", ["init", "-q"], { cwd: folder });
  const { stdout } = await promisify(execFile)("git", ["check-ignore", "deploy.env"], { cwd: folder });
  expect(stdout).toBe("deploy.env\n");
  expect(bindings()).toContainEqual({ name: "TOKEN_SECRET", type: "secret_text", text: "s".repeat(40) });
});

test("in a clone without the secret, the server keeps its own", async () => {
  await deploy();
  await rm(join(folder, "deploy.env"));
  await rm(join(folder, "worker.js"));
  const { code, out, err } = await deploy();
  expect(code).toBe(0);
  expect(err).toContain("fanout: wrote worker.js\n");
  expect(out).toContain("  export TOKEN_SECRET=…\n");
  expect(bindings()).toContainEqual({ name: "TOKEN_SECRET", type: "inherit" });
});

test("a new server whose secret was lost isn't deployed", async () => {
  await deploy(["--dry-run"]);
  await rm(join(folder, "deploy.env"));
  const { code, err } = await deploy();
  expect(code).toBe(8);
  expect(err).toContain("The following required secrets have not been set: TOKEN_SECRET");
  expect(err).toMatch(/fanout: Wrangler ended with exit code 1\n$/);
  expect(cloudflare.uploads).toEqual([]);
});

test("a dry run writes the files and deploys nothing", async () => {
  const first = await deploy(["--name", "chat", "--dry-run"]);
  expect(first.code).toBe(0);
  expect(first.out).toMatch(/The Worker's name is 'chat'\.\ndeploy\.env has all required secrets\.\n$/);
  expect(await files()).toEqual(WRITTEN);
  await rm(join(folder, "deploy.env"));
  const second = await deploy(["--dry-run"]);
  expect(second.out).toContain("deploy.env lacks TOKEN_SECRET; deploying fails, unless the Worker already has it.\n");
  expect(cloudflare.uploads).toEqual([]);
});

test("a server is open only with --open", async () => {
  const { code, out } = await deploy(["--open"]);
  expect([code, await files()]).toEqual([0, ["worker.js", "wrangler.toml"]]);
  expect(out).toContain("Fanout is deployed at wss://fanout.me.workers.dev, open to everyone who knows the address.");
  expect(bindings()).not.toContainEqual(expect.objectContaining({ name: "TOKEN_SECRET" }));
  expect(await deploy()).toMatchObject({
    code: 2,
    err: expect.stringContaining("everyone could use this server; add"),
  });
  expect(cloudflare.uploads).toHaveLength(1);
  await appendFile(join(folder, "wrangler.toml"), 'TOKEN_JWKS_URL = "https://example.com/jwks.json"\n');
  expect((await deploy()).out).toContain("and requires tokens. Check it with one for channels 'doctor-*':\n");
  expect(await deploy(["--open"])).toMatchObject({ code: 2, err: expect.stringContaining("or leave out --open") });
});

test.each([
  ["", "TOKEN_SECRET in deploy.env is short; it takes 32 bytes or more"],
  ["short", "TOKEN_SECRET in deploy.env is short; it takes 32 bytes or more"],
])("the secret '%s' is refused, because the server would be open or broken", async (secret, why) => {
  await write("deploy.env", `TOKEN_SECRET=${secret}\n`);
  expect(await deploy()).toMatchObject({ code: 2, err: expect.stringContaining(why) });
  expect(await files()).toEqual(["deploy.env"]);
});

test("a secret of the folder is used, before one of the environment", async () => {
  const secret = "s".repeat(40);
  await write("deploy.env", `TOKEN_SECRET=${secret}\nTOKEN_SECRET_PREVIOUS=${"p".repeat(40)}\n`);
  expect(await deploy(["--open"])).toMatchObject({ code: 2, err: expect.stringContaining("leave out --open") });
  const env = { TOKEN_SECRET: "t".repeat(40), TOKEN_SECRET_PREVIOUS: "q".repeat(40) };
  expect(await deploy([], env)).toMatchObject({ code: 0 });
  expect(bindings()).toContainEqual({ name: "TOKEN_SECRET", type: "secret_text", text: secret });
  expect(bindings()).toContainEqual({ name: "TOKEN_SECRET_PREVIOUS", type: "secret_text", text: "p".repeat(40) });
  // The server's own secret shows whose Worker it is.
  await rm(join(folder, "wrangler.toml"));
  expect(await deploy()).toMatchObject({ code: 0 });
  await rm(join(folder, "wrangler.toml"));
  await write("deploy.env", "OTHER=x\n");
  cloudflare.uploads.length = 0;
  expect(await deploy()).toMatchObject({ code: 2, err: expect.stringContaining("deploy.env has no TOKEN_SECRET") });
});

test.each(["wrangler.toml", "wrangler.json", "wrangler.jsonc", "worker.js"])(
  "another project's %s is left alone",
  async (name) => {
    await write(name, "name = 1\n");
    const { code, err } = await deploy();
    expect(code).toBe(2);
    expect(err).toBe(
      `fanout: ${name} belongs to another project; run this in another folder, or mount the server inside that project's own Worker\n`,
    );
    expect(await files()).toEqual([name]);
  },
);

test("a configuration that the user has converted is used, but not two of them", async () => {
  const { code } = await deploy(["--dry-run"]);
  expect(code).toBe(0);
  const converted = {
    name: "converted",
    main: "worker.js",
    compatibility_date: "2026-10-01",
    secrets: { required: ["TOKEN_SECRET"] },
  };
  await write("wrangler.jsonc", `// ${MARK}\n${JSON.stringify(converted)}`);
  const both = await deploy();
  expect([both.code, both.err]).toEqual([
    2,
    "fanout: this folder has wrangler.toml and wrangler.jsonc; keep only one of them\n",
  ]);
  await rm(join(folder, "wrangler.toml"));
  expect((await deploy(["--dry-run"])).out).toContain("The Worker's name is 'converted'.");
});

test("a Worker of the account that isn't this server is never replaced", async () => {
  await deploy(["--name", "chat"]);
  for (const name of WRITTEN) await rm(join(folder, name));
  const first = await deploy(["--name", "chat"]);
  expect([first.code, await files()]).toEqual([2, []]);
  expect(first.err).toContain("your account has a Worker 'chat', which this would replace; choose another name");
  cloudflare.secrets = [];
  await fakeWrangler("process.exit(1);");
  await deploy(["--name", "chat"]);
  await rm(join(folder, "node_modules", "wrangler"), { recursive: true });
  await symlink(join(ROOT, "node_modules", "wrangler"), join(folder, "node_modules", "wrangler"));
  const second = await deploy();
  expect(second.code).toBe(2);
  expect(second.err).toContain("your account's Worker 'chat' has no TOKEN_SECRET; if it's this server, run: npx");
  expect(cloudflare.uploads).toHaveLength(1);
});

test("options after -- go to Wrangler, unless they contradict this command's", async () => {
  await fakeWrangler("console.log(process.argv.slice(2).join(' '));");
  const { code, out, err } = await deploy(["--", "--message", "two words", "--keep-vars"]);
  expect(out).toBe("deploy --config wrangler.toml --env= --secrets-file deploy.env --message two words --keep-vars\n");
  expect([code, err.split("\n").at(-2)]).toEqual([8, "fanout: Wrangler ended without a deployment"]);
  for (const [words, why] of [
    [["chat"], "'chat' isn't an option; name the Worker with --name chat"],
    [["--", "--dryRun"], "give --dryRun before the --"],
    [["--", "--name=x"], "give --name=x before the --"],
    [["--", "-c", "x"], "-c can't be passed on"],
    [["--", "--secrets-file", "x"], "--secrets-file can't be passed on"],
    [["--name", "chat"], "wrangler.toml names this server 'fanout'"],
    [["--name", "Chat_1"], "lowercase letters"],
    [["--name", ""], "lowercase letters"],
  ] as const) {
    const refused = await deploy([...words]);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(why)]);
  }
});

test("missing packages are named with the command that installs them", async () => {
  const refused = async () => {
    const { code, err } = await deploy();
    expect([code, await files()]).toEqual([2, []]);
    return err;
  };
  await fakeWrangler("", "4.127.9");
  expect(await refused()).toBe(
    `fanout: this folder needs wrangler (4.127.9 is too old): npm install --save-dev wrangler@${TESTED}\n`,
  );
  await rm(join(folder, "node_modules", "fanout-edge"), { recursive: true });
  expect(await refused()).toContain(`npm install --save-dev fanout-edge wrangler@${TESTED}\n`);
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  expect(devDependencies.wrangler).toBe(TESTED);
});

test("it passes a signal on to Wrangler, and waits for it", async () => {
  await fakeWrangler(`
    process.on("SIGTERM", () => { console.log("stopped"); process.exit(0); });
    console.log("started");
    setInterval(() => {}, 1_000);`);
  const child = start(["deploy"], cloudflare.environment, folder);
  let out = "";
  child.stdout.on("data", (chunk: unknown) => {
    out += String(chunk);
    if (out === "started\n") child.kill("SIGTERM");
  });
  expect(await once(child, "close")).toEqual([143, null]);
  expect(out).toBe("started\nstopped\n");
});

test("docs/deploying.md names the files, and the version of Wrangler", async () => {
  const guide = await readFile(join(ROOT, "docs/deploying.md"), "utf8");
  const [, section = ""] = /^## Without a clone\n(.*?)^## /ms.exec(guide) ?? [];
  const named = [...section.matchAll(/^\| `(.+?)` \|/gm)].map(([, name]) => name);
  expect(named.sort()).toEqual(WRITTEN);
  expect(section).toContain(`npm install --save-dev wrangler@${TESTED}\n`);
});
