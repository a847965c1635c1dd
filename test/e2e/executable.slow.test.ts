/** The server as one executable file, which runs without Node.js, packages or an environment. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { SECRET } from "../runtime/support/mint.ts";
import { NODE } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";

/** A folder with nothing but the executable. */
let folder: string;

beforeAll(async () => {
  const build = await temporaryFolder();
  folder = await temporaryFolder();
  const tool = fileURLToPath(new URL("../../tools/build-executable.ts", import.meta.url));
  execFileSync(NODE, [tool, join(build, "fanout")]);
  expect(await readdir(build)).toEqual(["fanout"]);
  await rename(join(build, "fanout"), join(folder, "fanout"));
  await removeFolder(build);
  return () => removeFolder(folder);
});

/** Starts the executable with its storage in a folder of that name; resolves when it listens. */
async function start(storage: string, env: Record<string, string> = {}) {
  await mkdir(join(folder, storage), { recursive: true });
  const words = [`--directory-path=storage=${storage}`, "--socket-addr=http=127.0.0.1:0", "--control-fd=3"];
  const child = spawn("./fanout", words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit");
  const [, , , control] = child.stdio;
  if (!(control instanceof Readable)) throw new Error("it was started without a pipe");
  const { value: line = "" } = await createInterface({ input: control })[Symbol.asyncIterator]().next();
  const { port } = JSON.parse(String(line));
  return { child, ended, url: `http://127.0.0.1:${port}` };
}

const announce = (url: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/news`, { method: "POST", body: "hello", headers });

/** Resolves when a stream has sent a line. */
async function receive(url: string, line: string): Promise<void> {
  const { body } = await fetch(url);
  if (!body) throw new Error("the stream is missing");
  let text = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes(`${line}\n`)) return;
  }
  throw new Error(`the stream ended with ${text}`);
}

test("one file serves alone, and has its messages after kill -9", async () => {
  expect(await readdir(folder)).toEqual(["fanout"]);
  expect((await stat(join(folder, "fanout"))).size).toBeGreaterThan(1e8);
  const first = await start("storage");
  const answer: unknown = await (await announce(first.url)).json();
  expect(answer).toMatchObject({ position: expect.any(Number) });
  const page = await fetch(first.url, { headers: { Accept: "text/html" } });
  expect(await page.text()).toMatch(/<title>/);
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await start("storage");
  await receive(`${second.url}/news?last=1`, "news!hello");
});

test("its settings are variables of the environment", async () => {
  const { url } = await start("other", { TOKEN_SECRET: SECRET, HISTORY_SECONDS: "600", CLIENT_LIMIT: "" });
  expect((await announce(url)).status).toBe(401);
  const wrong = await start("other2", { HISTORY_SECONDS: "x" });
  const refused = await announce(wrong.url);
  expect(refused.status).toBe(500);
  expect(await refused.text()).toMatch(/^This server's settings are wrong: HISTORY_SECONDS must be a whole number/);
});
