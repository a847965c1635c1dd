/** The console page, as a browser has it from the server. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Network } from "../../tools/faults/network.ts";
import { EVERYTHING, mint, SECRET } from "../runtime/support/mint.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./support/runtime.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

const browser = find("chromium", "apt-get install chromium");

const AXE = fileURLToPath(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url));

/** Run in the page: pairs of things on it that share some of its area, of which none is part of the other. */
const OVERLAPPING = `(() => {
  const all = [...document.querySelectorAll("h1, h2, h3, p, label, input, select, button, ul, li, summary, figure, [role=log]")];
  const seen = all.filter((one) => one.checkVisibility() && !one.parentElement.closest("[role=log]"));
  const overlap = (a, b) => {
    const [one, other] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
    return Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
      && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  };
  return seen.flatMap((a, at) => seen.slice(at + 1)
    .filter((b) => !a.contains(b) && !b.contains(a) && overlap(a, b))
    .map((b) => a.outerHTML + " and " + b.outerHTML));
})()`;

/** Run in the page: what it calls each control that can be used now. */
const CONTROLS = `[...document.querySelectorAll("input, select, button, summary, [role=log]")]
  .filter((one) => one.checkVisibility() && !one.disabled)
  .map((one) => [one.closest("section")?.ariaLabel, one.tagName, one.className].join(" "))`;

/** Run in the page: the same of what has the focus, and whether that is seen. */
const FOCUSED = `(() => {
  const one = document.activeElement;
  const isSeen = getComputedStyle(one).outlineStyle === "solid";
  return [one.closest("section")?.ariaLabel, one.tagName, one.className, isSeen ? "seen" : "hidden"].join(" ");
})()`;

let runtime: Served;
/** Where the server is, also when it has been started again. */
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

/** As Chromium asks for a page that somebody goes to. */
const NAVIGATION = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8" };

