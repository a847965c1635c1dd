/** Runtimes and package managers that install the packed package. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { Fanout } from "../../src/client/fanout.ts";
import { VERSION } from "../../src/version.ts";
import {
  browser,
  create,
  expectText,
  RECEIVED,
  RECEIVED_LAST,
  type Restarting,
  restartWith,
  serveFolder,
  serveRestarting,
  USE,
  USE_COMMONJS,
  USE_TYPES,
} from "./support.ts";

/** The oldest Node for the client, the oldest one for the command-line program, and the newest with long-term support. */
const NODES = ["20.0.0", "22.0.0", "24"];

const ROOT = join(import.meta.dirname, "..", "..");

/** Returns the path of a runtime that the tests of `packages` install. */
const OTHERS = (name: string) => join(import.meta.dirname, "..", "packages", "node_modules", ".bin", name);

let server: Restarting;

beforeAll(async () => {
  const nodes = NODES.flatMap((version) => [`node-${version}-module`, `node-${version}-commonjs`]);
  server = await serveRestarting([...nodes, "pnpm", "bun", "deno", "page", "shared-page", "worker"]);
  return server.end;
});

const using = (channel: string, then = ".then(console.log)") =>
  `use(Fanout, ${JSON.stringify(server.address)}, "${channel}")${then};\n`;

const MODULE = 'import { Fanout } from "fanout-edge/client";\nimport { use } from "./use.mjs";\n';
const COMMONJS = 'const { Fanout } = require("fanout-edge/client");\nconst { use } = require("./use.cjs");\n';

test.each(NODES)("Node %s, and the command-line program", async (version) => {
  const project = await create({
    packages: [`node@${version}`],
    files: {
      "use.mjs": USE,
      "use.cjs": USE_COMMONJS,
      "main.mjs": MODULE + using(`node-${version}-module`),
      "main.cjs": COMMONJS + using(`node-${version}-commonjs`),
    },
  });
  expect(await project.run("node --version")).toMatch(`v${version}`);
  // Before 22.4, Node warns that its WebSocket is experimental.
  expect(await project.run("node main.mjs")).toMatch(RECEIVED_LAST);
  expect(await project.run("node main.cjs")).toMatch(RECEIVED_LAST);
  expect(await project.run("fanout --version")).toBe(`${VERSION}\n`);
  expect(await project.run("npx --no-install fanout --help")).toContain("Usage: fanout");
  const printed = await project.run(`fanout ping ${server.address.replace("ws", "http")}`).catch(String);
  if (!version.startsWith("20")) expect(printed).toMatch(/(^|\n)\d+\.\d ms\n$/);
  else expect(printed).toMatch(/\nfanout: 'fanout ping' needs Node\.js 22 or newer, and this is 20\.0\.0\n$/);
});

test("pnpm", async () => {
  const project = await create({
    installer: "npx --yes pnpm@12 add",
    files: { "use.mjs": USE, "main.mjs": MODULE + using("pnpm") },
  });
  expect(await project.run("node main.mjs")).toBe(`${RECEIVED}\n`);
  expect(await project.run("npx --no-install fanout --version")).toBe(`${VERSION}\n`);
});

test("Bun installs and runs it", async () => {
  const project = await create({
    installer: `${OTHERS("bun")} add`,
    files: { "use.mjs": USE, "main.mjs": MODULE + using("bun") },
  });
  expect(await project.run(`${OTHERS("bun")} main.mjs`)).toBe(`${RECEIVED}\n`);
});

test("Deno checks and runs it", async () => {
  const files = { "use.mjs": USE, "use.d.mts": USE_TYPES, "main.ts": MODULE + using("deno") };
  const project = await create({ files });
  await project.run(`${OTHERS("deno")} check main.ts`);
  expect(await project.run(`${OTHERS("deno")} run --allow-net main.ts`)).toBe(`${RECEIVED}\n`);
});

const SHOW = ".then((texts) => document.body.append(texts))";

test.skipIf(!browser)("a page without a bundler", async () => {
  const project = await create({ files: { "use.js": USE } });
  const module = "./node_modules/fanout-edge/dist/page/fanout.js";
  await project.write({
    "index.html": `<!doctype html><body><script type="module">
import { Fanout } from "${module}";
import { use } from "./use.js";
${using("page", SHOW)}</script></body>`,
  });
  await expectText(`${await serveFolder(project.folder)}/`, RECEIVED);
});

