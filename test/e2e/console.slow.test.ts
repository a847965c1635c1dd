/** The console page, as served to browsers. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { estimate } from "../../src/console/estimate.ts";
import { type Action, type Language, snippetFor } from "../../src/console/snippets.ts";
import { recipesAddress } from "../../tools/build-assets.ts";
import { Network } from "../../tools/faults/network.ts";
import { EVERYTHING, mint, SECRET } from "../runtime/support/mint.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./support/runtime.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const browser = find("chromium", "apt-get install chromium");

const AXE = fileURLToPath(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url));

/** Run in the page: returns pairs of overlapping elements, unless one contains the other, or a box clips its content. */
const OVERLAPPING = `(() => {
  const all = [...document.querySelectorAll("h1, h2, h3, p, label, input, select, button, ul, li, summary, figure, [role=log]")];
  const seen = all.filter((one) => one.checkVisibility() && !one.parentElement.closest("[role=log], .members"));
  const overlap = (a, b) => {
    const [one, other] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
    return Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
      && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  };
  return seen.flatMap((a, at) => seen.slice(at + 1)
    .filter((b) => !a.contains(b) && !b.contains(a) && overlap(a, b))
    .map((b) => a.outerHTML + " and " + b.outerHTML));
})()`;

/** Run in the page: returns the names of all visible, enabled controls. */
const CONTROLS = `[...document.querySelectorAll("input, select, button, summary, [role=log]")]
  .filter((one) => one.checkVisibility() && !one.disabled)
  .map((one) => [one.closest("section")?.ariaLabel, one.tagName, one.className].join(" "))`;

/** Run in the page: returns the focused element's name, and whether its outline is visible. */
const FOCUSED = `(() => {
  const one = document.activeElement;
  const isSeen = getComputedStyle(one).outlineStyle === "solid";
  return [one.closest("section")?.ariaLabel, one.tagName, one.className, isSeen ? "seen" : "hidden"].join(" ");
})()`;

let runtime: Served;
/** Forwards to the server, including after a restart. */
let network: Network;

beforeAll(async () => {
  runtime = await serve();
  network = await Network.start(() => runtime.url);
  return async () => {
    network.stop();
    await runtime.end();
  };
});

let names = 0;
const unique = () => `console-${++names}`;

/** Chromium's headers for navigation. */
const NAVIGATION = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8" };

describe("the server", () => {
  test("serves the page to browsers at every channel's address, with a policy that blocks other scripts", async () => {
    for (const path of ["/", "/news", "/a/b", "/caf%C3%A9"]) {
      const response = await fetch(network.url + path, { headers: NAVIGATION });
      expect(response.status).toBe(200);
      expect(response.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
      const policy = response.headers.get("Content-Security-Policy") ?? "";
      expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; /);
      expect(policy).toContain(`connect-src 'self' ${network.url.replace(/^http/, "ws")};`);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*/);
      expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
      expect(response.headers.get("Vary")).toBe("Accept");
      expect(await response.text()).toMatch(/^<!doctype html>/);
    }
  });

  test("refuses invalid channels to browsers, too", async () => {
    const response = await fetch(`${network.url}/a!b`, { headers: NAVIGATION });
    expect([response.status, response.headers.get("Content-Type")]).toEqual([400, "text/plain; charset=utf-8"]);
  });

  test("serves other clients what they accept", async () => {
    const welcome = await fetch(network.url, { headers: { Accept: "*/*" } });
    expect(await welcome.text()).toMatch(/^This is Fanout/);
    const types = { "*/*": "text/plain; charset=utf-8", "text/event-stream": "text/event-stream" };
    for (const [accept, type] of Object.entries(types)) {
      const leaving = new AbortController();
      const options = { headers: { Accept: accept }, signal: leaving.signal };
      const response = await fetch(`${network.url}/${unique()}`, options);
      expect(response.headers.get("Content-Type")).toBe(type);
      leaving.abort();
    }
  });

  test("serves plain text if the page is switched off", async () => {
    const without = await serveInTest({ settings: { CONSOLE: "off" } });
    const page = await fetch(`${without.url.replace(/^ws/, "http")}/news`, { headers: NAVIGATION });
    expect(await page.text()).toMatch(/^This is Fanout/);
  });

  test("requires no token for the page, but for everything else", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const url = closed.url.replace(/^ws/, "http");
    const [page, rest] = [await fetch(`${url}/news`, { headers: NAVIGATION }), await fetch(`${url}/news`)];
    expect([page.status, rest.status]).toEqual([200, 401]);
    await rest.text();
    expect(await page.text()).toMatch(/^<!doctype html>/);
  });
});

test("the page works below a path of another Worker, too", async () => {
  const own = await temporaryFolder();
  onTestFinished(() => removeFolder(own));
  const configuration = "examples/mounted/wrangler.toml";
  const mounted = await startRuntime(await bundle(own, configuration), own, { configuration });
  onTestFinished(() => mounted.kill());
  const page = async (path: string) =>
    (await fetch(mounted.url.replace(/^ws/, "http") + path, { headers: NAVIGATION })).text();
  for (const path of ["/live", "/live/", "/live/news"]) {
    expect(await page(path)).toContain('name="prefix" content="/live"');
  }
});

