/** Runs the examples. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { Network } from "../../tools/faults/network.ts";
import { SECRET } from "../runtime/support/mint.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";
import { startServer } from "./support/server.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const browser = find("chromium", "apt-get install chromium");

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

async function serve(...configurations: string[]): Promise<string> {
  const server = await startServer({}, configurations);
  onTestFinished(() => server.stop());
  return server.url;
}

test("your own Worker serves Fanout below a path, and everything else itself", async () => {
  const url = await serve("examples/mounted/wrangler.toml");
  expect(await (await fetch(`${url}/news`)).text()).toBe("A page of the site.\n");
  const listener = await TestClient.connect(`${url.replace("http", "ws")}/live/news`);
  const { status } = await fetch(`${url}/live/news`, { method: "POST", body: "hello" });
  expect([status, await listener.line()]).toEqual([200, "news!hello"]);
  expect(await (await fetch(`${url}/live/-/health`)).text()).toBe("ok\n");
  expect(await (await fetch(`${url}/live`)).text()).toMatch(/WebSocket/);
  listener.close();
});

test("another Worker announces by RPC", async () => {
  const url = await serve("examples/caller/wrangler.toml", "wrangler.toml");
  const visit = async (path: string, key?: string) => {
    const response = await fetch(url + path, {
      headers: key === undefined ? {} : { "Idempotency-Key": key },
    });
    const body = await response.text();
    return Number(/"position":(\d+)/.exec(body)?.[1]);
  };
  const first = await visit("/a", "k");
  expect(first).toBeGreaterThan(0);
  expect(await visit("/a", "k")).toBe(first);
  expect(await visit("/b")).toBe(first + 1);
});

/** Runs an example that is a server in Node; returns its address. */
async function runInNode(example: string, env: Record<string, string>): Promise<string> {
  const program = join(ROOT, "examples", example, "main.ts");
  const child = spawn(join(ROOT, "node_modules", ".bin", "node"), [program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env.PATH, PORT: "0", ...env },
  });
  onTestFinished(() => void child.kill());
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return String(line).split(" ")[0] ?? "";
}

test("a backend announces each order once", async () => {
  const url = await serve("wrangler.toml");
  const listener = await TestClient.connect(`${url.replace("http", "ws")}/orders`);
  const orders = await runInNode("backend", { FANOUT_URL: url });
  const order = async (body: string) => {
    const response = await fetch(orders, { method: "POST", body });
    return [response.status, (await response.text()).trim()];
  };
  const tea = '{"id":7,"what":"tea"}';
  for (let i = 0; i < 2; i++) expect(await order(tea)).toEqual([202, "the order is accepted"]);
  expect(await order("tea")).toEqual([400, 'an order looks like {"id": 7, "what": "tea"}']);
  expect(await order('{"id":8,"what":"milk"}')).toEqual([202, "the order is accepted"]);
  expect(await listener.line()).toBe(`orders!${tea}`);
  expect(await listener.line()).toBe('orders!{"id":8,"what":"milk"}');
  listener.close();
});

test("a server issues tokens for each user's own channels", async () => {
  const runtime = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const tokens = await runInNode("tokens", { TOKEN_SECRET: SECRET });
  expect((await fetch(tokens)).status).toBe(403);
  const token = await (await fetch(tokens, { headers: { "X-User": "ann" } })).text();
  const status = async (channel: string, method: string) => {
    const init = {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(method === "POST" && { body: "hi" }),
    };
    return (await fetch(`${runtime.url.replace(/^ws/, "http")}/${channel}`, init)).status;
  };
  expect(await status("user%2Fann?poll", "GET")).toBe(200);
  expect(await status("user%2Fbob?poll", "GET")).toBe(403);
  expect(await status("lobby", "POST")).toBe(200);
  expect(await status("news", "POST")).toBe(403);
});

test.skipIf(!browser)(
  "the chat without a framework shows its history after a reload and in a new browser, and resumes",
  async () => {
    const url = await serve("examples/page/wrangler.toml");
    const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    onTestFinished(() => launched.close());
    // Pages of a browser don't share storage.
    const open = async () => {
      const page = await launched.newPage();
      await page.goto(url);
      await page.waitForFunction("document.getElementById('state').textContent === 'connected'");
      return page;
    };
    type Page = Awaited<ReturnType<typeof open>>;
    const shows = (page: Page, ...texts: string[]) =>
      expect.poll(() => page.locator("#messages li").allTextContents()).toEqual(texts);
    const send = async (page: Page, text: string) => {
      await page.fill("input", text);
      await page.press("input", "Enter");
    };
    const [alice, bob] = [await open(), await open()];
    await send(alice, "<b>hello</b>");
    await shows(bob, "<b>hello</b>");
    await bob.goto("about:blank");
    await send(alice, "are you there?");
    await shows(alice, "<b>hello</b>", "are you there?");
    await bob.goto(url);
    for (const page of [alice, bob]) {
      await page.reload();
      await shows(page, "<b>hello</b>", "are you there?");
    }
    await send(bob, "yes");
    for (const page of [alice, bob, await open()]) await shows(page, "<b>hello</b>", "are you there?", "yes");
    const settings = await (await fetch(`${url}/live/-/settings`)).json();
    expect(settings).toMatchObject({ settings: { HISTORY_SECONDS: 86_400, HISTORY_BYTES: 500_000 } });
  },
);

