/** The packed package, installed in a separate project. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { chromium, type Page } from "playwright-core";
import { beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { install as installWith } from "../e2e/support/command.ts";
import { listening } from "../e2e/support/listening.ts";
import { type Runtime, removeFolder, startRuntime, temporaryFolder } from "../e2e/support/runtime.ts";
import { find } from "../e2e/support/tools.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");
const CHECKERS = join(import.meta.dirname, "node_modules", ".bin");
const ENV = {
  ...process.env,
  PATH: [BIN, CHECKERS, process.env.PATH].join(delimiter),
};

/** The older supported React; this project uses 19. */
const REACT_18 = ["react@18.3.1", "react-dom@18.3.1", "@types/react@18.3.8"];

const browser = find("chromium", "apt-get install chromium");

/** Older supported compilers; this project's own is newer. */
const COMPILERS = ["5.7", "5.8", "5.9"];

/** The oldest Node that `engines` allows. */
const OLDEST_NODE = "20.0.0";

/** The project in which the package is installed, and the package. */
let project: string;
let tarball: string;
/** The path of the oldest Node. */
let oldest: string;
/** Runs that project's Worker. */
let runtime: Runtime;

beforeAll(async () => {
  const folder = await temporaryFolder();
  tarball = inject("tarball");
  project = join(folder, "project");
  const compilers = COMPILERS.map((version) => `typescript-${version}@npm:typescript@~${version}`);
  await install(project, tarball, ...REACT_18, ...compilers);
  // Outside of the project, so that the project doesn't use it.
  const beside = join(folder, "oldest");
  await install(beside, `node@${OLDEST_NODE}`);
  oldest = join(beside, "node_modules", ".bin", "node");
  // Link the platform types that a Worker's project has; that's faster than installing them.
  await mkdir(join(project, "node_modules", "@cloudflare"), { recursive: true });
  for (const name of ["@cloudflare/workers-types", "@types/node", "@types/ws", "undici-types", "ws"]) {
    const types = join("node_modules", name);
    await symlink(join(ROOT, types), join(project, types));
  }
  // Pages on other origins connect.
  const settings = { ALLOWED_ORIGINS: "*" };
  runtime = await startRuntime(await bundled("worker.js", WORKER), folder, { settings });
  return async () => {
    await runtime.kill();
    await removeFolder(folder);
  };
});

/** Creates a project, and installs packages in it. */
async function install(folder: string, ...packages: string[]): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  const quietly = "--no-audit --no-fund --prefer-offline --loglevel=error";
  await installWith(`npm install ${quietly} ${packages.join(" ")}`, { cwd: folder, env: ENV });
}

/** Runs a program and returns its output. @throws Error with its output if it fails */
async function run(program: string, words: string[], cwd = project): Promise<string> {
  const { stdout } = await promisify(execFile)(program, words, { cwd, env: ENV });
  return stdout;
}

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(project, name), text);
  return join(project, name);
}

/** Bundles a source with its dependencies; returns the file's path. */
async function bundled(name: string, source: string): Promise<string> {
  const outfile = join(project, "bundled", name);
  const external = ["cloudflare:*"];
  const entryPoints = [await write(name, source)];
  await build({ entryPoints, bundle: true, format: "esm", target: "es2022", external, outfile });
  return outfile;
}

let names = 0;
const unique = () => `package-${++names}`;

/** A Worker that uses the client and mounts the server. */
const WORKER = `
import { Fanout } from "fanout-edge/client";
import { mount } from "fanout-edge/worker";
export { Channel } from "fanout-edge/worker";
async function use(url) {
  const fanout = new Fanout(new URL("/live", url).href);
  const first = fanout.subscribe("from-a-worker")[Symbol.asyncIterator]().next();
  const position = await fanout.announce("from-a-worker", "hello");
  const { value } = await first;
  await fanout.close();
  return Response.json({ text: value.text, isSame: value.position === position });
}
export default {
  fetch: (request, env) => mount("/live", request, env) ?? use(request.url),
};`;

const live = () => `${runtime.url}/live`;