test("the page names the recipes, and links to them if package.json says where the project is", async () => {
  const page = await (await fetch(network.url, { headers: NAVIGATION })).text();
  expect(page).toContain("docs/recipes/README.md");
  const recipes = "https://github.com/owner/name/blob/HEAD/docs/recipes/README.md";
  for (const repository of [
    "owner/name",
    "github:owner/name",
    "https://github.com/owner/name",
    { url: "git+https://github.com/owner/name.git" },
  ]) {
    expect(recipesAddress({ repository, homepage: "https://example.com" })).toBe(recipes);
  }
  expect(recipesAddress({ homepage: "https://example.com" })).toBe("https://example.com");
  expect(recipesAddress({ repository: "git@example.com:name.git" })).toBeUndefined();
  expect(recipesAddress({})).toBeUndefined();
});

test("the page has less than 80 kB compressed", async () => {
  const page = await (await fetch(network.url, { headers: NAVIGATION })).text();
  expect(gzipSync(page).length).toBeLessThan(80_000);
});

describe.skipIf(!browser)("in Chromium", () => {
  let launched: Browser;

  beforeAll(async () => {
    launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    return () => launched.close();
  });

  /** Opens the page; errors in it, and requests to other hosts, fail the test. */
  async function open(path: string, options = {}, url = network.url): Promise<Page> {
    const page = await launched.newPage(options);
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("dialog", (dialog) => wrong.push(dialog.message()));
    page.on("console", (entry) => {
      if (entry.text().includes("Content Security Policy")) wrong.push(entry.text());
    });
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== "data:" && host !== new URL(url).host) wrong.push(request.url());
    });
    onTestFinished(async () => {
      await page.close();
      expect(wrong).toEqual([]);
    });
    await page.goto(url + path);
    return page;
  }

  const pane = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
  const texts = (one: Locator) => one.locator(".message .text").allTextContents();

  async function shows(one: Locator, expected: string[]): Promise<void> {
    await expect.poll(() => texts(one)).toEqual(expected);
  }

  async function becomes(one: Locator, state: string): Promise<void> {
    await expect.poll(() => one.getAttribute("data-state")).toBe(state);
  }

  async function showsCounts(one: Locator, words: string): Promise<void> {
    await expect.poll(() => one.locator(".missed").textContent()).toBe(words);
  }

  async function say(one: Locator, text: string): Promise<void> {
    await one.getByLabel("Message", { exact: true }).fill(text);
    await one.getByLabel("Message", { exact: true }).press("Enter");
  }

  /** Records a client's states from now on; returns a function that returns them. */
  async function statesOf(page: Page, name: string): Promise<() => Promise<string[]>> {
    await page.evaluate(`
      window.states = [];
      new MutationObserver((changes) => {
        for (const { addedNodes } of changes) states.push(...[...addedNodes].map(({ data }) => data));
      }).observe(document.querySelector("[aria-label='${name}'] .state"), { childList: true });`);
    return () => page.evaluate<string[]>("states");
  }

  test("two clients appear side by side, and both receive each message", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "hello");
    for (const each of [one, two]) await shows(each, ["hello"]);
    await say(two, "hello yourself");
    for (const each of [one, two]) await shows(each, ["hello", "hello yourself"]);
    const position = one.locator(".position");
    const full = async (at: number) => Number((await position.nth(at).getAttribute("title"))?.match(/\d+$/));
    expect(await full(1)).toBe((await full(0)) + 1);
    expect((await position.first().textContent())?.length).toBeLessThan(7);
    await position.first().click();
    expect(Number(await position.first().textContent())).toBe(await full(0));
    expect(await one.locator(".time").first().textContent()).toMatch(/\d+:\d\d/);
    expect(await one.locator(".count").textContent()).toBe("2 messages");
  });

  test("a client whose connection breaks resumes with nothing lost or duplicated", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "before");
    await shows(two, ["before"]);
    await becomes(two, "connected");
    const states = await statesOf(page, "Client 2");
    await two.getByRole("button", { name: "Cut connection" }).click();
    await say(one, "meanwhile");
    for (const each of [one, two]) await shows(each, ["before", "meanwhile"]);
    await expect
      .poll(() => two.locator(".missed").textContent())
      .toMatch(/^(\d) missed: \1 delivered on resume, 0 lost, 0 duplicated$/);
    expect(await states()).toContain("disconnected · 1006 you cut the connection · retries within 20 s");
  });

  test("a client that was offline receives its missed messages, counted", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "before");
    await shows(two, ["before"]);
    const states = await statesOf(page, "Client 2");
    await two.getByRole("button", { name: "Go offline for 10 s" }).click();
    await expect.poll(() => two.locator(".state").textContent()).toContain("offline until");
    const missed = Array.from({ length: 7 }, (_, number) => `missed ${number}`);
    for (const text of missed) await say(one, text);
    await shows(one, ["before", ...missed]);
    expect(await texts(two)).toEqual(["before"]);
    // Its own announcements are sent later, and don't count as missed.
    await say(two, "its own");
    await showsCounts(two, "7 missed: 7 delivered on resume, 0 lost, 0 duplicated");
    await shows(two, ["before", ...missed, "its own"]);
    // The server is not to blame.
    const [last, ...others] = (await states()).reverse();
    expect(last).toBe("connected");
    expect(others.length).toBeGreaterThan(0);
    for (const state of others) expect(state).toMatch(/^offline until .+, as you asked$|^connecting…$/);
  });

  test("missed messages that have expired are shown as a gap, and counted as lost", async () => {
    const small = await serveInTest({ settings: { HISTORY_BYTES: "1000" } });
    const base = small.url.replace(/^ws/, "http");
    const page = await open("/news", {}, base);
    const one = pane(page, "Client 1");
    await say(one, "before");
    await shows(one, ["before"]);
    await one.getByRole("button", { name: "Go offline for 10 s" }).click();
    await expect.poll(() => one.locator(".state").textContent()).toContain("offline");
    for (let i = 0; i < 40; i++) await fetch(`${base}/news`, { method: "POST", body: "x".repeat(100) });
    await expect.poll(() => one.locator(".missed").textContent()).not.toBe("");
    const [missed, delivered, lost, duplicated] =
      ((await one.locator(".missed").textContent()) ?? "").match(/\d+/g) ?? [];
    expect([missed, duplicated]).toEqual(["40", "0"]);
    expect(Number(delivered) + Number(lost)).toBe(40);
    expect(Number(lost)).toBeGreaterThan(0);
    expect(await one.locator(".note").textContent()).toMatch(
      new RegExp(`^gap in news: ${lost} messages after position \\d+, up to \\d+, are unavailable$`),
    );
  });

  test("the page's address holds the view, so that it survives a reload", async () => {
    const [here, there] = [unique(), unique()];
    const page = await open(`/${here}`);
    const one = pane(page, "Client 1");
    await one.getByLabel("Channel to add").fill(there);
    await one.getByRole("button", { name: "Subscribe", exact: true }).click();
    await page.getByRole("button", { name: "Add a client" }).click();
    await pane(page, "Client 2").getByRole("button", { name: "Remove" }).click();
    await expect.poll(() => new URL(page.url()).hash).toBe(`#${here},${there};${here},${there}`);
    await page.reload();
    await expect.poll(() => page.locator(".pane").count()).toBe(2);
    const channels = await page.locator(".chip bdi").allTextContents();
    expect(channels).toEqual([here, there, here, there]);
    await pane(page, "Client 2").getByLabel("Announce on").selectOption(there);
    await say(pane(page, "Client 2"), "hello");
    await shows(pane(page, "Client 1"), ["hello"]);
    expect(await pane(page, "Client 1").locator(".message .channel").textContent()).toBe(there);
  });

  test("clients reconnect after the server was killed and restarted", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "before");
    await shows(two, ["before"]);
    await runtime.kill();
    for (const each of [one, two]) await becomes(each, "disconnected");
    await runtime.restart();
    await say(two, "after");
    for (const each of [one, two]) await shows(each, ["before", "after"]);
    for (const each of [one, two]) await becomes(each, "connected");
  });

  test("messages with markup stay text", async () => {
    const channel = unique();
    const hostile = [
      "<img src=x onerror=alert(1)>",
      "</script><script>alert(2)</script>",
      "\u202egnp.exe\u202c \u2066\u200f",
      "\u0000\u001b[31m\u0007\u0085",
      "<svg/onload=alert(3)>&amp;&lt;",
      "javascript:alert(4)",
    ];
    for (const body of hostile) await fetch(`${network.url}/${channel}`, { method: "POST", body });
    const page = await open(`/${channel}`);
    await pane(page, "Client 1").locator(".raw > summary").click();
    await shows(pane(page, "Client 1"), hostile);
    await say(pane(page, "Client 1"), "<b>bold</b>");
    await shows(pane(page, "Client 2"), [...hostile, "<b>bold</b>"]);
    expect(await page.locator("img, svg, b, script:not(head script, body > script)").count()).toBe(0);
  });

  test("a channel name with markup stays text, also in the address", async () => {
    const channel = `${unique()}<b>&"'`;
    const page = await open(`/${encodeURIComponent(channel)}`);
    expect(await page.locator(".chip bdi").allTextContents()).toEqual([channel, channel]);
    await say(pane(page, "Client 2"), "hello");
    await shows(pane(page, "Client 1"), ["hello"]);
    expect(await page.locator("b").count()).toBe(0);
  });

  test("the protocol log shows and explains lines", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    const one = pane(page, "Client 1");
    await one.locator(".raw > summary").click();
    await say(one, "hello");
    const lines = () => one.locator(".raw .in, .raw .out").allTextContents();
    await expect.poll(lines).toContain(`< ${channel}!hello`);
    expect(await lines()).toContain("< debug!connected...");
    expect((await lines()).some((line) => /^> once \S+ \S+ hello$/.test(line))).toBe(true);
    const greeting = one.getByText("The greeting: the connection is ready, and subscribed to its channel and 'all'.");
    await greeting.waitFor();
    await one.locator(".raw").getByLabel("Explain each line").uncheck();
    await greeting.waitFor({ state: "hidden" });
  });

  test("the protocol terminal has its own connection", async () => {
    const [channel, other] = [unique(), unique()];
    const page = await open(`/${channel}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await one.locator(".terminal > summary").click();
    const field = one.getByLabel("Protocol line", { exact: true });
    const type = async (line: string) => {
      await field.fill(line);
      await field.press("Enter");
    };
    const lines = () => one.locator(".terminal .in, .terminal .out").allTextContents();
    const answers = (line: RegExp) => expect.poll(async () => (await lines()).at(-1)).toMatch(line);
    await type("ping");
    await answers(/^< \d{10}$/);
    await type(`announce ${channel} typed`);
    await answers(new RegExp(`^< ${channel}!typed$`));
    await shows(two, ["typed"]);
    await type(`subscribe ${other} since now`);
    await answers(new RegExp(`^< debug!position ${other} \\d+$`));
    await type("shout");
    await answers(/^< debug!error invalid shout: unknown command/);
    expect(await one.locator(".chip bdi").allTextContents()).toEqual([channel]);
    await one
      .getByText(
        "The server refused a command: the error code, the command, and the reason. Only this connection receives it.",
      )
      .waitFor();
  });

  test("the page renders the newest of very many messages, and counts all", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    await becomes(pane(page, "Client 1"), "connected");
    await say(pane(page, "Client 1"), "first");
    await shows(pane(page, "Client 1"), ["first"]);
    const body = Array.from({ length: 2_000 }, (_, number) => `line ${number}`).join("\n");
    await fetch(`${network.url}/${channel}`, { method: "POST", body });
    const one = pane(page, "Client 1");
    await expect.poll(() => one.locator(".count").textContent()).toBe("2,001 messages");
    expect(await one.locator(".messages .rows > *").count()).toBe(500);
    expect(await one.locator(".message .text").last().textContent()).toBe("line 1999");
  });

  /** Waits until an element has a text. */
  const showsText = (page: Page, selector: string, words: RegExp) =>
    expect.poll(() => page.locator(selector).textContent()).toMatch(words);

  test("a load test runs until stopped, and shows in the plots and the tree", async () => {
    const page = await open(`/${unique()}`);
    const one = pane(page, "Client 1");
    await say(one, "before");
    await shows(one, ["before"]);
    await showsText(page, "#rates .now", /^\d+ received, \d+ sent in the last second$/);
    const picture = () => page.evaluate<string>("document.querySelector('#rates canvas').toDataURL()");
    const before = await picture();
    await page.getByLabel("Connections").fill("20");
    await page.getByLabel("Messages per second", { exact: true }).fill("20");
    await page.getByRole("button", { name: "Start" }).click();
    await showsText(page, "#load p", /^20 connected, [1-9]\d* announced, [1-9][\d,]* delivered$/);
    await showsText(page, "#rates .now", /^[1-9]\d{2,} received, [1-9]\d* sent in the last second$/);
    await showsText(page, "#latencies .now", /^median [\d.]+ ms, longest [\d.]+ ms$/);
    await showsText(page, "#tree", /^\S+ 22 subscribers, \d+ messages? behind$/);
    expect(await picture()).not.toBe(before);
    await say(one, "still here");
    await expect.poll(() => texts(pane(page, "Client 2"))).toContain("still here");
    await page.getByRole("button", { name: "Stop" }).click();
    await showsText(page, "#tree", /^\S+ 2 subscribers, \d+ messages? behind$/);
  });

  test("three commands for this address are shown, quoted for a shell", async () => {
    const page = await open("/it's-x");
    const { host } = new URL(network.url);
    expect((await page.locator("#start pre").textContent())?.split("\n")).toEqual([
      `curl -N 'http://${host}/it'\\''s-x'`,
      `npx wscat -c 'ws://${host}/it'\\''s-x'`,
      `npm run fanout -s -- sub ws://${host} 'it'\\''s-x' # in a clone of the repository`,
    ]);
  });

  test("what a client has just done is copied as code", async () => {
    const [channel, other] = [`${unique()}-it's`, unique()];
    const page = await open(`/${encodeURIComponent(channel)}`, { permissions: ["clipboard-read", "clipboard-write"] });
    const one = pane(page, "Client 1");
    const target = { base: network.url, needsToken: false };
    const copies = async (language: Language, action: Action) => {
      await one.getByRole("button", { name: `Copy as ${language}` }).click();
      await one.getByText("Copied:").waitFor();
      const code = snippetFor(language, action, target);
      expect(await page.evaluate("navigator.clipboard.readText()")).toBe(code);
      expect(await one.locator(".code pre").textContent()).toBe(code);
    };
    const action = one.locator(".action");
    expect(await action.textContent()).toBe(`Copy the subscription to ${channel} as`);
    await copies("curl", { kind: "subscribe", channel, last: 20 });
    await say(one, "it's `me`");
    expect(await action.textContent()).toBe(`Copy the announcement on ${channel} as`);
    expect(await one.locator(".code pre").isVisible()).toBe(false);
    for (const language of ["curl", "JavaScript", "Python"] as const) {
      await copies(language, { kind: "announce", channel, text: "it's `me`" });
    }
    await one.getByLabel("Channel to add").fill(other);
    await one.getByLabel("Channel to add").press("Enter");
    await copies("Python", { kind: "subscribe", channel: other, last: 20 });
    await enter(one, "ann", '{"x":1}');
    expect(await action.textContent()).toBe(`Copy the entry into ${channel} as`);
    await copies("JavaScript", { kind: "enter", channel, member: "ann", data: '{"x":1}' });
    await one.getByLabel("Members of").selectOption(other);
    expect(await action.textContent()).toBe(`Copy the list of members of ${other} as`);
    await copies("curl", { kind: "members", channel: other });
  });

  test("code has a place for the token, never the token itself", async () => {
    const page = await open(`/${unique()}`);
    await page.getByLabel("Token").fill("a-secret-token");
    await page.getByRole("button", { name: "Use" }).click();
    const one = pane(page, "Client 1");
    for (const [language, place] of Object.entries({
      curl: "$FANOUT_TOKEN",
      JavaScript: "paste the token here",
      Python: "FANOUT_TOKEN",
    })) {
      await one.getByRole("button", { name: `Copy as ${language}` }).click();
      await expect.poll(() => one.locator(".code pre").textContent()).toContain(place);
      expect(await one.locator(".code pre").textContent()).not.toContain("a-secret-token");
    }
  });

  test("where a page may not copy, the code is selected", async () => {
    const page = await open(`/${unique()}`);
    await page.evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error())");
    const one = pane(page, "Client 1");
    await one.getByRole("button", { name: "Copy as curl" }).click();
    await one.getByText("The code is selected; press Ctrl+C or ⌘C:").waitFor();
    expect(await page.evaluate("String(getSelection())")).toMatch(/^curl -N /);
  });

  const summaryOf = (one: Locator) => one.locator(".presence > summary");
  const present = (one: Locator) => one.locator(".members > li").allTextContents();

  /** Waits until clients show exactly these members of a channel. */
  async function showMembers(panes: Locator[], channel: string, members: string[]): Promise<void> {
    for (const each of panes) {
      await expect.poll(() => present(each)).toEqual(members);
      await expect.poll(() => summaryOf(each).textContent()).toBe(`Members of ${channel}: ${members.length}`);
    }
  }

  async function enter(one: Locator, member: string, data: string): Promise<void> {
    await one.getByLabel("Member name").fill(member);
    await one.getByLabel("Member data").fill(data);
    await one.getByLabel("Member data").press("Enter");
  }

  test("clients enter and leave, and each client shows the members of its channel", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await showMembers([one, two], channel, []);
    const leave = one.getByRole("button", { name: "Leave" });
    expect(await leave.isVisible()).toBe(false);
    await enter(one, "zoe", "1");
    await showMembers([one, two], channel, ["zoe 1"]);
    await enter(two, "ann", "<b>bold</b>");
    await showMembers([one, two], channel, ["ann <b>bold</b>", "zoe 1"]);
    expect(await page.locator("b").count()).toBe(0);
    expect(await one.locator(".self").allTextContents()).toEqual(["zoe 1"]);
    expect(await two.locator(".self").allTextContents()).toEqual(["ann <b>bold</b>"]);
    await enter(one, "zoe", "2");
    await showMembers([one, two], channel, ["ann <b>bold</b>", "zoe 2"]);
    await enter(one, "bob", "");
    await showMembers([one, two], channel, ["ann <b>bold</b>", "bob"]);
    await leave.click();
    await showMembers([one, two], channel, ["ann <b>bold</b>"]);
    expect(await leave.isVisible()).toBe(false);
    await two.getByRole("button", { name: `Unsubscribe from ${channel}` }).click();
    await showMembers([one], channel, []);
    expect(await summaryOf(two).textContent()).toBe("Members");
  });

  test("a member whose connection breaks enters again, and no client sees it leave", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await enter(one, "ann", "1");
    await showMembers([one, two], channel, ["ann 1"]);
    await two.locator(".raw > summary").click();
    const lines = () => two.locator(".raw .in").allTextContents();
    const states = await statesOf(page, "Client 1");
    await one.getByRole("button", { name: "Cut connection" }).click();
    await expect.poll(states).toContain("connected");
    await enter(one, "ann", "2");
    await showMembers([one, two], channel, ["ann 2"]);
    const changes = (await lines()).filter((line) => line.startsWith(`< presence/${channel}!`));
    expect(changes.at(-1)).toBe(`< presence/${channel}!update ann 2`);
    expect(changes.filter((line) => line.includes("!leave"))).toEqual([]);
    await two.getByText("'ann' has other data on").first().waitFor();
  });

  test("a member that the server refuses after a reconnect is shown as none", async () => {
    const full = await serveInTest({ settings: { MEMBERS_PER_CHANNEL: "0" } });
    let target = runtime.url;
    const own = await Network.start(() => target);
    onTestFinished(() => own.stop());
    const channel = unique();
    const page = await open(`/${channel}`, {}, own.url);
    const one = pane(page, "Client 1");
    await enter(one, "ann", "");
    await showMembers([one], channel, ["ann"]);
    target = full.url;
    own.cut();
    await one.getByText(`not a member of ${channel}: a channel has at most 0 members`).waitFor();
    await showMembers([one], channel, []);
    expect(await one.getByRole("button", { name: "Leave" }).isVisible()).toBe(false);
  });

  test("the members are those of the selected channel, while their list is open", async () => {
    const [here, there] = [unique(), unique()];
    const page = await open(`/#${here},${there},presence/${here}`);
    const one = pane(page, "Client 1");
    await one.locator(".raw > summary").click();
    const sent = () => one.locator(".raw .out").allTextContents();
    await enter(one, "ann", "");
    await showMembers([one], here, ["ann"]);
    const select = one.getByLabel("Members of");
    expect(await select.locator("option").allTextContents()).toEqual([here, there]);
    await select.selectOption(there);
    await showMembers([one], there, []);
    expect(await one.getByRole("button", { name: "Leave" }).isVisible()).toBe(false);
    await enter(one, "bob", "");
    await showMembers([one], there, ["bob"]);
    await select.selectOption(here);
    await showMembers([one], here, ["ann"]);
    await expect.poll(sent).toContain(`> unsubscribe presence/${there}`);
    await summaryOf(one).click();
    await expect.poll(() => summaryOf(one).textContent()).toBe("Members");
    await expect.poll(async () => (await sent()).filter((line) => line === `> members ${here}`).length).toBe(2);
    await summaryOf(one).click();
    await showMembers([one], here, ["ann"]);
    expect((await sent()).filter((line) => line === `> members ${here}`)).toHaveLength(3);
  });

  test("a list that isn't known yet isn't shown as empty, even if the client is replaced", async () => {
    const own = await Network.start(() => runtime.url);
    onTestFinished(() => own.stop());
    const [here, there] = [unique(), unique()];
    const page = await open(`/#${here},${there}`, {}, own.url);
    const one = pane(page, "Client 1");
    await showMembers([one], here, []);
    own.hold(true);
    await one.getByLabel("Members of").selectOption(there);
    await page.getByRole("button", { name: "Use" }).click();
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    expect(await summaryOf(one).textContent()).toBe(`Members of ${there}`);
    own.hold(false);
    await showMembers([one], there, []);
  });

  test("very many members are counted, and the first hundred are listed", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    const one = pane(page, "Client 1");
    const clients = Array.from({ length: 120 }, async (_, number) => {
      const client = await TestClient.connect(`${runtime.url}/${channel}`);
      onTestFinished(() => client.close());
      client.send(`enter ${channel} m${String(number).padStart(3, "0")}`);
      expect(await client.ping()).toEqual([]);
    });
    await Promise.all(clients);
    await expect.poll(() => summaryOf(one).textContent()).toBe(`Members of ${channel}: 120`);
    const shown = await present(one);
    expect([shown.length, shown[0], shown[99], shown[100]]).toEqual([101, "m000", "m099", "and 20 more"]);
  });

  test("why a client is no member, or can't see the members, is shown", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const page = await open("/news", {}, closed.url.replace(/^ws/, "http"));
    const one = pane(page, "Client 1");
    const paste = async (claims: Record<string, unknown>) => {
      await page.getByLabel("Token").fill(await mint(claims));
      await page.getByRole("button", { name: "Use" }).click();
    };
    await paste(EVERYTHING);
    await showMembers([one], "news", []);
    await enter(one, "ann", "");
    await one
      .getByText("not a member of news: your token doesn't grant this channel; its claim 'enter' has to list it")
      .waitFor();
    expect(await one.getByRole("button", { name: "Leave" }).isVisible()).toBe(false);
    await paste({ ...EVERYTHING, enter: ["news"], sub: "ann" });
    await enter(one, "ann", "");
    await showMembers([one], "news", ["ann"]);
    await enter(one, "bob", "");
    await one.getByText("not a member of news: your token's claim 'sub' is 'ann'").waitFor();
    // With another token, the client enters again.
    await paste({ ...EVERYTHING, enter: ["*"] });
    await showMembers([one], "news", ["ann"]);
    await becomes(one, "connected");
    expect(await one.locator(".self").allTextContents()).toEqual(["ann"]);
    await enter(one, "two words", "");
    await one.getByText(/^not a member of news: .+ space/).waitFor();
    const none = await serveInTest({ settings: { HISTORY_SECONDS: "0" } });
    const other = await open("/news", {}, none.url.replace(/^ws/, "http"));
    await expect
      .poll(() => summaryOf(pane(other, "Client 1")).textContent())
      .toBe("Members of news: presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)");
  });

  test("the buttons that disconnect are explained, also to screen readers", async () => {
    const page = await open(`/${unique()}`);
    for (const name of ["Client 1", "Client 2"]) {
      for (const button of ["Cut connection", "Go offline for 10 s"]) {
        const id = await pane(page, name).getByRole("button", { name: button }).getAttribute("aria-describedby");
        const hint = pane(page, name).locator(`#${id}`);
        expect(await hint.isVisible()).toBe(true);
        expect(await hint.textContent()).toMatch(/^Cutting breaks the connection .* Offline, it can't for 10 s\./);
      }
    }
  });

  test("the calculator computes the share of the free plan, and names wrong input", async () => {
    const page = await open(`/${unique()}`);
    const costs = page.getByRole("region", { name: "Costs" });
    const result = costs.getByRole("status");
    const fields = { people: "50", messages: "2,000", updates: "500" };
    expect(await result.textContent()).toBe(estimate(fields).sentence);
    await costs.getByLabel("People a day").fill("1,000");
    await costs.getByLabel("Updates a day").fill("90000");
    const estimated = estimate({ people: "1000", messages: "2000", updates: "90000" });
    expect(await result.textContent()).toBe(estimated.sentence);
    expect(await costs.locator("li").allTextContents()).toEqual("parts" in estimated ? estimated.parts : []);
    await costs.getByLabel("Messages a day").fill("a few");
    expect(await result.textContent()).toBe("Messages a day must be a whole number from 0 to 1,000,000,000.");
    expect(await costs.locator("li").count()).toBe(0);
    expect(await costs.getByLabel("Messages a day").getAttribute("aria-invalid")).toBe("true");
    await costs.getByLabel("Messages a day").press("Enter");
    await costs.getByLabel("Messages a day").fill("0");
    expect(await costs.getByLabel("Messages a day").getAttribute("aria-invalid")).toBe("false");
  });

  test("a late response doesn't replace that for a channel selected since", async () => {
    const [early, late] = [unique(), unique()];
    const page = await open(`/#${early},${late}`);
    await showsText(page, "#tree", new RegExp(`^${early} `));
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(`**/-/channels/${early}`, async (route) => {
      await held;
      await route.continue();
    });
    const asked = page.waitForRequest(`**/-/channels/${early}`);
    await asked;
    await page.locator("#activity-channel").selectOption(late);
    await showsText(page, "#tree", new RegExp(`^${late} `));
    const answered = page.waitForResponse(`**/-/channels/${early}`);
    answer();
    await (await answered).finished();
    expect(await page.locator("#tree").textContent()).toMatch(new RegExp(`^${late} `));
  });

  test("a pasted token grants what it allows", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const page = await open("/news", {}, closed.url.replace(/^ws/, "http"));
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await expect.poll(() => one.locator(".state").textContent()).toMatch(/401 forbidden: a token is missing/);
    const paste = async (token: string) => {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Use" }).click();
    };
    await paste(await mint(EVERYTHING));
    await say(one, "hello");
    for (const each of [one, two]) await shows(each, ["hello"]);
    await showsText(page, "#tree", /^This needs a token with the claim 'operate'\.$/);
    await paste(await mint({ ...EVERYTHING, operate: true }));
    await showsText(page, "#tree", /^news 2 subscribers, \d+ messages? behind$/);
    await say(two, "hello again");
    for (const each of [one, two]) await shows(each, ["hello", "hello again"]);
    expect(new URL(page.url()).hash).toBe("#news;news");
    expect(await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length")).toBe(0);
  });

  const operators = (page: Page) => page.getByRole("region", { name: "For operators" });

  /** Serves with tokens; returns the address, and a function that makes an operator's token. */
  async function serveClosed() {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const url = closed.url.replace(/^ws/, "http");
    const operator = (claims = {}) => mint({ ...EVERYTHING, operate: true, ...claims });
    return { url, ws: closed.url, operator };
  }

  async function use(page: Page, token: string): Promise<void> {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Use" }).click();
  }

  test("operators see the channels in use page by page, and the tree of one", async () => {
    const { url, ws, operator } = await serveClosed();
    const token = await operator({ enter: ["*"], sub: "ann" });
    const client = await TestClient.connect(`${ws}/use-00?token=${token}`);
    onTestFinished(() => client.close());
    const others = Array.from({ length: 24 }, (_, i) => `use-${String(i + 1).padStart(2, "0")}`);
    client.send(`${others.map((channel) => `subscribe ${channel}\n`).join("")}enter use-00 ann\n`);
    await client.ping();
    const page = await open("/<b>x", {}, url);
    const section = operators(page);
    expect(await section.isVisible()).toBe(false);
    await use(page, token);
    await becomes(pane(page, "Client 1"), "connected");
    await section.locator("summary").click();
    const status = section.locator("#in-use [role=status]");
    const rows = () => section.locator("tbody tr").allTextContents();
    await expect.poll(() => status.textContent()).toBe("Channels 1 to 20 by name");
    expect((await rows())[0]).toMatch(/^<b>x20\d|^<b>x20[\d,]+$/);
    expect(await page.locator("b").count()).toBe(0);
    await section.getByLabel("Prefix").fill("use-");
    await section.getByLabel("Prefix").press("Enter");
    await expect.poll(async () => (await rows()).at(-1)).toMatch(/^use-1910[\d,]+$/);
    expect((await rows())[0]).toMatch(/^use-0011[\d,]+$/);
    await section.getByRole("button", { name: "Next" }).click();
    await expect.poll(() => status.textContent()).toBe("Channels 21 to 25 by name");
    expect(await rows()).toHaveLength(5);
    // The focus isn't lost with the button.
    expect(await page.evaluate("document.activeElement.className")).toBe("previous");
    await page.keyboard.press("Enter");
    await expect.poll(() => status.textContent()).toBe("Channels 1 to 20 by name");
    await section.getByRole("button", { name: "use-03" }).click();
    await expect.poll(() => section.locator("#service-tree").textContent()).toMatch(/^use-03 .*use-00 1 subscriber/);
    expect(await section.locator("#tree-of").textContent()).toBe(
      "Server objects that carry use-03, with their subscribers",
    );
    await section.getByLabel("Prefix").fill("nothing");
    await section.getByRole("button", { name: "List" }).click();
    await expect.poll(() => status.textContent()).toBe("No channel in use begins with nothing");
    await section.getByLabel("Prefix").fill("a b");
    await section.getByRole("button", { name: "List" }).click();
    await expect.poll(() => status.textContent()).toMatch(/'prefix' isn't the start of a channel name/i);
    await use(page, await mint(EVERYTHING));
    await expect.poll(() => section.isVisible()).toBe(false);
    expect(await rows()).toEqual([]);
  });

  test.each([360, 1440])("at %i pixels nothing moves when the operators' figures arrive", async (width) => {
    const { url, operator } = await serveClosed();
    const page = await open("/news", { viewport: { width, height: 900 } }, url);
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    for (const path of ["**/-/info", "**/-/channels?*"]) {
      await page.route(path, async (route) => {
        await held;
        await route.continue();
      });
    }
    const section = operators(page);
    await use(page, await operator());
    const asked = page.waitForRequest("**/-/channels?*");
    await section.locator("summary").click();
    await asked;
    const places = () =>
      page.evaluate<number[]>(`[...document.querySelectorAll("#operators :is(h2, h3, figure, form, section)")]
        .filter((one) => one.checkVisibility())
        .map((one) => Math.round(one.getBoundingClientRect().top + scrollY))`);
    const before = await places();
    expect(before.length).toBeGreaterThan(8);
    answer();
    await section.getByRole("button", { name: "news", exact: true }).click();
    await expect.poll(() => section.locator("#service-tree").textContent()).toMatch(/^news 2 subscribers/);
    await showsText(page, "#service-use .now", /connections/);
    const [first = 0, ...rest] = before;
    const [moved = 0, ...after] = await places();
    // What is above the section may move it.
    expect(after.map((place) => place - moved)).toEqual(rest.map((place) => place - first));
  });

  test("operators revoke a subject's access after a confirmation", async () => {
    const { url, ws, operator } = await serveClosed();
    const old = { iat: Math.floor(Date.now() / 1_000) - 10 };
    const connect = async () =>
      TestClient.connect(`${ws}/news?token=${await mint({ ...EVERYTHING, ...old, sub: "ann" })}`);
    const ann = await connect();
    const page = await open("/news", {}, url);
    await use(page, await operator({ sub: "root" }));
    const section = operators(page);
    await section.locator("summary").click();
    const dialog = page.getByRole("dialog");
    const ask = async (sub: string) => {
      await section.getByLabel("Subject").fill(sub);
      await section.getByLabel("Subject").press("Enter");
      await dialog.waitFor();
      expect(await dialog.getByRole("heading").textContent()).toBe(`Revoke the access of ${sub}?`);
    };
    await ask("root");
    expect(await dialog.getByText("This page's own access ends, too.").isVisible()).toBe(true);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    const status = section.locator("#revoke [role=status]");
    await ask("ann");
    expect(await dialog.getByText("This page's own access ends, too.").isVisible()).toBe(false);
    // The first button is the harmless one.
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    expect(await status.textContent()).toBe("");
    await ask("ann");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await expect.poll(() => status.textContent()).toMatch(/^Revoked ann in \d+ objects?\.$/);
    expect(await ann.closed).toMatchObject({ code: 1008, reason: "revoked: your token was revoked; get a new one" });
    await becomes(pane(page, "Client 1"), "connected");
  });

  test("a client whose token is revoked doesn't retry, and works with another token", async () => {
    const { url, operator } = await serveClosed();
    const page = await open("/news", {}, url);
    const one = pane(page, "Client 1");
    await use(page, await mint({ ...EVERYTHING, sub: "eve", iat: Math.floor(Date.now() / 1_000) - 10 }));
    await say(one, "before");
    await shows(one, ["before"]);
    const headers = { Authorization: `Bearer ${await operator()}` };
    const answer = await fetch(`${url}/-/revoke`, { method: "POST", headers, body: '{"sub": "eve"}' });
    expect(answer.status).toBe(200);
    const state = () => one.locator(".state").textContent();
    await expect.poll(state).toMatch(/^disconnected · 1008 revoked: .* · doesn't retry$/);
    await use(page, await operator({ sub: "bob" }));
    await say(one, "after");
    await shows(one, ["before", "after"]);
  });

  test("the service is plotted while the section is open and on screen, and without tokens no names are shown", async () => {
    const page = await open(`/${unique()}`);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    const infos = () => asked.filter((path) => path === "/-/info").length;
    const section = operators(page);
    await section.waitFor();
    await showsText(page, "#rates .now", /received/);
    const before = infos();
    const openedAt = Date.now();
    await section.locator("summary").click();
    await showsText(page, "#service-use .now", /^\d+ connections, \d+ subscriptions, \d+ channels?, \d+ objects?$/);
    await say(pane(page, "Client 1"), "hello");
    await section.locator("#service-rates").scrollIntoViewIfNeeded();
    await showsText(page, "#service-rates .now", /^[\d.]+ delivered, [\d.]+ announced per second$/);
    expect(infos() - before).toBeGreaterThan(1);
    expect(infos() - before).toBeLessThan(2 + (Date.now() - openedAt) / 5_000);
    expect(await section.locator(".named:visible").count()).toBe(0);
    expect(await section.locator(".unnamed").isVisible()).toBe(true);
    expect(asked).not.toContain("/-/channels");
    await section.locator("summary").click();
    const closed = infos();
    // The tree of the channel is requested every five seconds, so two intervals pass.
    await page.waitForResponse("**/-/channels/*");
    await page.waitForResponse("**/-/channels/*");
    expect(infos()).toBe(closed);
  });

  /** Opens a page with everything it can show: messages, including long ones, and lines. */
  async function openFull(options: object): Promise<Page> {
    const page = await open(`/${unique()}`, options);
    const one = pane(page, "Client 1");
    await one.locator(".raw > summary").click();
    await pane(page, "Client 2").locator(".terminal > summary").click();
    await page.getByLabel("Messages a day").fill("none");
    await one.getByLabel("Channel to add").fill("a".repeat(100));
    await one.getByLabel("Channel to add").press("Enter");
    await becomes(one, "connected");
    await say(one, "hello");
    await say(one, "long".repeat(100));
    await shows(one, ["hello", "long".repeat(100)]);
    await enter(one, "ann", '{"typing":true}');
    await enter(pane(page, "Client 2"), "m".repeat(64), "data".repeat(100));
    await expect.poll(() => one.locator(".members > li").count()).toBe(2);
    await one.getByRole("button", { name: "Copy as Python" }).click();
    await one.locator(".code pre").waitFor();
    await operators(page).locator("summary").click();
    await showsText(page, "#service-use .now", /connections/);
    return page;
  }

  test.each([360, 1440])("at %i pixels nothing overlaps or overflows", async (width) => {
    const page = await openFull({ viewport: { width, height: 900 } });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    expect(await page.evaluate(OVERLAPPING)).toEqual([]);
  });

  test.each(["light", "dark"] as const)("axe finds no serious problems in %s colours", async (colorScheme) => {
    const page = await openFull({ colorScheme, reducedMotion: "reduce" });
    await pane(page, "Client 2").getByRole("button", { name: "Go offline for 10 s" }).click();
    await expect.poll(() => pane(page, "Client 2").locator(".state").textContent()).toContain("offline");
    await page.evaluate(await readFile(AXE, "utf8"));
    const found = await page.evaluate(
      `axe.run().then(({ violations }) => violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`,
    );
    expect(found).toEqual([]);
  });

  test("the keyboard reaches every control, with a visible focus", async () => {
    const page = await open(`/${unique()}`);
    await becomes(pane(page, "Client 1"), "connected");
    const reached = new Set<unknown>();
    const controls = await page.evaluate<string[]>(CONTROLS);
    for (let presses = 0; presses < controls.length + 5; presses += 1) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(FOCUSED));
    }
    for (const name of controls) expect(reached).toContain(`${name} seen`);
  });
});
