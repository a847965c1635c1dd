/** Projects created from scratch that install the packed package, and a server that restarts while they use it. */
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, connect as dial, type Socket } from "node:net";
import { delimiter, dirname, extname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium, type Page } from "playwright-core";
import { expect, inject, onTestFinished } from "vitest";
import { Fanout } from "../../src/client/fanout.ts";
import { install, run as runCommand } from "../e2e/support/command.ts";
import { listening } from "../e2e/support/listening.ts";
import { removeFolder, temporaryFolder } from "../e2e/support/runtime.ts";
import { type Served, serve } from "../e2e/support/serve.ts";
import { find } from "../e2e/support/tools.ts";

export const browser = find("chromium", "apt-get install chromium");

const BIN = join(import.meta.dirname, "..", "..", "node_modules", ".bin");

/**
 * What each project does with the client: it announces "before", whereupon the server is killed and restarted, "during" as
 * soon as the subscription is interrupted, and "done" when it has received "after". Resolves to all texts that it received.
 */
export const USE = `
export async function follow(fanout, channel, show = () => {}) {
  const messages = fanout.subscribe(channel, { last: 5 });
  let before, during;
  messages.on("state", ({ state }) => {
    if (state === "subscribed") before ??= fanout.announce(channel, "before");
    else if (before) during ??= fanout.announce(channel, "during");
  });
  const texts = [];
  for await (const message of messages) {
    texts.push(message.text);
    show(message);
    if (message.text === "after") void fanout.announce(channel, "done");
    if (message.text === "done") break;
  }
  await during;
  return texts.join(" ");
}

export async function use(Fanout, address, channel) {
  const fanout = new Fanout(address);
  const texts = await follow(fanout, channel);
  await fanout.close();
  return texts;
}
`;

/** The same in CommonJS. */
export const USE_COMMONJS = `${USE.replaceAll("export ", "")}module.exports = { use };\n`;

/** The types of `USE`. */
export const USE_TYPES = `import type { Fanout, Message } from "fanout-edge/client";
export declare function follow(fanout: Fanout, channel: string, show?: (message: Message) => void): Promise<string>;
export declare function use(client: typeof Fanout, address: string, channel: string): Promise<string>;
`;

/** What `use` returns: every message once, in order. */
export const RECEIVED = "before meanwhile during after done";

/** The same as a program's last line. Others may precede it, for example while a restarting server refuses connections. */
export const RECEIVED_LAST = new RegExp(`(^|\\n)${RECEIVED}\\n$`);

/** A server that keeps its address when it restarts. */
export interface Restarting {
  /** `ws://127.0.0.1:`, a port, and the path of the server. */
  readonly address: string;
  end(): Promise<void>;
}

/** Starts a server that any page may use, and restarts it as `restartWith` says. */
export async function serveRestarting(channels: readonly string[]): Promise<Restarting> {
  return restartWith(await serve({ settings: { ALLOWED_ORIGINS: "*" } }), channels);
}

/**
 * Kills and restarts a server whenever a client announces "before", announces "meanwhile" before clients can connect again,
 * and "after" when it receives "during".
 * @param path where it is mounted
 */
export async function restartWith(
  served: Pick<Served, "url" | "restart" | "end">,
  channels: readonly string[],
  path = "",
): Promise<Restarting> {
  let isOpen = true;
  const forwarder = createServer((socket) => {
    if (isOpen) forward(socket, served);
    else socket.destroy();
  });
  const address = (await listening(forwarder)).replace("http", "ws") + path;
  const watcher = new Fanout(address);
  let restarted = Promise.resolve();
  const restart = async (channel: string) => {
    isOpen = false;
    await served.restart();
    const url = `${served.url.replace(/^ws/, "http")}${path}/${channel}`;
    const { status } = await fetch(url, { method: "POST", body: "meanwhile" });
    expect(status).toBe(200);
    isOpen = true;
  };
  for (const channel of channels) {
    watcher.subscribe(channel, {
      onMessage: ({ text }) => {
        if (text === "before") restarted = restarted.then(() => restart(channel));
        if (text === "during") void watcher.announce(channel, "after");
      },
    });
  }
  await watcher.ping();
  return {
    address,
    end: async () => {
      await watcher.close();
      forwarder.close();
      await restarted;
      await served.end();
    },
  };
}

/** Forwards a connection to the server's port of the moment. */
function forward(socket: Socket, { url }: Pick<Served, "url">): void {
  const target = dial(Number(new URL(url).port), "127.0.0.1");
  target.on("error", () => socket.destroy()).on("close", () => socket.destroy());
  socket.on("error", () => target.destroy()).on("close", () => target.destroy());
  socket.pipe(target).pipe(socket);
}

/** A running program. */
export interface Program {
  /** The first group of the pattern that its output matched. */
  readonly found: string;
  /** Kills it with all processes that it started. */
  kill(): Promise<void>;
}

/** A project in a folder of its own, removed after the test. */
export interface Project {
  readonly folder: string;
  write(files: Record<string, string>): Promise<void>;
  /** Runs a command in it; returns its output. @throws Error with its output if it fails */
  run(command: string, env?: Record<string, string>): Promise<string>;
  /** Starts a command that runs until the test ends; resolves as soon as its output matches. */
  start(command: string, pattern: RegExp): Promise<Program>;
  /** Returns the compressed size of files, in bytes. */
  sizeOf(...names: string[]): Promise<number>;
}

