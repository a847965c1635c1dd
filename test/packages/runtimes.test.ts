/** The client library in each JavaScript runtime. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { type Served, serve } from "../e2e/support/serve.ts";

let runtime: Served;

beforeAll(async () => {
  runtime = await serve();
  return runtime.end;
});

test.each([
  ["node", "../../node_modules/.bin/node", []],
  ["bun", "node_modules/.bin/bun", []],
  ["deno", "node_modules/.bin/deno", ["run", "--quiet", "--allow-net"]],
])("the client subscribes and announces in %s", async (name, path, options) => {
  const script = fileURLToPath(new URL("../e2e/support/client-script.ts", import.meta.url));
  const command = fileURLToPath(new URL(path, import.meta.url));
  const { stdout } = await promisify(execFile)(command, [...options, script, runtime.url, `chat-${name}`]);
  expect(stdout.trim().split("\n")).toEqual(["hello", "again", "1"]);
});