test.skipIf(!browser)("a SharedWorker without a bundler", async () => {
  const project = await create({ files: { "use.js": USE.replaceAll("export ", "") } });
  const script = "./node_modules/fanout-edge/dist/page/fanout.global.js";
  await project.write({
    "worker.js": `
importScripts("${script}", "./use.js");
const { Fanout } = fanoutEdge;
onconnect = ({ ports: [port] }) => {
  ${using("shared-page", ".then((texts) => port.postMessage(texts))")}};
`,
    "index.html": `<!doctype html><body><script>
new SharedWorker("worker.js").port.onmessage = ({ data }) => document.body.append(data);
</script></body>`,
  });
  await expectText(`${await serveFolder(project.folder)}/`, RECEIVED);
});

/** Mounts the server. At other paths, it answers with what a client in the Worker received. */
const SITE = () => `
import { Fanout } from "fanout-edge/client";
import { type Env, mount } from "fanout-edge/worker";
import { use } from "./use.js";
export { Channel } from "fanout-edge/worker";
export default {
  fetch: async (request: Request, env: Env): Promise<Response> =>
    mount("/live", request, env) ?? new Response(await use(Fanout, ${JSON.stringify(server.address)}, "worker")),
};
`;

test("a Worker that mounts it, with Wrangler", async () => {
  const project = await create({
    fields: { type: "module" },
    packages: ["wrangler@4", "typescript@5.9"],
    files: { "worker.ts": SITE(), "use.js": USE, "use.d.ts": USE_TYPES },
  });
  const example = join(project.folder, "node_modules", "fanout-edge", "examples", "mounted", "wrangler.toml");
  await project.run(`cp ${example} .`);
  const settings = { WRANGLER_SEND_METRICS: "false", CI: "true" };
  await project.run("wrangler types", settings);
  await project.write({
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        target: "es2024",
        lib: ["es2024"],
        module: "esnext",
        moduleResolution: "bundler",
        types: ["./worker-configuration.d.ts"],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      },
      files: ["worker.ts"],
    }),
  });
  await project.run("tsc -p .");
  const output = await project.run("wrangler deploy --dry-run --outdir out", settings);
  expect(output).not.toMatch(/warning/i);
  const start = () => project.start("wrangler dev --port 0 --ip 127.0.0.1", /(http:\/\/127\.0\.0\.1:\d+)/);
  let site = await start();
  expect(await (await fetch(site.found)).text()).toBe(RECEIVED);
  const mounted = {
    get url() {
      return site.found;
    },
    restart: async () => {
      await site.kill();
      site = await start();
    },
    end: () => site.kill(),
  };
  const restarting = await restartWith(mounted, ["mounted"], "/live");
  onTestFinished(restarting.end);
  await project.write({
    "main.mjs": `${MODULE.replace("use.mjs", "use.js")}use(Fanout, "${restarting.address}", "mounted").then(console.log);`,
  });
  expect(await project.run("node main.mjs")).toBe(`${RECEIVED}\n`);
});

test("fanout deploy, in a folder with nothing but the two packages", async () => {
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const project = await create({ packages: [`wrangler@${devDependencies.wrangler}`] });
  const settings = { WRANGLER_SEND_METRICS: "false", CI: "true", CLOUDFLARE_API_TOKEN: "" };
  const output = await project.run("npx --no-install fanout deploy --name chat --dry-run", settings);
  expect(output).toContain("The Worker's name is 'chat'.\ndeploy.env has all required secrets.\n");
  expect(output).not.toMatch(/warning/i);
  const { TOKEN_SECRET = "" } = parseEnv(await readFile(join(project.folder, "deploy.env"), "utf8"));
  const grants = "--subscribe news --announce news --expires 1h";
  const token = (await project.run(`npx --no-install fanout token ${grants}`, { TOKEN_SECRET })).trim();
  await project.run("cp deploy.env .dev.vars");
  const { found: url } = await project.start("wrangler dev --port 0 --ip 127.0.0.1", /(http:\/\/127\.0\.0\.1:\d+)/);
  const statusOf = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).status;
  await expect.poll(() => statusOf("/-/health").catch(String)).toBe(200);
  expect(await statusOf("/news", { method: "POST", body: "stranger" })).toBe(401);
  const fanout = new Fanout(url, { token });
  onTestFinished(() => fanout.close());
  const messages = fanout.subscribe("news")[Symbol.asyncIterator]();
  const next = messages.next();
  await fanout.ping();
  const headers = { Authorization: `Bearer ${token}` };
  expect(await statusOf("/news", { method: "POST", body: "hello", headers })).toBe(200);
  expect((await next).value?.text).toBe("hello");
  expect(await (await fetch(url, { headers: { Accept: "text/html" } })).text()).toContain("<title>");
});
