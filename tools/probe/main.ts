/**
 * `npm run probe`: what the platform does that no document says, beside what this project assumes. It asks
 * the runtime on this machine; with `--deploy` it deploys the probe and asks that, and with `--url` and
 * `--key` one that is deployed already. What is named by its number is asked alone; `--calls` is how many
 * calls one event makes at most.
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

/** @throws Error unless a text is a whole number above 0 */
function wholeIn(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${text} is not a number of anything here`);
  return Number(text);
}
