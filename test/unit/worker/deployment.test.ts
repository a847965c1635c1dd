/** The deployment's configuration runs on the free plan, and contains no secret. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { configurationOf } from "../../../src/cli/deploy/templates.ts";
import { readSettings } from "../../../src/worker/settings.ts";
import { SECRET } from "../../runtime/support/mint.ts";

const configuration = await fileOf("wrangler.toml");

function fileOf(path: string): Promise<string> {
  return readFile(new URL(`../../../${path}`, import.meta.url), "utf8");
}

/** Returns all quoted values of a setting. */
function named(name: string): string[] {
  const settings = [...configuration.matchAll(new RegExp(`^${name} = (.*)$`, "gm"))];
  return settings.flatMap(([, value = ""]) => [...value.matchAll(/"(.*?)"/g)].map(([, word = ""]) => word));
}

test("limits aren't set, because they need a paid plan", () => {
  expect(configuration).not.toMatch(/^ *(?:\[.*\blimits\b.*\]|limits\b.*=)/m);
});

test("every class uses SQLite storage, as the free plan requires", () => {
  expect(named("class_name")).not.toEqual([]);
  expect(named("new_sqlite_classes").sort()).toEqual(named("class_name").sort());
  expect(configuration).not.toMatch(/^ *new_classes\b/m);
});

test("the Worker notices clients that disconnect, and doesn't compress", () => {
  const flags = ["enable_request_signal", "no_web_socket_compression"];
  expect(named("compatibility_flags").sort()).toEqual(flags);
});

test("the instructions for mounting, and the file of fanout deploy, list this Worker's whole configuration", async () => {
  const [, told = ""] = /^```toml\n(compatibility_date.*?)^```/ms.exec(await fileOf("src/worker/README.md")) ?? [];
  const [shared = ""] = configuration.split("# Settings; docs/settings.md");
  const own = ["name = ", "main = ", "[build]", "command = ", "watch_dir = ", "[dev]", "port = "];
  const needed = shared.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const lines = needed.filter((line) => !own.some((start) => line.startsWith(start)));
  lines.push('name = "CHANNEL"');
  expect(lines.length).toBeGreaterThan(10);
  const written = [configurationOf("chat", false), configurationOf("chat", true)];
  for (const text of [told, await fileOf("examples/mounted/wrangler.toml"), ...written]) {
    const configured = text.split("\n").map((line) => line.replace(/ #.*/, ""));
    for (const line of lines) expect(configured).toContain(line);
  }
});

test("the example of secrets names the settings, and sets none", async () => {
  const lines = (await fileOf(".dev.vars.example")).split("\n");
  expect(lines.filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  const names = lines.flatMap((line) => /^# (\w+)=$/.exec(line)?.[1] ?? []);
  expect(names).toEqual(["TOKEN_SECRET"]);
  for (const name of names) expect(readSettings({ [name]: SECRET }).tokens).toEqual({ secret: SECRET });
});

test("git ignores secrets, but not their example", async () => {
  const ignored = (await fileOf(".gitignore")).split("\n");
  expect(ignored).toEqual(expect.arrayContaining([".dev.vars*", "!.dev.vars.example"]));
});
