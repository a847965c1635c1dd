/** The examples, as somebody runs them. */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { Listener } from "./listener.ts";
import { removeFolder, temporaryFolder } from "./runtime.ts";
import { startServer } from "./server.ts";
import { find } from "./tools.ts";

const browser = find("chromium", "apt-get install chromium");

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

async function serve(...configurations: string[]): Promise<string> {
  const server = await startServer({}, configurations);
  onTestFinished(() => server.stop());
  return server.url;
}

test("a Worker of one's own serves Fanout below a path, and the rest itself", async () => {
  const url = await serve("examples/mounted/wrangler.toml");
  expect(await (await fetch(`${url}/news`)).text()).toBe("A page of the site's own.\n");
  const listener = await Listener.connect(`${url.replace("http", "ws")}/live/news`);
  const { status } = await fetch(`${url}/live/news`, { method: "POST", body: "hello" });
  expect([status, await listener.line()]).toEqual([200, "news!hello"]);
  expect(await (await fetch(`${url}/live/-/health`)).text()).toBe("ok\n");
  expect(await (await fetch(`${url}/live`)).text()).toMatch(/WebSocket/);
  listener.close();
});

test("another Worker announces by a function", async () => {
  const url = await serve("examples/caller/wrangler.toml", "wrangler.toml");
  const visit = async (path: string, key?: string) => {
    const response = await fetch(url + path, {
      headers: key === undefined ? {} : { "Idempotency-Key": key },
    });
    const said = await response.text();
    return Number(/"position":(\d+)/.exec(said)?.[1]);
  };
  const first = await visit("/a", "k");
  expect(first).toBeGreaterThan(0);
  expect(await visit("/a", "k")).toBe(first);
  expect(await visit("/b")).toBe(first + 1);
});

test.skipIf(!browser)(
  "a page without a framework has a chat, and goes on where it was when it is loaded again",
  async () => {
    const url = await serve("examples/page/wrangler.toml");
    const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    onTestFinished(() => launched.close());
    const [alice, bob] = [await launched.newPage(), await launched.newPage()];
    for (const page of [alice, bob]) {
      await page.goto(url);
      await page.waitForFunction("document.getElementById('state').textContent === 'connected'");
    }
    const lines = (page: typeof alice) => page.locator("#messages li").allTextContents();
    await alice.fill("input", "<b>hello</b>");
    await alice.press("input", "Enter");
    await expect.poll(() => lines(bob), { timeout: 30_000 }).toEqual(["<b>hello</b>"]);
    await bob.goto("about:blank");
    await alice.fill("input", "are you there?");
    await alice.press("input", "Enter");
    await expect.poll(() => lines(alice), { timeout: 30_000 }).toEqual(["<b>hello</b>", "are you there?"]);
    await bob.goto(url);
    await expect.poll(() => lines(bob), { timeout: 30_000 }).toEqual(["are you there?"]);
  },
);

test("each of them could be deployed", async () => {
  const bin = join(ROOT, "node_modules", ".bin");
  const examples = (await readdir(join(ROOT, "examples"), { withFileTypes: true })).filter((it) =>
    it.isDirectory(),
  );
  expect(examples.length).toBeGreaterThan(0);
  for (const { name } of examples) {
    const folder = await temporaryFolder();
    onTestFinished(() => removeFolder(folder));
    const command = [join(bin, "wrangler"), "deploy", "-c", `examples/${name}/wrangler.toml`, "--dry-run"];
    const { stdout } = await promisify(execFile)(join(bin, "node"), [...command, "--outdir", folder], {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_WRITE_LOGS: "false" },
    });
    expect(stdout).toContain("Total Upload");
  }
});
