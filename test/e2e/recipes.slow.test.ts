/** Runs the recipes' pages in a browser, as `docs/recipes/` says. */
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { run } from "./support/program.ts";
import { startServer } from "./support/server.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const installed = find("chromium", "apt-get install chromium");

async function serve(example: string, settings: Record<string, string> = {}): Promise<string> {
  const server = await startServer(settings, [`examples/${example}/wrangler.toml`]);
  onTestFinished(() => server.stop());
  return server.url;
}

/** Announces with a token; returns the status. */
async function post(url: string, channel: string, body: string, token: string): Promise<number> {
  const headers = { Authorization: `Bearer ${token}` };
  return (await fetch(`${url}/live/${encodeURIComponent(channel)}`, { method: "POST", body, headers })).status;
}

test("members post under their own name, and no client can forge a post", async () => {
  const url = await serve("members", { TOKEN_SECRET: SECRET });
  const request = async (path: string, body?: string, headers: Record<string, string> = {}) => {
    const response = await fetch(
      `${url}/${path}`,
      body === undefined ? { headers } : { method: "POST", body, headers },
    );
    return [response.status, await response.text()];
  };
  const tokenOf = async (Cookie: string): Promise<Record<string, string>> => {
    const [, body] = await request("token", undefined, { Cookie });
    return JSON.parse(String(body));
  };
  const logIn = async (name: string) => {
    const response = await fetch(`${url}/login`, { method: "POST", body: name });
    expect(response.status).toBe(200);
    return String(response.headers.get("Set-Cookie")).split(";")[0] ?? "";
  };
  const guest = await tokenOf("");
  const ann = await logIn("ann");
  const { user, token = "" } = await tokenOf(ann);
  expect([guest.user, user]).toEqual([undefined, "ann"]);

  // Names that would match other channels in a grant.
  for (const name of ["*", "a*", "a b", "", "x".repeat(21)]) expect((await request("login", name))[0]).toBe(400);
  // Neither a token nor a made-up cookie is a session.
  for (const cookie of [`session=${token}`, "session=a.b.c", `session=${await mint({ sub: "ann" })}`])
    expect((await tokenOf(cookie)).user).toBeUndefined();

  for (const [channel, of, status] of [
    ["lobby", guest.token, 403],
    ["lobby", token, 200],
    ["board", token, 403],
    ["user/bob", token, 403],
  ] as const)
    expect([channel, await post(url, channel, '{"from":"bob","text":"forged"}', of ?? "")]).toEqual([channel, status]);
  expect((await request("posts", "hello"))[0]).toBe(403);

  const Authorization = `Bearer ${guest.token}`;
  const reader = await TestClient.connect(`${url.replace("http", "ws")}/live/board`, { headers: { Authorization } });
  const headers = { Cookie: ann, "Idempotency-Key": "1" };
  for (let i = 0; i < 2; i++) expect(await request("posts", "two\nlines", headers)).toEqual([204, ""]);
  expect((await request("posts", "x".repeat(2_001), headers))[0]).toBe(400);
  expect(await request("posts", "last", { Cookie: ann })).toEqual([204, ""]);
  expect(await reader.read(2)).toEqual([
    'board!{"from":"ann","text":"two\\nlines"}',
    'board!{"from":"ann","text":"last"}',
  ]);
  reader.close();
});