interface ProjectOptions {
  /** Packages to install besides this one. */
  packages?: readonly string[];
  files?: Record<string, string>;
  /** Fields of package.json. */
  fields?: Record<string, unknown>;
  /** Warnings of the installer about other packages. */
  warnings?: RegExp;
  /** The command that installs packages. */
  installer?: string;
}

/** Warnings of installers about the install scripts of other packages, which npm and Bun don't run unless told to. */
const ABOUT_SCRIPTS = /^npm warn install-scripts(?!.*fanout)/;

/** Returns an installer's warnings, except those that are known and about other packages. */
function warningsIn(output: string, known = /^$/): string[] {
  const isWarning = (line: string) => /warn|deprecated|peer|error/i.test(line);
  return output.split("\n").filter((line) => isWarning(line) && !ABOUT_SCRIPTS.test(line) && !known.test(line));
}

/** Creates a project and installs the package in it; unknown warnings of the installer fail the test. */
export async function create(options: ProjectOptions = {}): Promise<Project> {
  const base = await temporaryFolder();
  onTestFinished(() => removeFolder(base));
  const folder = join(base, "project");
  await mkdir(folder);
  const write = async (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
  };
  const environment = (more: Record<string, string> = {}) => {
    const PATH = [join(folder, "node_modules", ".bin"), BIN, process.env.PATH].join(delimiter);
    // Vitest's own settings would change those of the project.
    const { NODE_ENV, VITEST, VITEST_MODE, NODE_OPTIONS, ...inherited } = process.env;
    return { ...inherited, PATH, NEXT_TELEMETRY_DISABLED: "1", ...more };
  };
  const start = (command: string, pattern: RegExp) => startIn(folder, command, environment(), pattern);
  const run = (command: string, more: Record<string, string> = {}) =>
    runCommand(command, { cwd: folder, env: environment(more) });
  await write({
    "package.json": JSON.stringify({ name: "project", private: true, ...options.fields }),
    ...options.files,
  });
  const installer = options.installer ?? "npm install --no-audit --no-fund --prefer-offline";
  const command = `${installer} ${inject("tarball")} ${(options.packages ?? []).join(" ")}`;
  const output = await install(command, { cwd: folder, env: environment() });
  expect(warningsIn(output, options.warnings)).toEqual([]);
  const sizeOf = async (...names: string[]) => {
    let size = 0;
    for (const name of names) size += gzipSync(await readFile(join(folder, name))).length;
    return size;
  };
  return { folder, write, run, start, sizeOf };
}

/** How long a program may take until it is ready, in seconds. */
const PATIENCE_SECONDS = 150;

/** Starts a program that ends with the test. @throws Error with its output if it ends, or too long passes, before that matches */
async function startIn(folder: string, command: string, env: NodeJS.ProcessEnv, pattern: RegExp): Promise<Program> {
  const child = spawn("sh", ["-c", `exec ${command} 2>&1`], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = async () => {
    // The whole group: development servers start further processes.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, "SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  let output = "";
  return new Promise<Program>((resolve, reject) => {
    // Reads on after that, so that the program can write.
    child.stdout.on("data", (chunk) => {
      output += String(chunk);
      // Programs colour their output if `CI` is set.
      const found = pattern.exec(stripVTControlCharacters(output))?.[1];
      if (found !== undefined) resolve({ found, kill });
    });
    child.once("exit", () => reject(new Error(`${command}:\n${output}`)));
    const isLate = () => reject(new Error(`${command}: not ready after ${PATIENCE_SECONDS} s\n${output}`));
    const timer = setTimeout(isLate, PATIENCE_SECONDS * 1_000);
    onTestFinished(() => clearTimeout(timer));
  });
}

const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** Serves a folder's files until the test ends; returns its URL. */
export async function serveFolder(folder: string): Promise<string> {
  const server = createHttpServer(async ({ url = "" }, response) => {
    const name = url.endsWith("/") ? `${url}index.html` : url.replace(/\?.*/, "");
    const content = await readFile(join(folder, name)).catch(() => undefined);
    response.writeHead(content ? 200 : 404, { "Content-Type": TYPES[extname(name)] ?? "text/plain" });
    response.end(content);
  });
  onTestFinished(() => void server.close());
  return listening(server);
}

/** Opens a page; resolves when its body has exactly a text. Errors and warnings on its console fail the test. */
export async function expectText(url: string, text: string): Promise<Page> {
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage();
  const problems: string[] = [];
  page.on("console", (line) => {
    // The browser itself logs each connection that fails while the server restarts.
    const isOfBrowser = /WebSocket connection to|net::ERR|favicon|status of 404/.test(line.text());
    if (/error|warning/.test(line.type()) && !isOfBrowser) problems.push(line.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url, { timeout: 60_000 });
  const shown = () => page.evaluate<string>("document.body.innerText");
  await expect.poll(async () => problems.join("\n") || (await shown()).trim()).toBe(text);
  expect(problems).toEqual([]);
  return page;
}