test("it contains exactly the files needed to use it", async () => {
  const files = (await run("tar", ["-tzf", tarball])).trim().split("\n");
  expect(files.sort()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "client/package.json",
      "dist/cli.js",
      "dist/client.cjs",
      "dist/client.cjs.map",
      "dist/client.d.cts",
      "dist/client.d.ts",
      "dist/client.js",
      "dist/client.js.map",
      "dist/page/fanout.global.js",
      "dist/page/fanout.global.js.map",
      "dist/page/fanout.js",
      "dist/page/fanout.js.map",
      "dist/react.cjs",
      "dist/react.cjs.map",
      "dist/react.d.cts",
      "dist/react.d.ts",
      "dist/react.js",
      "dist/react.js.map",
      "dist/requests.js",
      "dist/requests.js.map",
      "dist/server.js",
      "dist/testing.cjs",
      "dist/testing.d.cts",
      "dist/testing.d.ts",
      "dist/testing.js",
      "dist/types.d.cts",
      "dist/types.d.ts",
      "dist/worker.d.ts",
      "dist/worker.js",
      "examples/mounted/worker.ts",
      "examples/mounted/wrangler.toml",
      "package.json",
      "react/package.json",
    ].map((file) => `package/${file}`),
  );
});

test("types import modules of the same format", async () => {
  const dist = join(project, "node_modules", "fanout-edge", "dist");
  const files = await readdir(dist);
  for (const [types, module] of [
    [".d.ts", ".js"],
    [".d.cts", ".cjs"],
  ] as const) {
    const own = files.filter((file) => file.endsWith(types));
    const texts = await Promise.all(own.map((file) => readFile(join(dist, file), "utf8")));
    const imported = [...texts.join("\n").matchAll(/(?:from |import\()"(\.[^"]*)"/g)].map(([, name]) => name);
    expect(imported.length).toBeGreaterThan(0);
    for (const name of imported) expect(name?.endsWith(module), name).toBe(true);
  }
});

test("publint and attw find no problems", async () => {
  await run("publint", [tarball, "--strict"]);
  // Check Workers for ES modules only.
  await run("attw", [tarball, "--exclude-entrypoints", "worker"]);
  await run("attw", [tarball, "--entrypoints", "worker", "--profile", "esm-only"]);
});

test("the release workflow publishes a package that npm has no warnings about", async () => {
  const workflow = await readFile(join(ROOT, ".github", "workflows", "release.yml"), "utf8");
  const commands = [...workflow.matchAll(/^ +(?:- run: )?(npm (?:pkg|publish) .*)$/gm)].map(
    ([, command = ""]) => command,
  );
  expect(commands).toHaveLength(2);
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  await cp(join(project, "node_modules", "fanout-edge"), folder, { recursive: true });
  const env = { ...ENV, GITHUB_SERVER_URL: "https://github.com", GITHUB_REPOSITORY: "example/fanout" };
  const [set = "", publish = ""] = commands;
  // Only the workflow's runner can prove where a package comes from.
  const rehearsal = publish.replace("--provenance", "--dry-run --ignore-scripts");
  const { stderr } = await promisify(execFile)("sh", ["-ec", `${set}\n${rehearsal}`], { cwd: folder, env });
  const warnings = stderr.split("\n").filter((line) => /warn/i.test(line) && !line.includes("logged in"));
  expect(warnings).toEqual([]);
  expect(stderr).toContain("with tag latest and public access (dry-run)");
  const { repository } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  expect(repository).toEqual({ type: "git", url: "git+https://github.com/example/fanout.git" });
});

/** A script that announces, and prints the message that it receives. */
const script = (channel: string) => `
  const fanout = new Fanout(${JSON.stringify(live())});
  const channel = ${JSON.stringify(channel)};
  fanout.subscribe(channel, {
    last: 1,
    onMessage: async ({ text }) => {
      console.log(text, new Refused("limit", "").name);
      await fanout.close();
    },
  });
  fanout.announce(channel, "hello");`;

test.each([
  ["imports", "script.mjs", 'import { Fanout, Refused } from "fanout-edge/client";'],
  ["requires", "script.cjs", 'const { Fanout, Refused } = require("fanout-edge/client");'],
])("Node %s the client, in this version and in the oldest, which has no WebSocket", async (_, name, line) => {
  for (const node of ["node", oldest])
    expect(await run(node, [await write(name, line + script(unique()))])).toBe("hello Refused\n");
});

/** Globals of React Native: URL has only `href`, and the window has no events. */
const REACT_NATIVE = `
const URL = class {
  constructor(href) { if (!/^\\w+:/.test(href)) throw new Error("not an address"); this.href = href; }
};
const globals = { WebSocket, URL, console, setTimeout, clearTimeout, queueMicrotask, performance, AbortController };
globals.window = globals;
const client = require("fs").readFileSync(require.resolve("fanout-edge/client"), "utf8");
const scope = "const module = {}; (() => {" + client + "})(); const { Fanout, Refused } = module.exports;";
require("vm").runInNewContext(scope + program, globals);`;

test("the client works with the globals of React Native", async () => {
  const program = `const program = ${JSON.stringify(script(unique()))};`;
  expect(await run("node", [await write("native.cjs", program + REACT_NATIVE)])).toBe("hello Refused\n");
});

test("the package ws works as the global WebSocket, and may be closed while connecting", async () => {
  const program = () => `globalThis.WebSocket = require("ws");
    const { Fanout, Refused } = require("fanout-edge/client");
    const silent = require("net").createServer().listen(0, "127.0.0.1", () => {
      const client = new Fanout("ws://127.0.0.1:" + silent.address().port);
      client.connect();
      silent.once("connection", async (socket) => {
        await client.close();
        socket.once("close", () => silent.close()).resume();
      });
    });
    silent.once("close", () => { ${script(unique())} });`;
  for (const node of ["node", oldest])
    expect(await run(node, [await write("ws.cjs", program())])).toBe("hello Refused\n");
});

test("stack traces show the sources through source maps", async () => {
  const file = await write("fails.cjs", 'new (require("fanout-edge/client").Fanout)("");');
  const failure = await run("node", ["--enable-source-maps", file]).catch(({ stderr }) => stderr);
  expect(failure).toContain("TypeError: the address");
  expect(failure).toMatch(/src\/client\/address\.ts:\d+/);
});

test("unused imports leave nothing in a bundle", async () => {
  const source = 'import { Fanout } from "fanout-edge/client"; import { useChannel } from "fanout-edge/react";';
  const { size } = await stat(await bundled("unused.js", source));
  expect(size).toBeLessThan(50);
});

test("the hook's module begins with `use client`", async () => {
  for (const name of ["react.js", "react.cjs"]) {
    const text = await readFile(join(project, "node_modules", "fanout-edge", "dist", name), "utf8");
    expect(text.startsWith('"use client";\n')).toBe(true);
  }
});

test("the client can be installed with an older React", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  await install(join(folder, "older"), "--package-lock-only", tarball, "react@17.0.2");
});

