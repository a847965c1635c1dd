/**
 * `npm run probe`: compares the platform's undocumented behaviour with this project's assumptions. It probes the local
 * runtime by default; `--deploy` deploys the probe and uses that, and `--url` with `--key` uses an existing deployment.
 * Numbers select questions, and `--calls` sets the maximum number of calls per event.
 */
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { deployProbe, startLocal } from "./access.ts";
import { type Access, Platform } from "./platform.ts";
import { probe } from "./probe.ts";
import { block, HEADER } from "./table.ts";

const { values, positionals } = parseArgs({
  options: {
    deploy: { type: "boolean", default: false },
    url: { type: "string" },
    key: { type: "string", default: "" },
    calls: { type: "string", default: "1100" },
  },
  allowPositionals: true,
});
const calls = wholeIn(values.calls);
const numbers = positionals.map(wholeIn);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const isDeployed = values.deploy || values.url !== undefined;
const access = await find();
const options = { calls, onStep: (step: string) => console.error(step) };
const answers = await probe(new Platform(access, isDeployed), numbers, options);
console.log(`${access.url}\n\n${HEADER}`);
for (const answer of answers) console.log(block(answer));
if (values.deploy) console.log("\nTo remove it: npx wrangler delete -c tools/probe/wrangler.toml");
process.exit();

async function find(): Promise<Access> {
  if (values.deploy) return await deployProbe();
  if (values.url !== undefined) return { url: values.url.replace(/\/$/, ""), key: values.key };
  const folder = await temporaryFolder();
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const { access, runtime } = await startLocal(folder);
  process.prependOnceListener("exit", () => void runtime.kill());
  return access;
}

/** @throws Error unless a text is a positive integer */
function wholeIn(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${text} is not a positive integer`);
  return Number(text);
}