describe.skipIf(!installed)("pages:", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: installed ?? "", args: ["--no-sandbox"] });
  });
  afterAll(() => browser.close());

  /** Opens a page with cookies and storage of its own. */
  async function open(url: string): Promise<Page> {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(url);
    await expect.poll(() => page.locator("#state").textContent()).toBe("connected");
    return page;
  }

  const shows = (page: Page, list: string, ...texts: string[]) =>
    expect.poll(() => page.locator(`#${list} li`).allTextContents()).toEqual(texts);

  test("everyone reads, members post, and only the mentioned member is notified", async () => {
    const url = await serve("members", { TOKEN_SECRET: SECRET });
    const send = async (page: Page, form: string, text: string) => {
      await page.fill(`#${form} input`, text);
      await page.press(`#${form} input`, "Enter");
    };
    const logIn = async (page: Page, name: string) => {
      await send(page, "login", name);
      await expect.poll(() => page.locator("#user").textContent()).toBe(name);
      await expect.poll(() => page.locator("#state").textContent()).toBe("connected");
    };
    const logOut = async (page: Page) => {
      await page.click("#logout button");
      await expect.poll(() => page.locator("#user").textContent()).toBe("guest");
    };
    const [guest, ann, bob] = [await open(url), await open(url), await open(url)];
    expect(await guest.locator("#post").isVisible()).toBe(false);
    await logIn(ann, "ann");
    await logIn(bob, "bob");
    await send(ann, "post", "hello @bob");
    for (const page of [guest, ann, bob]) await shows(page, "board", "ann: hello @bob");
    await shows(bob, "mentions", "ann mentioned you: hello @bob");
    await shows(ann, "mentions");
    await send(ann, "say", "I am bob");
    for (const page of [guest, ann, bob]) await shows(page, "lobby", "I am bob");

    // Another user on the same page: the mentions of the first one are gone, and the second one's are restored.
    await logOut(bob);
    await shows(bob, "mentions");
    await shows(bob, "board", "ann: hello @bob");
    await logIn(bob, "carl");
    await send(ann, "post", "hello @bob and @carl");
    await shows(bob, "mentions", "ann mentioned you: hello @bob and @carl");
    await logOut(ann);
    await logIn(ann, "bob");
    await shows(ann, "mentions", "ann mentioned you: hello @bob", "ann mentioned you: hello @bob and @carl");
  });

  test("tabs of a browser follow when another tab logs in or out", async () => {
    const url = await serve("members", { TOKEN_SECRET: SECRET });
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const [first, second] = [await context.newPage(), await context.newPage()];
    for (const page of [first, second]) {
      await page.goto(url);
      await expect.poll(() => page.locator("#user").textContent()).toBe("guest");
    }
    await first.fill("#login input", "ann");
    await first.press("#login input", "Enter");
    for (const page of [first, second]) await expect.poll(() => page.locator("#user").textContent()).toBe("ann");
    await second.click("#logout button");
    for (const page of [first, second]) await expect.poll(() => page.locator("#user").textContent()).toBe("guest");
  });

  test("readers see the newest score, also those who come late, and only the backend announces", async () => {
    const url = await serve("scores", { TOKEN_SECRET: SECRET });
    const early = await open(url);
    const score = (page: Page) => expect.poll(() => page.locator("#score").textContent());
    await score(early).toBe("no score yet");
    const { out } = await run(["token", "--announce", "match/*"], { env: { TOKEN_SECRET: SECRET } });
    const env = { FANOUT_TOKEN: out.trim() };
    for (const [home, away] of [
      [0, 1],
      [1, 1],
    ]) {
      const words = ["pub", `${url}/live`, "match/7", JSON.stringify({ home, away })];
      expect(await run(words, { env })).toMatchObject({ code: 0 });
      await score(early).toBe(`${home} : ${away}`);
    }
    await score(await open(url)).toBe("1 : 1");
    await score(await open(`${url}/?match=8`)).toBe("no score yet");
    const guest = await (await fetch(`${url}/token`)).text();
    expect(await post(url, "match/7", '{"home":9,"away":0}', guest)).toBe(403);
  });

  test("pages show each other's pointers, and nothing is retained", async () => {
    const url = await serve("cursors");
    const [first, second] = [await open(url), await open(url)];
    // The other page subscribes as soon as it is connected, which may be a moment later.
    let x = 100;
    const positionOf = async () => {
      await first.mouse.move(x++, 200);
      return second.locator(".pointer").first().getAttribute("style", { timeout: 1_000 });
    };
    await expect.poll(() => positionOf().catch(() => "")).toMatch(/left: [\d.]+%; top: [\d.]+%/);
    // The last position arrives although pages skip positions.
    const { width = 0 } = first.viewportSize() ?? {};
    for (let i = 0; i <= 50; i++) await first.mouse.move(width * (i / 100), 300);
    await expect.poll(() => second.locator(".pointer").getAttribute("style")).toContain("left: 50%");
    expect(await first.locator(".pointer").count()).toBe(0);
    const response = await fetch(`${url}/live/cursors?poll&last=10`);
    expect([response.status, response.headers.get("Fanout-Error")]).toEqual([400, "no-history"]);
    // A lost pointer disappears.
    await first.close();
    await expect.poll(() => second.locator(".pointer").count()).toBe(0);
  });
});