test("a Worker imports the client, and mounts the server", async () => {
  const response = await fetch(runtime.url.replace(/^ws/, "http"));
  expect(JSON.parse(await response.text())).toEqual({ text: "hello", isSame: true });
});

test("the program publishes and subscribes", async () => {
  const program = join(project, "node_modules", ".bin", "fanout");
  expect(await run(program, ["--help"])).toContain("Publish and subscribe with a Fanout server");
  expect(await run("npx", ["--no-install", "fanout", "pub", "--help"])).toContain("announce a message");
  const news = unique();
  await run(program, ["pub", live(), news, "hello world"]);
  expect(await run(program, ["sub", live(), news, "--last", "1", "--count", "1"])).toBe("hello world\n");
});

/** TypeScript programs, and the options to compile them. */
const PROGRAMS = {
  page: {
    source: `
import type { AnnounceOptions, CloseOptions, FanoutOptions, RequestOptions, SubscribeOptions } from "fanout-edge/client";
import type { ChannelOptions } from "fanout-edge/react";
import { Fanout, json, type Message } from "fanout-edge/client";
import { type ChannelClient, type MembersOptions, useChannel, useMembers } from "fanout-edge/react";
import { type CutOptions, type ServeOptions, serve, type TestServer } from "fanout-edge/testing";
const fanout = new Fanout("wss://host");
export const useChat = (): readonly Message[] => useChannel(fanout, "chat", { last: 20 }).messages;
export const fake: ChannelClient = fanout;
interface Order { id: number }
const order = json<Order>();
const enabled: MembersOptions = { enabled: true };
export const useNames = (): string[] => useMembers(fanout, "chat", enabled).members.map(({ member }) => member);
export const useOrders = (): number[] => useChannel(fanout, "orders", { codec: order }).messages.map(({ data }) => data.id);
const orders = new Fanout("wss://host", { codec: order });
export const useThem = () => useChannel(orders, "orders", { onMessage: ({ data }) => data.id }).announce({ id: 1 });
fanout.subscribe("orders", { codec: order, onMessage: ({ data }) => data.id });
export const serving = (): Promise<TestServer> => serve({ settings: { HISTORY_SECONDS: 10, TOKEN_SECRET: "secret" } });
export const ending = (server: TestServer): Promise<void> => server[Symbol.asyncDispose]();
// @ts-expect-error a setting is text or a number
serve({ settings: { CONSOLE: true } });
// @ts-expect-error a channel is a string
fanout.announce(1, "hello");
// @ts-expect-error an order has an id
orders.announce("orders", "hello");
/** Options that may be omitted, but not undefined. */
type Rejecting<T> = { [K in keyof T]-?: undefined extends Required<T>[K] ? never : K }[keyof T];
type All = FanoutOptions & SubscribeOptions & AnnounceOptions & RequestOptions & CloseOptions & ChannelOptions & ServeOptions & CutOptions;
export const none: [Rejecting<All>] extends [never] ? true : false = true;
export const one: Rejecting<{ a?: string; b?: string | undefined }> = "a";`,
    libraries: { lib: ["es2022", "dom", "dom.iterable"], types: [] },
  },
  server: {
    source: `
import { Fanout, type WebSocketConstructor } from "fanout-edge/client";
import { WebSocket } from "ws";
export const fanout = new Fanout("wss://host", { WebSocket, fetch });
export const native: WebSocketConstructor = globalThis.WebSocket;`,
    libraries: { lib: ["es2022"], types: ["node"], skipLibCheck: true },
  },
  site: {
    source: `
import { type Env, mount } from "fanout-edge/worker";
export { Channel, Fanout } from "fanout-edge/worker";
export default { fetch: (request: Request, env: Env) => mount("/live", request, env) ?? new Response("") };
// @ts-expect-error a path is a string
export const wrong = (request: Request, env: Env) => mount(1, request, env);`,
    libraries: { lib: ["es2024"], types: ["@cloudflare/workers-types"] },
  },
};

