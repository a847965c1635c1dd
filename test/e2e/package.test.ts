/** The package, as somebody installs it: packed, and used in a project of its own with nothing of this one. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { listening } from "./listening.ts";
import { type Runtime, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";
import { find } from "./tools.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");
const ENV = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH}` };

/** The other React that it is for: this project has 19. */
const REACT_18 = ["react@18.3.1", "react-dom@18.3.1", "@types/react@18.3.8"];

const browser = find("chromium", "apt-get install chromium");

/** Compilers that Workers' projects have: this project's own is newer. */
const COMPILERS = ["5.7", "5.8", "5.9"];

/** The project that it is installed in, and what was installed. */
let project: string;
let tarball: string;
/** Serves the Worker of that project. */
let runtime: Runtime;

beforeAll(async () => {
  const folder = await temporaryFolder();
  await run("npm", ["pack", "--silent", "--pack-destination", folder], ROOT);
  const [name = ""] = await readdir(folder);
  tarball = join(folder, name);
  project = join(folder, "project");
  await mkdir(project);
  await write("package.json", '{ "private": true, "type": "module" }');
  const quietly = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  const compilers = COMPILERS.map((version) => `typescript-${version}@npm:typescript@~${version}`);
  await run("npm", ["install", ...quietly, tarball, ...REACT_18, ...compilers]);
  // A Worker's project has the types of its platform; this is faster than to install them again.
  await mkdir(join(project, "node_modules", "@cloudflare"), { recursive: true });
  const types = join("node_modules", "@cloudflare", "workers-types");
  await symlink(join(ROOT, types), join(project, types));
  // Pages of other origins use it.
  const settings = { ALLOWED_ORIGINS: "*" };
  runtime = await startRuntime(await bundled("worker.js", WORKER), folder, { settings });
  return async () => {
    await runtime.kill();
    await removeFolder(folder);
  };
});

/** Runs a program to its end; answers with what it has written. @throws Error with that if it fails */
async function run(program: string, words: string[], cwd = project): Promise<string> {
  const { stdout } = await promisify(execFile)(program, words, { cwd, env: ENV });
  return stdout;
}

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(project, name), text);
  return join(project, name);
}

/** One module of a source and all that it needs; answers with the file's path. */
async function bundled(name: string, source: string): Promise<string> {
  const outfile = join(project, "bundled", name);
  const external = ["cloudflare:*"];
  const entryPoints = [await write(name, source)];
  await build({ entryPoints, bundle: true, format: "esm", target: "es2022", external, outfile });
  return outfile;
}

let names = 0;
const unique = () => `package-${++names}`;

/** Uses the client, mounts the server. */
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

test("it has what is needed to use it, and nothing else", async () => {
  const files = (await run("tar", ["-tzf", tarball])).trim().split("\n");
  const types = files.filter((file) => file.startsWith("package/dist/types/"));
  expect(files.filter((file) => !types.includes(file)).sort()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist/cli.js",
      "dist/client.js",
      "dist/react.js",
      "dist/worker.js",
      "examples/mounted/worker.ts",
      "examples/mounted/wrangler.toml",
      "package.json",
    ].map((file) => `package/${file}`),
  );
  expect(types.map((file) => file.slice("package/dist/types/".length)).sort()).toEqual([
    "client/codec.d.ts",
    "client/errors.d.ts",
    "client/fanout.d.ts",
    "client/types.d.ts",
    "links/messages.d.ts",
    "protocol/errors.d.ts",
    "react/heard.d.ts",
    "react/use-channel.d.ts",
    "workers/channel.d.ts",
    "workers/entrypoint.d.ts",
    "workers/env.d.ts",
    "workers/mount.d.ts",
  ]);
});

