/**
 * `npm run bench`: compares this project's fan-out with an object that loops over its sockets, and with a native server,
 * on one machine, in the bare runtime.
 */
import { rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { Crowds, contest } from "./contest.ts";
import { reportHttp } from "./http.ts";
import { reportSpeed } from "./presence.ts";
import { report } from "./reconnects.ts";
import { each, type Row, rowsFor, subscribers } from "./rows.ts";
import { type Servers, startServers, versions } from "./servers.ts";
import { block, HEADER, percent } from "./table.ts";

const CEILING = { subscribers: 1000, window: 1024 };

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
});
const pace = values.quick ? { rounds: 1, milliseconds: 300 } : { rounds: 3, milliseconds: 1_200 };
const began = performance.now();

const folder = await temporaryFolder();
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

progress("starting the servers");
const servers = await startServers(folder);
const crowds = new Crowds();

const load = loadavg().map((value) => value.toFixed(1));
console.log(`${await versions()}\n${availableParallelism()} x ${cpus()[0]?.model}, load ${load.join(" ")} before`);
if (!servers.nats) console.log("nats-server isn't installed, and is left out.");
await ceiling(servers);
console.log(HEADER);
for (const row of selected(rowsFor(servers, values.quick))) await measure(row);
if (positionals.length === 0) {
  await withoutWebSocket();
  await returns();
  await membersComeAndGo(values.quick ? 200 : 1_000);
}
progress("");
console.log(`\nTook ${Math.round((performance.now() - began) / 1000)} s.`);
process.exit();

/** Returns the rows given by number; by default all. */
function selected(rows: Row[]): Row[] {
  if (positionals.length === 0) return rows;
  return rows.filter(({ number }) => positionals.includes(String(number)));
}

/** Prints the results of mass reconnects. */
async function returns(): Promise<void> {
  crowds.close();
  progress("mass reconnects");
  console.log();
  const size = values.quick
    ? { subscribers: 500, objects: 5, channels: 100 }
    : { subscribers: 4_000, objects: 10, channels: 1_000 };
  for await (const line of report(size)) console.log(line);
}

/** Prints the results of HTTP. */
async function withoutWebSocket(): Promise<void> {
  crowds.close();
  progress("by HTTP");
  console.log();
  for await (const line of reportHttp(values.quick ? 500 : 2_000)) console.log(line);
}

/** Prints how fast a channel is while its members come and go. */
async function membersComeAndGo(members: number): Promise<void> {
  progress("presence");
  console.log();
  for await (const line of reportSpeed(members)) console.log(line);
}

async function measure(row: Row): Promise<void> {
  const onStep = (step: string) => progress(`row ${row.number}: ${step}`);
  const outcomes = await contest(row.contenders, crowds, pace, row.apart ?? false, onStep);
  progress("");
  console.log(block(row, outcomes));
}

async function ceiling({ bare }: Servers): Promise<void> {
  const contenders = each([bare], subscribers(CEILING.subscribers), CEILING.window);
  const [outcome] = await contest(contenders, crowds, { ...pace, rounds: 1 }, true, progress);
  if (!outcome) return;
  progress("");
  console.log(
    `Limit of the load generator, with a process that does nothing but send: ` +
      `${Math.round(outcome.rate).toLocaleString("en-US")} deliveries/s ` +
      `(generator ${percent(outcome.generatorCpu)}, sender ${percent(outcome.serverCpu)} of a core)`,
  );
}

/** Shows the current step in a line that the next one overwrites. */
function progress(step: string): void {
  const clear = process.stderr.isTTY ? "\r\x1b[K" : "";
  const end = process.stderr.isTTY || step === "" ? "" : "\n";
  process.stderr.write(`${clear}${step}${end}`);
}