describe("the server", () => {
  test("gives the page to browsers, at every channel's address, and nothing else may run in it", async () => {
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

  test("refuses what is no channel to them, too", async () => {
    const response = await fetch(`${network.url}/a!b`, { headers: NAVIGATION });
    expect([response.status, response.headers.get("Content-Type")]).toEqual([
      400,
      "text/plain; charset=utf-8",
    ]);
  });

  test("gives others what they ask for", async () => {
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

  test("gives a text instead where the operator has switched the page off", async () => {
    const without = await serveInTest({ settings: { CONSOLE: "off" } });
    const page = await fetch(`${without.url.replace(/^ws/, "http")}/news`, { headers: NAVIGATION });
    expect(await page.text()).toMatch(/^This is Fanout/);
  });

  test("needs no token for it, and for all else one", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const url = closed.url.replace(/^ws/, "http");
    const [page, rest] = [await fetch(`${url}/news`, { headers: NAVIGATION }), await fetch(`${url}/news`)];
    expect([page.status, rest.status]).toEqual([200, 401]);
    await rest.text();
    expect(await page.text()).toMatch(/^<!doctype html>/);
  });
});

test("it is there below a path of another Worker's, too, and finds its server", async () => {
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

  /** Opens the page; what goes wrong in it, and what it asks of other hosts, fails the test. */
  async function open(path: string, options = {}, url = network.url): Promise<Page> {
    const page = await launched.newPage(options);
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("dialog", (dialog) => wrong.push(dialog.message()));
    page.on("console", (said) => {
      if (said.text().includes("Content Security Policy")) wrong.push(said.text());
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
  const patience = { timeout: 60_000 };

  async function shows(one: Locator, expected: string[]): Promise<void> {
    await expect.poll(() => texts(one), patience).toEqual(expected);
  }

  async function becomes(one: Locator, state: string): Promise<void> {
    await expect.poll(() => one.getAttribute("data-state"), patience).toBe(state);
  }

  async function accountsFor(one: Locator, words: string): Promise<void> {
    await expect.poll(() => one.locator(".account").textContent(), patience).toBe(words);
  }

  async function say(one: Locator, text: string): Promise<void> {
    await one.getByLabel("Message", { exact: true }).fill(text);
    await one.getByLabel("Message", { exact: true }).press("Enter");
  }

  test("two clients stand side by side, and what one announces appears in both", async () => {
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

  test("a client that is cut comes back, with nothing lost and nothing twice", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "before");
    await shows(two, ["before"]);
    await becomes(two, "connected");
    await two.getByRole("button", { name: "Cut" }).click();
    await say(one, "meanwhile");
    for (const each of [one, two]) await shows(each, ["before", "meanwhile"]);
    await expect
      .poll(() => two.locator(".account").textContent(), patience)
      .toMatch(/^(\d) missed, \1 came back, 0 lost, 0 twice$/);
  });

  test("a client that was away gets what it missed, counted", async () => {
    const page = await open(`/${unique()}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await say(one, "before");
    await shows(two, ["before"]);
    await two.getByRole("button", { name: "Away for 10 s" }).click();
    await expect.poll(() => two.locator(".state").textContent(), patience).toContain("away until");
    const missed = Array.from({ length: 7 }, (_, number) => `missed ${number}`);
    for (const text of missed) await say(one, text);
    await shows(one, ["before", ...missed]);
    expect(await texts(two)).toEqual(["before"]);
    // What it announces itself comes later, and is not missed.
    await say(two, "its own");
    await accountsFor(two, "7 missed, 7 came back, 0 lost, 0 twice");
    await shows(two, ["before", ...missed, "its own"]);
  });

  test("what was missed and is not kept any more is shown as a gap, and counted as lost", async () => {
    const forgetful = await serveInTest({ settings: { HISTORY_BYTES: "1000" } });
    const base = forgetful.url.replace(/^ws/, "http");
    const page = await open("/news", {}, base);
    const one = pane(page, "Client 1");
    await say(one, "before");
    await shows(one, ["before"]);
    await one.getByRole("button", { name: "Away for 10 s" }).click();
    await expect.poll(() => one.locator(".state").textContent(), patience).toContain("away");
    for (let i = 0; i < 40; i++) await fetch(`${base}/news`, { method: "POST", body: "x".repeat(100) });
    await expect.poll(() => one.locator(".account").textContent(), patience).not.toBe("");
    const [missed, came, lost, twice] =
      ((await one.locator(".account").textContent()) ?? "").match(/\d+/g) ?? [];
    expect([missed, twice]).toEqual(["40", "0"]);
    expect(Number(came) + Number(lost)).toBe(40);
    expect(Number(lost)).toBeGreaterThan(0);
    expect(await one.locator(".note").textContent()).toMatch(
      new RegExp(`^gap in news: after \\d+ ${lost} messages, up to \\d+, are not to be had$`),
    );
  });

  test("the view is kept in the address, and so when it is loaded again", async () => {
    const [here, there] = [unique(), unique()];
    const page = await open(`/${here}`);
    const one = pane(page, "Client 1");
    await one.getByLabel("Another channel").fill(there);
    await one.getByRole("button", { name: "Subscribe", exact: true }).click();
    await page.getByRole("button", { name: "Add a client" }).click();
    await pane(page, "Client 2").getByRole("button", { name: "Remove" }).click();
    await expect.poll(() => new URL(page.url()).hash, patience).toBe(`#${here},${there};${here},${there}`);
    await page.reload();
    await expect.poll(() => page.locator(".pane").count(), patience).toBe(2);
    const channels = await page.locator(".chip bdi").allTextContents();
    expect(channels).toEqual([here, there, here, there]);
    await pane(page, "Client 2").getByLabel("Announce on").selectOption(there);
    await say(pane(page, "Client 2"), "hello");
    await shows(pane(page, "Client 1"), ["hello"]);
    expect(await pane(page, "Client 1").locator(".message .channel").textContent()).toBe(there);
  });

  test("a server that is killed and started again is found again", async () => {
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

  test("messages stay text, whatever is in them", async () => {
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

  test("a channel's name stays text, too, also in the address", async () => {
    const channel = `${unique()}<b>&"'`;
    const page = await open(`/${encodeURIComponent(channel)}`);
    expect(await page.locator(".chip bdi").allTextContents()).toEqual([channel, channel]);
    await say(pane(page, "Client 2"), "hello");
    await shows(pane(page, "Client 1"), ["hello"]);
    expect(await page.locator("b").count()).toBe(0);
  });

  test("lines of the protocol are shown where one asks", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    const one = pane(page, "Client 1");
    await one.locator(".raw > summary").click();
    await say(one, "hello");
    const lines = () => one.locator(".raw .lines summary").allTextContents();
    await expect.poll(lines, patience).toContain(`< ${channel}!hello`);
    expect(await lines()).toContain("< debug!connected...");
    expect((await lines()).some((line) => /^> once \S+ \S+ hello$/.test(line))).toBe(true);
    await one.getByText("debug!connected...").click();
    await one.getByText("The greeting: the connection is ready, and hears its channel and 'all'.").waitFor();
  });

  test("the protocol can be typed, on a connection of its own", async () => {
    const [channel, other] = [unique(), unique()];
    const page = await open(`/${channel}`);
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await one.locator(".terminal > summary").click();
    const field = one.getByLabel("A line of the protocol", { exact: true });
    const type = async (line: string) => {
      await field.fill(line);
      await field.press("Enter");
    };
    const lines = () => one.locator(".terminal summary").allTextContents();
    const answers = (line: RegExp) => expect.poll(async () => (await lines()).at(-1), patience).toMatch(line);
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
    await one.locator(".terminal summary", { hasText: "< debug!error" }).click();
    await one
      .getByText("A command was refused: an error code, the command, and why. Only this connection gets it.")
      .waitFor();
  });

  test("of very many messages the page holds the newest, and counts all", async () => {
    const channel = unique();
    const page = await open(`/${channel}`);
    await becomes(pane(page, "Client 1"), "connected");
    await say(pane(page, "Client 1"), "first");
    await shows(pane(page, "Client 1"), ["first"]);
    const body = Array.from({ length: 2_000 }, (_, number) => `line ${number}`).join("\n");
    await fetch(`${network.url}/${channel}`, { method: "POST", body });
    const one = pane(page, "Client 1");
    await expect.poll(() => one.locator(".count").textContent(), patience).toBe("2,001 messages");
    expect(await one.locator(".messages .rows > *").count()).toBe(500);
    expect(await one.locator(".message .text").last().textContent()).toBe("line 1999");
  });

  /** What stands at a place, as long as it takes. */
  const says = (page: Page, selector: string, words: RegExp) =>
    expect.poll(() => page.locator(selector).textContent(), patience).toMatch(words);

  test("a load goes on as long as one wants, and the plots and the tree show it", async () => {
    const page = await open(`/${unique()}`);
    const one = pane(page, "Client 1");
    await say(one, "before");
    await shows(one, ["before"]);
    await says(page, "#rates .now", /^\d+ received, \d+ sent$/);
    const picture = () => page.evaluate<string>("document.querySelector('#rates canvas').toDataURL()");
    const before = await picture();
    await page.getByLabel("Connections").fill("20");
    await page.getByLabel("Messages per second", { exact: true }).fill("20");
    await page.getByRole("button", { name: "Start" }).click();
    await says(page, "#load p", /^20 connected, [1-9]\d* announced, [1-9][\d,]* delivered$/);
    await says(page, "#rates .now", /^[1-9]\d{2,} received, [1-9]\d* sent$/);
    await says(page, "#latencies .now", /^[\d.]+ ms, at most [\d.]+ ms$/);
    await says(page, "#tree", /^\S+ 22 subscribers, \d+ messages? behind$/);
    expect(await picture()).not.toBe(before);
    await say(one, "still here");
    await expect.poll(() => texts(pane(page, "Client 2")), patience).toContain("still here");
    await page.getByRole("button", { name: "Stop" }).click();
    await says(page, "#tree", /^\S+ 2 subscribers, \d+ messages? behind$/);
  });

  test("three commands for this address are shown, quoted for a shell", async () => {
    const page = await open("/it's-x");
    const { host } = new URL(network.url);
    expect((await page.locator("#start pre").textContent())?.split("\n")).toEqual([
      `curl -N 'http://${host}/it'\\''s-x'`,
      `npx wscat -c 'ws://${host}/it'\\''s-x'`,
      `npx -p fanout-edge fanout sub ws://${host} 'it'\\''s-x'`,
    ]);
  });

  test("a late response about a channel doesn't replace that of one chosen later", async () => {
    const [early, late] = [unique(), unique()];
    const page = await open(`/#${early},${late}`);
    await says(page, "#tree", new RegExp(`^${early} `));
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
    await page.locator("#watched").selectOption(late);
    await says(page, "#tree", new RegExp(`^${late} `));
    const answered = page.waitForResponse(`**/-/channels/${early}`);
    answer();
    await (await answered).finished();
    expect(await page.locator("#tree").textContent()).toMatch(new RegExp(`^${late} `));
  });

  test("a token is pasted, and lets in as far as it goes", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const page = await open("/news", {}, closed.url.replace(/^ws/, "http"));
    const [one, two] = [pane(page, "Client 1"), pane(page, "Client 2")];
    await expect
      .poll(() => one.locator(".state").textContent(), patience)
      .toMatch(/401 forbidden: a token is missing/);
    const paste = async (token: string) => {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Use" }).click();
    };
    await paste(await mint(EVERYTHING));
    await say(one, "hello");
    for (const each of [one, two]) await shows(each, ["hello"]);
    await says(page, "#tree", /^It takes a token with the claim 'operate'\.$/);
    await paste(await mint({ ...EVERYTHING, operate: true }));
    await says(page, "#tree", /^news 2 subscribers, \d+ messages? behind$/);
    await say(two, "hello again");
    for (const each of [one, two]) await shows(each, ["hello", "hello again"]);
    expect(new URL(page.url()).hash).toBe("#news;news");
    expect(await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length")).toBe(
      0,
    );
  });

  /** Opens a page with all that it can show: messages, long ones too, and lines. */
  async function openFull(options: object): Promise<Page> {
    const page = await open(`/${unique()}`, options);
    const one = pane(page, "Client 1");
    await one.locator(".raw > summary").click();
    await one.getByLabel("Another channel").fill("a".repeat(100));
    await one.getByLabel("Another channel").press("Enter");
    await becomes(one, "connected");
    await say(one, "hello");
    await say(one, "long".repeat(100));
    await shows(one, ["hello", "long".repeat(100)]);
    return page;
  }

  test.each([360, 1440])("at %i pixels nothing overlaps, and nothing is beyond the edge", async (width) => {
    const page = await openFull({ viewport: { width, height: 900 } });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    expect(await page.evaluate(OVERLAPPING)).toEqual([]);
  });

  test.each(["light", "dark"] as const)("axe finds nothing serious, in %s colours", async (colorScheme) => {
    const page = await openFull({ colorScheme, reducedMotion: "reduce" });
    await pane(page, "Client 2").getByRole("button", { name: "Away for 10 s" }).click();
    await expect
      .poll(() => pane(page, "Client 2").locator(".state").textContent(), patience)
      .toContain("away");
    await page.evaluate(await readFile(AXE, "utf8"));
    const found = await page.evaluate(
      `axe.run().then(({ violations }) => violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`,
    );
    expect(found).toEqual([]);
  });

  test("everything can be done with the keyboard, and one sees where it is", async () => {
    const page = await open(`/${unique()}`);
    await becomes(pane(page, "Client 1"), "connected");
    const reached = new Set<unknown>();
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(FOCUSED));
    }
    for (const name of await page.evaluate<string[]>(CONTROLS)) expect(reached).toContain(`${name} seen`);
  });
});
