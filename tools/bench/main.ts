/**
 * `npm run bench`: compares this project's fan-out with an object that loops over its sockets, and with other projects'
 * servers, on one machine, in the bare runtime. Prints Markdown; with `--write`, also replaces the figures and plots of `docs/performance.md`.
 */
import { rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { reportClient } from "./client.ts";
import { Crowds, contest } from "./contest.ts";
import { reportHttp } from "./http.ts";
import { type Measured, plot, THEMES } from "./plot.ts";
import { reportSpeed } from "./presence.ts";
import { report } from "./reconnects.ts";
import { each, type Row, rowsFor, subscribers } from "./rows.ts";
import { CONFIGURATIONS, type Servers, startServers, versions } from "./servers.ts";
import { block, markdown, percent, rate } from "./table.ts";

/** The document, and what its figures begin and end with. */
const DOCUMENT = new URL("../../docs/performance.md", import.meta.url);
const FIGURES = /(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)/s;

/** All but `bare`, which doesn't change. */
const HTTP_PARTS = ["posts", "commits", "memory", "rates", "frame"];

const CEILING = { subscribers: 1000, window: 1024 };

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false }, write: { type: "boolean", default: false } },
  allowPositionals: true,
});
if (values.write && (values.quick || positionals.length > 0)) {
  console.error("--write takes all rows, and no --quick");
  process.exit(1);
}
const rounds = 3;
const pace = { rounds, milliseconds: values.quick ? 200 : 1_200 };
const began = performance.now();

const folder = await temporaryFolder();
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

progress("starting the servers");
const servers = await startServers(folder);
const crowds = new Crowds();

const printed: string[] = [];
const load = loadavg().map((value) => value.toFixed(1));
show(`${await versions()}; ${availableParallelism()} x ${cpus()[0]?.model}, load ${load.join(" ")} before.\n`);
show(markdown([["server", "configuration and durability"], ...CONFIGURATIONS]));
await ceiling(servers);
const measured: Measured[] = [];
for (const row of selected(rowsFor(servers, values.quick))) measured.push(await measure(row));
crowds.close();
if (positionals.length === 0) {
  await print("Requests and event streams", reportHttp(values.quick ? 500 : 2_000, HTTP_PARTS));
  await print("The client library and the command line", reportClient(rounds));
  const few = { subscribers: 500, objects: 5, channels: 100 };
  const many = { subscribers: 8_000, objects: 10, channels: 1_000 };
  await print("Mass reconnects", report(values.quick ? few : many, values.quick ? 1 : rounds));
  await print("Presence", reportSpeed(values.quick ? 200 : 1_000));
}
if (values.write) await write();
progress("");
console.log(`\nTook ${Math.round((performance.now() - began) / 1000)} s.`);
process.exit();

/** Returns the rows given by number; by default all. */
function selected(rows: Row[]): Row[] {
  if (positionals.length === 0) return rows;
  return rows.filter(({ number }) => positionals.includes(String(number)));
}

/** Prints results as they come, as a list. */
async function print(title: string, lines: AsyncIterable<string>): Promise<void> {
  progress(title);
  show(`\n**${title}**\n`);
  for await (const line of lines) show(line.replace(/^ */, "$&- "));
}

async function measure(row: Row): Promise<Measured> {
  const onStep = (step: string) => progress(`row ${row.number}: ${step}`);
  const { milliseconds = pace.milliseconds, apart = false } = row;
  const outcomes = await contest(row.contenders, crowds, { ...pace, milliseconds }, apart, onStep);
  progress("");
  show(block(row, outcomes));
  return { row, outcomes };
}

function show(text: string): void {
  console.log(text);
  printed.push(text);
}

async function write(): Promise<void> {
  const document = await readFile(DOCUMENT, "utf8");
  await writeFile(
    DOCUMENT,
    document.replace(FIGURES, () => `\n${printed.join("\n")}\n\n`),
  );
  for (const [theme, colors] of Object.entries(THEMES)) {
    const file = new URL(`../../docs/performance-${theme}.svg`, import.meta.url);
    await writeFile(file, plot(measured, colors));
  }
}

async function ceiling({ bare }: Servers): Promise<void> {
  const contenders = each([bare], subscribers(CEILING.subscribers), CEILING.window);
  const [outcome] = await contest(contenders, crowds, { ...pace, rounds: 1 }, true, progress);
  if (!outcome) return;
  progress("");
  show(
    `\nLimit of the load generator, with a process that does nothing but send: ` +
      `${rate(outcome.rate)} deliveries/s ` +
      `(generator ${percent(outcome.generatorCpu)}, sender ${percent(outcome.serverCpu)} of a core).`,
  );
}

/** Shows the current step in a line that the next one overwrites. */
function progress(step: string): void {
  const clear = process.stderr.isTTY ? "\r\x1b[K" : "";
  const end = process.stderr.isTTY || step === "" ? "" : "\n";
  process.stderr.write(`${clear}${step}${end}`);
}
