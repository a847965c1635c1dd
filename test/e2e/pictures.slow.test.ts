/** Screenshots for the README. `PICTURES=1` stores them in docs/. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

const browser = find("chromium", "apt-get install chromium");

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));

/** Has two clients enter, and breaks one's connection, so that it misses and then resumes a message. */
async function talk(page: Page): Promise<void> {
  const client = (name: string) => page.getByRole("region", { name, exact: true });
  const [ann, bob] = [client("Client 1"), client("Client 2")];
  const announce = async (one: typeof ann, other: typeof ann, text: string) => {
    await one.getByLabel("Message", { exact: true }).fill(text);
    await one.getByLabel("Message", { exact: true }).press("Enter");
    await other.getByText(text, { exact: true }).waitFor();
  };
  const enter = async (one: typeof ann, member: string, data: string) => {
    await one.getByLabel("Member name").fill(member);
    await one.getByLabel("Member data").fill(data);
    await one.getByLabel("Member data").press("Enter");
    await bob.locator(".member", { hasText: member }).waitFor();
  };
  for (const one of [ann, bob]) await one.getByText("connected", { exact: true }).waitFor();
  await enter(ann, "ann", '{"track":7}');
  await enter(bob, "bob", "");
  await announce(ann, bob, "The train leaves from platform 7.");
  await announce(bob, ann, "Thank you!");
  await bob.getByRole("button", { name: "Cut connection" }).click();
  await announce(ann, ann, "It leaves five minutes late.");
  await bob.getByText("delivered on resume").waitFor();
}

test.skipIf(!browser).each(["light", "dark"] as const)("a screenshot is taken in %s colours", async (colorScheme) => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const runtime = await serveInTest();
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage({ viewport: { width: 1_200, height: 1_160 }, colorScheme });
  await page.goto(`${runtime.url.replace(/^ws/, "http")}/trains`);
  await talk(page);
  const target = process.env.PICTURES ? DOCS : folder;
  await mkdir(target, { recursive: true });
  const picture = await page.screenshot({ path: join(target, `console-${colorScheme}.png`) });
  expect(picture.length).toBeGreaterThan(10_000);
});
