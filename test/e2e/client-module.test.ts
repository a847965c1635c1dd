/** The client library as the server serves it: imported by pages of other origins, and fetched by curl. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { VERSION } from "../../src/version.ts";
import { EVERYTHING, mint, SECRET } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

const curl = find("curl", "apt-get install curl");
const browser = find("chromium", "apt-get install chromium");

const overHttp = (url: string) => url.replace(/^ws/, "http");

test("it is as small as documented, and has the interface of the package", async () => {
  const { url } = await serveInTest();
  const response = await fetch(`${overHttp(url)}/-/client.js`);
  const source = await response.text();
  const protocol = await readFile(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  const [, kilobytes] = /as one minified module of (\d+) kB compressed/.exec(protocol) ?? [];
  expect(Math.round(gzipSync(source, { level: 9 }).length / 1_000)).toBe(Number(kilobytes));
  const names = Object.keys(await import(`data:text/javascript,${encodeURIComponent(source)}`));
  expect(names.sort()).toEqual(Object.keys(await import("../../src/client/fanout.ts")).sort());
});

test.skipIf(!curl)("curl gets the headers, and fetches it only once", async () => {
  const { url } = await serveInTest({ settings: { TOKEN_SECRET: SECRET, CONSOLE: "off" } });
  const requested = async (...options: string[]) => {
    const command = ["-sS", ...options, `${overHttp(url)}/-/client.js`];
    return (await promisify(execFile)(curl ?? "", command, { encoding: "utf8" })).stdout;
  };
  const head = await requested("-I");
  expect(head).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(head).toMatch(/^Content-Type: text\/javascript; charset=utf-8\r$/im);
  expect(head).toMatch(/^Access-Control-Allow-Origin: \*\r$/im);
  expect(head).toContain(`Fanout-Version: ${VERSION}\r\n`);
  const [, tag = ""] = /^ETag: (".+")\r$/im.exec(head) ?? [];
  expect(await requested()).toContain(`Fanout ${VERSION}`);
  const body = ["-o", "-", "-w", "%{http_code} %{size_download}"];
  expect(await requested(...body, "-H", `If-None-Match: ${tag}`)).toBe("304 0");
});

/** A page with one script, which announces a message and shows it when it arrives. */
function pageFor(base: string, token: string): string {
  return `<!doctype html><p></p><script type="module">
    import { Fanout } from "${base}/-/client.js";
    const fanout = new Fanout("${base}", { token: "${token}" });
    const news = fanout.subscribe("news");
    await fanout.announce("news", "hello");
    for await (const { text } of news) document.querySelector("p").append(text);
  </script>`;
}

async function startMounted(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const configuration = "examples/mounted/wrangler.toml";
  const settings = { TOKEN_SECRET: SECRET, ALLOWED_ORIGINS: "*" };
  const mounted = await startRuntime(await bundle(folder, configuration), folder, { configuration, settings });
  onTestFinished(() => mounted.kill());
  return `${overHttp(mounted.url)}/live`;
}

describe.skipIf(!browser)("in Chromium", () => {
  test.each<[where: string, start: () => Promise<string>]>([
    ["a server", async () => overHttp((await serveInTest({ settings: { TOKEN_SECRET: SECRET } })).url)],
    ["a server below a path of another Worker", startMounted],
  ])("a page of another origin needs one script, from %s", async (_, start) => {
    const base = await start();
    const token = await mint(EVERYTHING);
    const pages = createServer((_, response) => {
      response.setHeader("Content-Type", "text/html");
      response.end(pageFor(base, token));
    });
    onTestFinished(() => void pages.close());
    const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    onTestFinished(() => launched.close());
    const page = await launched.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(await listening(pages));
    await page.getByText("hello").waitFor();
    expect(errors).toEqual([]);
  });
});