/** Compiles a program that imports the package. @throws Error with the compiler's output */
async function compile(compiler: string, name: string, source: string, options: object): Promise<void> {
  // Without skipLibCheck, so that the package's declarations are checked, too.
  const strict = { strict: true, exactOptionalPropertyTypes: true, target: "es2022", noEmit: true };
  const compilerOptions = { ...strict, ...options };
  await write(name, source);
  const settings = await write("tsconfig.json", JSON.stringify({ compilerOptions, files: [name] }));
  await run("node", [compiler, "-p", settings]).catch(({ stdout }) => {
    throw new Error(stdout);
  });
}

const compilerOf = (version: string) => join(project, "node_modules", `typescript-${version}`, "bin", "tsc");

/** This project's compiler, and the oldest one, which also supports module resolution from before `exports`. */
const NEWEST = () => join(BIN, "tsc");
const OLDEST = () => compilerOf("5.7");

test.each([
  ["nodenext", "nodenext", "ts", NEWEST],
  ["bundler", "esnext", "ts", NEWEST],
  ["nodenext", "nodenext", "cts", NEWEST],
  ["node16", "node16", "ts", OLDEST],
  ["node16", "node16", "cts", OLDEST],
  ["bundler", "esnext", "ts", OLDEST],
  ["node", "commonjs", "ts", OLDEST],
])("types resolve with moduleResolution %s, module %s, in a .%s file", async (...given) => {
  const [moduleResolution, module, ending, compiler] = given;
  const { source, libraries } = PROGRAMS.page;
  await compile(compiler(), `page.${ending}`, source, { module, moduleResolution, ...libraries });
});