test.skipIf(!browser)("the React chat shows each message once, despite restarts and remounts", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const configuration = "examples/react/wrangler.toml";
  const file = await bundle(folder, configuration);
  const options = { configuration, around: await withAssets("examples/react/public") };
  let runtime = await startRuntime(file, folder, options);
  onTestFinished(() => runtime.kill());
  const network = await Network.start(() => runtime.url);
  onTestFinished(() => network.stop());
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());

  const open = async () => {
    const page = await launched.newPage();
    const lines: string[] = [];
    page.on("websocket", (socket) =>
      socket.on("framesent", ({ payload }) => void lines.push(...String(payload).trimEnd().split("\n"))),
    );
    await page.goto(network.url);
    const shows = (...texts: string[]) => expect.poll(() => page.locator("li").allTextContents()).toEqual(texts);
    const isSubscribed = () => expect.poll(() => page.getByRole("status").textContent()).toBe("subscribed");
    const send = async (text: string) => {
      await page.fill("input", text);
      await page.press("input", "Enter");
      await expect.poll(() => page.inputValue("input")).toBe("");
    };
    return { page, lines, shows, isSubscribed, send };
  };

  const [alice, bob] = [await open(), await open()];
  for (const { isSubscribed } of [alice, bob]) await isSubscribed();
  await alice.send("<b>hello</b>");
  await bob.shows("<b>hello</b>");
  await bob.send("hello yourself");
  await alice.shows("<b>hello</b>", "hello yourself");

  await runtime.kill();
  runtime = await startRuntime(file, folder, options);
  await alice.send("are you still there?");
  const all = ["<b>hello</b>", "hello yourself", "are you still there?"];
  for (const { shows } of [alice, bob]) await shows(...all);

  await bob.page.getByRole("button", { name: "Leave" }).click();
  await expect.poll(() => bob.lines.at(-1)).toBe("unsubscribe chat");
  await alice.send("where have you gone?");
  await alice.shows(...all, "where have you gone?");
  await bob.page.getByRole("button", { name: "Rejoin" }).click();
  await bob.isSubscribed();
  await bob.shows(...all, "where have you gone?");
  await alice.send("welcome back");
  await bob.shows(...all, "where have you gone?", "welcome back");
  // StrictMode mounts, unmounts and mounts again; the client unsubscribes before it subscribes again, to be sure.
  expect(bob.lines.filter((line) => / chat\b/.test(line)).slice(-4)).toEqual([
    "subscribe chat last 20",
    "unsubscribe chat",
    "unsubscribe chat",
    "subscribe chat last 20",
  ]);
});

/** Returns a Worker that adds the page's assets, which the bare runtime lacks. */
async function withAssets(folder: string): Promise<string> {
  const [page, script] = await Promise.all(
    ["index.html", "chat.js"].map((name) => readFile(join(ROOT, folder, name), "utf8")),
  );
  return `
    import worker, { Channel } from "./worker.js";
    export { Channel };
    const answer = (text, type) => new Response(text, { headers: { "Content-Type": type } });
    const ASSETS = {
      fetch: ({ url }) =>
        url.endsWith("/chat.js")
          ? answer(${JSON.stringify(script)}, "text/javascript")
          : answer(${JSON.stringify(page)}, "text/html"),
    };
    export default { fetch: (request, env) => worker.fetch(request, { ...env, ASSETS }) };`;
}

test.each(["caller", "cursors", "members", "mounted", "page", "react", "scores"])(
  "the Worker of %s can be deployed",
  async (name) => {
    const bin = join(ROOT, "node_modules", ".bin");
    const folder = await temporaryFolder();
    onTestFinished(() => removeFolder(folder));
    const command = [join(bin, "wrangler"), "deploy", "-c", `examples/${name}/wrangler.toml`, "--dry-run"];
    const { stdout } = await promisify(execFile)(join(bin, "node"), [...command, "--outdir", folder], {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_WRITE_LOGS: "false" },
    });
    expect(stdout).toContain("Total Upload");
  },
);

test("every example is tested here, in recipes*.test.ts or with the programs that host the server", async () => {
  const all = await readdir(join(ROOT, "examples"), { withFileTypes: true });
  const names = all.filter((it) => it.isDirectory()).map(({ name }) => name);
  const here = ["backend", "caller", "mounted", "page", "react", "tokens"];
  const hosting = ["hosting"];
  expect(names.sort()).toEqual([...here, ...hosting, "cursors", "members", "scores", "watcher"].sort());
});