test("types name what they import by what is there when it runs, as older compilers want it", async () => {
  const types = join(project, "node_modules", "fanout-edge", "dist", "types");
  const files = (await readdir(types, { recursive: true })).filter((file) => file.endsWith(".d.ts"));
  const texts = await Promise.all(files.map((file) => readFile(join(types, file), "utf8")));
  const imported = [...texts.join("\n").matchAll(/(?:from |import\()"(\.[^"]*)"/g)].map(([, name]) => name);
  expect(imported.length).toBeGreaterThan(0);
  for (const name of imported) expect(name).toMatch(/\.js$/);
});

test("publint and attw find nothing wrong", async () => {
  await run("publint", [tarball, "--strict"]);
  await run("attw", [tarball, "--profile", "esm-only"]);
});

test("Node imports the client", async () => {
  const script = `
    import { Fanout } from "fanout-edge/client";
    const fanout = new Fanout(${JSON.stringify(live())});
    const first = fanout.subscribe("from-node")[Symbol.asyncIterator]().next();
    await fanout.announce("from-node", "hello");
    console.log((await first).value.text);
    await fanout.close();`;
  expect(await run("node", [await write("script.js", script)])).toBe("hello\n");
});

test("a Worker imports the client, and mounts the server", async () => {
  const response = await fetch(runtime.url.replace(/^ws/, "http"));
  expect(JSON.parse(await response.text())).toEqual({ text: "hello", isSame: true });
});

test("the program is there, and publishes and subscribes", async () => {
  const program = join(project, "node_modules", ".bin", "fanout");
  expect(await run(program, ["--help"])).toContain("Publish and subscribe with a Fanout server.");
  expect(await run("npx", ["--no-install", "fanout", "pub", "--help"])).toContain("announce a message");
  const news = unique();
  await run(program, ["pub", live(), news, "hello world"]);
  expect(await run(program, ["sub", live(), news, "--last", "1", "--count", "1"])).toBe("hello world\n");
});

/** What a program in TypeScript says, and the libraries that it is checked with. */
const PROGRAMS = {
  page: {
    source: `
import { Fanout, type Message } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
export const useChat = (): readonly Message[] => useChannel(new Fanout("wss://host"), "chat", { last: 20 }).messages;
// @ts-expect-error a channel is a word
new Fanout("wss://host").announce(1, "hello");`,
    libraries: { lib: ["es2022", "dom", "dom.iterable"], types: [] },
  },
  site: {
    source: `
import { type Env, mount } from "fanout-edge/worker";
export { Channel, Fanout } from "fanout-edge/worker";
export default { fetch: (request: Request, env: Env) => mount("/live", request, env) ?? new Response("") };
// @ts-expect-error a path is a word
export const wrong = (request: Request, env: Env) => mount(1, request, env);`,
    libraries: { lib: ["es2024"], types: ["@cloudflare/workers-types"] },
  },
};

test.each([
  ["nodenext", "nodenext"],
  ["bundler", "esnext"],
])("types are found where moduleResolution is %s", async (moduleResolution, module) => {
  for (const [name, { source, libraries }] of Object.entries(PROGRAMS)) {
    await write(`${name}.ts`, source);
    // Without skipLibCheck: what the package declares is checked, too.
    const compilerOptions = { strict: true, noEmit: true, module, moduleResolution, ...libraries };
    const settings = JSON.stringify({ compilerOptions, files: [`${name}.ts`] });
    await run("tsc", ["-p", await write(`${name}.json`, settings)]).catch(({ stdout }) => {
      throw new Error(stdout);
    });
  }
});

/** A site whose environment has the types that `wrangler types` generates: with the class of its objects, or without. */
const SITE = `
import { mount } from "fanout-edge/worker";
export { Channel, Fanout } from "fanout-edge/worker";
interface Typed { CHANNEL: DurableObjectNamespace<import("./generated").Channel>; LINES_PER_SECOND: "100" }
interface Untyped { CHANNEL: DurableObjectNamespace; DATABASE: D1Database }
export const typed: ExportedHandler<Typed> = { fetch: (request, env) => mount("/live", request, env) ?? new Response("") };
export const untyped: ExportedHandler<Untyped> = { fetch: (request, env) => mount("/live", request, env) ?? new Response("") };
// @ts-expect-error the objects are missing
export const wrong = (request: Request) => mount("/live", request, { CHANNELS: 1 });`;

test.each(COMPILERS)(
  "a site mounts the server with the types that Wrangler generates, by TypeScript %s",
  async (version) => {
    await write("generated.ts", SITE);
    const types = ["@cloudflare/workers-types"];
    const compilerOptions = {
      strict: true,
      noEmit: true,
      module: "esnext",
      moduleResolution: "bundler",
      types,
    };
    const settings = {
      compilerOptions: { ...compilerOptions, lib: ["es2024"], target: "es2024" },
      files: ["generated.ts"],
    };
    const compiler = join(project, "node_modules", `typescript-${version}`, "bin", "tsc");
    const configuration = await write("generated.json", JSON.stringify(settings));
    await run("node", [compiler, "-p", configuration]).catch(({ stdout }) => {
      throw new Error(stdout);
    });
  },
);

/** A component that shows a channel, and can be told from outside which one. */
const PAGE = `
import { Fanout } from "fanout-edge/client";
import { useChannel } from "fanout-edge/react";
import { createElement, StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";
const fanout = new Fanout(new URLSearchParams(location.search).get("server"));
function Shown() {
  const [channel, hear] = useState("one");
  const { messages, state } = useChannel(fanout, channel, { last: 10 });
  window.hear = hear;
  const texts = messages.map(({ text }) => text).join(" ");
  return createElement("p", null, [version, channel, state, texts].join(" "));
}
createRoot(document.body).render(createElement(StrictMode, null, createElement(Shown)));`;

test.skipIf(!browser)("a page with React 18 shows one channel, and then another one", async () => {
  const file = await bundled("page.js", PAGE);
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage();
  const pages = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><body>");
  });
  onTestFinished(() => void pages.close());
  const shows = (text: string) =>
    page.waitForFunction(`document.body.textContent === "18.3.1 ${text}"`, undefined, { timeout: 60_000 });
  const hear = (channel: string) => page.evaluate(`window.hear("${channel}")`);
  const announce = (channel: string, body: string) =>
    fetch(`${live().replace(/^ws/, "http")}/${channel}`, { method: "POST", body });
  await announce("one", "a\nb");
  await page.goto(`${await listening(pages)}?server=${encodeURIComponent(live())}`);
  await page.addScriptTag({ path: file, type: "module" });
  await shows("one subscribed a b");
  await announce("one", "c");
  await shows("one subscribed a b c");
  await hear("two");
  await shows("two subscribed ");
  await announce("one", "d");
  await announce("two", "x");
  await shows("two subscribed x");
  // There and back before the server can have answered: what was kept is sent twice.
  await page.evaluate('for (const channel of ["one", "two", "one"]) setTimeout(window.hear, 0, channel)');
  await shows("one subscribed a b c d");
  await announce("one", "e");
  await shows("one subscribed a b c d e");
  // What is no channel's name is an error of the component, which React takes away if nothing catches that.
  await hear("a!b");
  await page.waitForFunction("document.body.childElementCount === 0", undefined, { timeout: 60_000 });
});