test.each(["site", "server"] as const)("the program %s compiles", async (name) => {
  const { source, libraries } = PROGRAMS[name];
  const options = { module: "nodenext", moduleResolution: "nodenext", ...libraries };
  await compile(NEWEST(), `${name}.ts`, source, options);
});

test("a program compiled to CommonJS runs on the oldest Node", async () => {
  const source = `import { Fanout, Refused } from "fanout-edge/client";${script(unique())}`;
  const libraries = {
    lib: ["es2022"],
    types: ["node"],
    skipLibCheck: true,
    noEmit: false,
    outDir: "compiled",
  };
  const options = { module: "commonjs", moduleResolution: "node", ...libraries };
  await compile(OLDEST(), "compiled.ts", source, options);
  await mkdir(join(project, "compiled"), { recursive: true });
  await write("compiled/package.json", '{ "type": "commonjs" }');
  expect(await run(oldest, [join(project, "compiled", "compiled.js")])).toBe("hello Refused\n");
});

/** A site whose environment has the types from `wrangler types`, with or without the objects' class. */
const SITE = `
import { mount } from "fanout-edge/worker";
export { Channel, Fanout } from "fanout-edge/worker";
interface Typed { CHANNEL: DurableObjectNamespace<import("./generated").Channel>; LINES_PER_SECOND: "100" }
interface Untyped { CHANNEL: DurableObjectNamespace; DATABASE: D1Database }
export const typed: ExportedHandler<Typed> = { fetch: (request, env) => mount("/live", request, env) ?? new Response("") };
export const untyped: ExportedHandler<Untyped> = { fetch: (request, env) => mount("/live", request, env) ?? new Response("") };
// @ts-expect-error the objects are missing
export const wrong = (request: Request) => mount("/live", request, { CHANNELS: 1 });`;

test.each(COMPILERS)("a site mounts the server with Wrangler's types and TypeScript %s", async (version) => {
  const libraries = { types: ["@cloudflare/workers-types"], lib: ["es2024"], target: "es2024" };
  const options = { module: "esnext", moduleResolution: "bundler", ...libraries };
  await compile(compilerOf(version), "generated.ts", SITE, options);
});

/** A component that shows a channel; `window.show` selects another one. */
const PAGE = `
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { createElement, StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";
const fanout = new Fanout(new URLSearchParams(location.search).get("server"));
function Shown() {
  const [channel, show] = useState("one");
  const { messages, state } = useChannel(fanout, channel, { last: 10 });
  window.show = show;
  const texts = messages.map(({ text }) => text).join(" ");
  return createElement("p", null, [version, channel, state, texts].join(" "));
}
createRoot(document.body).render(createElement(StrictMode, null, createElement(Shown)));`;

/** Opens a page in a new browser; returns it with its console output. */
async function open(): Promise<{ page: Page; written: string[] }> {
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage();
  const written: string[] = [];
  page.on("console", (line) => void written.push(line.text()));
  return { page, written };
}

/** Serves one page at every address, except for the package's own files. */
async function serve(html: string): Promise<string> {
  const server = createServer(async ({ url = "" }, response) => {
    const isScript = url.endsWith(".js");
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? await readFile(join(project, "node_modules", "fanout-edge", url)) : html);
  });
  onTestFinished(() => void server.close());
  return listening(server);
}

test.skipIf(!browser)("a page without a bundler loads one file as a module", async () => {
  const { page, written } = await open();
  const code = `import { Fanout, Refused } from "/dist/page/fanout.js";${script(unique())}`;
  await page.goto(await serve(`<!doctype html><script type="module">${code}</script>`));
  await expect.poll(() => written).toContain("hello Refused");
});

test.skipIf(!browser)("a page opened from a file loads one file as a script", async () => {
  const { page, written } = await open();
  const code = `const { Fanout, Refused } = fanoutEdge;${script(unique())}`;
  const file = "node_modules/fanout-edge/dist/page/fanout.global.js";
  const html = `<!doctype html><script src="${file}"></script><script>${code}</script>`;
  await page.goto(pathToFileURL(await write("page.html", html)).href);
  await expect.poll(() => written).toContain("hello Refused");
});

test.skipIf(!browser)("a page with React 18 switches between channels", async () => {
  const file = await bundled("page.js", PAGE);
  const { page } = await open();
  const shows = (text: string) =>
    page.waitForFunction(`document.body.textContent === "18.3.1 ${text}"`, undefined, { timeout: 60_000 });
  const show = (channel: string) => page.evaluate(`window.show("${channel}")`);
  const announce = (channel: string, body: string) =>
    fetch(`${live().replace(/^ws/, "http")}/${channel}`, { method: "POST", body });
  await announce("one", "a\nb");
  await page.goto(`${await serve("<!doctype html><body>")}?server=${encodeURIComponent(live())}`);
  await page.addScriptTag({ path: file, type: "module" });
  await shows("one subscribed a b");
  await announce("one", "c");
  await shows("one subscribed a b c");
  await show("two");
  await shows("two subscribed ");
  await announce("one", "d");
  await announce("two", "x");
  await shows("two subscribed x");
  // Switch twice before the server can reply, so that it sends the retained messages twice.
  await page.evaluate('for (const channel of ["one", "two", "one"]) setTimeout(window.show, 0, channel)');
  await shows("one subscribed a b c d");
  await announce("one", "e");
  await shows("one subscribed a b c d e");
  // An invalid channel is an error of the component; React unmounts it, as nothing catches the error.
  await show("a!b");
  await page.waitForFunction("document.body.childElementCount === 0", undefined, { timeout: 60_000 });
});

/** Starts `fanout serve` without a runtime beside the package; resolves to its URL, and what it says meanwhile. */
async function serving(cache: string, data: string) {
  const program = join(project, "node_modules", ".bin", "fanout");
  const env = { ...ENV, XDG_CACHE_HOME: cache, npm_config_prefer_offline: "true" };
  const child = spawn(program, ["serve", "--port", "0", "--data", join(cache, data)], { cwd: project, env });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit");
  let err = "";
  child.stderr.on("data", (chunk: unknown) => {
    err += String(chunk);
  });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const url = /http:\S+\d/.exec(String(line))?.[0];
  return { url, child, ended, err: () => err };
}

test("fanout serve installs its runtime once, also if several start at once", async () => {
  const cache = await temporaryFolder();
  onTestFinished(() => removeFolder(cache));
  const servers = await Promise.all([serving(cache, "a"), serving(cache, "b")]);
  for (const { url, child, ended, err } of servers) {
    expect((await fetch(`${url}/news`, { method: "POST", body: "a" })).status).toBe(200);
    expect(err()).toMatch(/^fanout: installing the runtime, workerd [\d.]+, once, in \S+\n$/);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  }
  expect((await serving(cache, "a")).err()).toBe("");
  expect(await readdir(join(cache, "fanout"))).toEqual([expect.stringMatching(/^workerd-[\d.]+$/)]);
});

test("fanout serve says why its runtime can't be installed", async () => {
  const cache = await temporaryFolder();
  onTestFinished(() => removeFolder(cache));
  const program = join(project, "node_modules", "fanout-edge", "dist", "cli.js");
  const attempt = (env: Record<string, string>) =>
    promisify(execFile)(process.execPath, [program, "serve", "--port", "0", "--data", join(cache, "data")], {
      cwd: project,
      env: { ...ENV, XDG_CACHE_HOME: cache, ...env },
    }).catch(({ code, stderr }: { code: number; stderr: string }) => [code, stderr.split("\n")[1]]);
  const why = (reason: string) => [
    7,
    expect.stringMatching(`^fanout: the runtime workerd can't be installed: ${reason}; .*npm install workerd@[\\d.]+$`),
  ];
  expect(await attempt({ PATH: cache })).toEqual(why("npm is missing"));
  const offline = { npm_config_offline: "true", npm_config_cache: join(cache, "npm") };
  expect(await attempt(offline)).toEqual(why("request to .* failed: cache mode is 'only-if-cached' .*"));
  expect(await readdir(join(cache, "fanout"))).toEqual([]);
  const file = join(cache, "file");
  await writeFile(file, "");
  expect(await attempt({ XDG_CACHE_HOME: file })).toEqual(why("not a directory"));
});
