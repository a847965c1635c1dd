/** The dashboard, the alerts and the runbook know every metric, log line and close reason of the code, and no others. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { ServiceFigures } from "../../../src/runtime/calls.ts";
import { infoOf } from "../../../src/stats/info.ts";
import { formatMetrics } from "../../../src/stats/metrics.ts";
import { CLOSED, LOGGED, WORKER_FAILURES } from "../../../src/stats/tally.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { find } from "../../e2e/support/tools.ts";

const promtool = find("promtool", "apt-get install prometheus");

/** Metrics that the dashboard leaves out on purpose. */
const LEFT_OUT: string[] = [];

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  targets?: { refId: string; expr: string; legendFormat: string }[];
}

interface Dashboard {
  uid: string;
  templating: { list: { name: string; type: string }[] };
  panels: Panel[];
}

const docs = new URL("../../../docs/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, docs), "utf8");
const runbook = read("runbook.md");
const alerts = read("alerts.yml");
const dashboard: Dashboard = JSON.parse(read("grafana.json"));
const exprs = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

const figures: ServiceFigures = {
  ...{ since: 0, peak: 0, connections: 0, channels: 0, subscriptions: 0, requested: 0, objects: 0, unreachable: 0 },
  totals: noTotals(),
};
const samples = formatMetrics(figures);
const METRICS = [...samples.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name);

/** Returns the metrics that a text names. */
function metricsIn(text: string): string[] {
  return [...new Set([...text.matchAll(/\bfanout_\w+/g)].map(([name]) => name))].sort();
}

test("the dashboard shows every metric that the server has, and no others", () => {
  const expected = METRICS.filter((name) => !LEFT_OUT.includes(name)).sort();
  expect(metricsIn(exprs.join("\n"))).toEqual(expected);
});

test("the dashboard has labels that exist, a data source to choose, and stable ids", () => {
  for (const expr of exprs) {
    const [name = ""] = metricsIn(expr);
    const labels = [...expr.matchAll(/by \(([\w,]+)\)/g)].flatMap(([, list = ""]) => list.split(","));
    for (const label of labels) {
      expect(samples, expr).toMatch(new RegExp(`^${name}\\{(.*,)?${label}="`, "m"));
    }
    for (const [, label = "", values = ""] of expr.matchAll(/(reason|code|kind|outcome)!?=~?"([^"]+)"/g)) {
      for (const value of values.split("|")) expect(samples, expr).toContain(`${label}="${value}"`);
    }
  }
  expect(dashboard.uid).toBe("fanout");
  expect(dashboard.templating.list).toMatchObject([{ name: "datasource", type: "datasource" }, { name: "job" }]);
  const ids = dashboard.panels.map(({ id }) => id);
  expect(ids).toEqual(ids.map((_, i) => i + 1));
  const rows = dashboard.panels.filter(({ type }) => type === "row").map(({ title }) => title);
  expect(rows).toEqual(["Use", "Delivery", "Failures", "Costs", "Presence", "Access"]);
  for (const { type, description, targets = [] } of dashboard.panels) {
    if (type !== "row") expect([description, targets.length]).toEqual([expect.any(String), expect.any(Number)]);
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
  }
});

test.skipIf(!promtool)("Prometheus accepts every query of the dashboard", () => {
  const folder = mkdtempSync(join(tmpdir(), "fanout-queries-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const queries = exprs.map((expr) => expr.replaceAll("$__rate_interval", "5m").replaceAll("$job", ".*"));
  const rules = queries.map((expr, i) => ({ record: `query:${i}`, expr }));
  // JSON is YAML.
  writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "queries", rules }] }));
  expect(ran("check", "rules", join(folder, "rules.yml"))).toContain("SUCCESS");
});

test.skipIf(!promtool)("Prometheus accepts the alerts, and each fires when it should, and not otherwise", () => {
  expect(ran("check", "rules", fileURLToPath(new URL("alerts.yml", docs)))).toContain("SUCCESS");
  const tests = fileURLToPath(new URL("alerts.test.yml", import.meta.url));
  expect(ran("test", "rules", tests)).toContain("SUCCESS");
  const tested = readFileSync(tests, "utf8");
  for (const [, alert = ""] of alerts.matchAll(/- alert: (\w+)/g)) {
    expect(tested, alert).toMatch(new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`));
    expect(tested, alert).toMatch(new RegExp(`alertname: ${alert}\\n\\s+exp_alerts: \\[\\]`));
  }
});

/** Runs promtool, and returns its output. */
function ran(...words: string[]): string {
  return execFileSync(promtool ?? "", words, { encoding: "utf8" });
}

test("alerts use metrics, labels and sections of the runbook that exist", () => {
  for (const name of metricsIn(alerts)) expect(METRICS).toContain(name);
  for (const [, label = "", values = ""] of alerts.matchAll(/(reason|code|kind|outcome)!?=~?"([^"]+)"/g)) {
    for (const value of values.split("|")) expect(samples).toContain(`${label}="${value}"`);
  }
  const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title = ""]) => title);
  const anchors = sections.map((title) => title.toLowerCase().replaceAll(".", "").replaceAll(" ", "-"));
  const linked = [...alerts.matchAll(/runbook: docs\/runbook\.md#(\S+)/g)].map(([, anchor = ""]) => anchor);
  expect(linked).toHaveLength([...alerts.matchAll(/- alert:/g)].length);
  for (const anchor of linked) expect(anchors).toContain(anchor);
});

test("each figure of `info` has the value of the metric that docs/operations.md names", () => {
  const counted: ServiceFigures = {
    ...{ since: 0, peak: 1, connections: 2, channels: 3, subscriptions: 4, requested: 5, objects: 6, unreachable: 7 },
    totals: {
      ...{ rejected: 8, connections: 9, announcements: 10, messages: 11, subscribes: 12, unsubscribes: 13, pings: 14 },
    },
  };
  const [, table = ""] = /^\| `info` \| metric \|\n(.*?)\n\n/ms.exec(read("operations.md")) ?? [];
  const rows = [...table.matchAll(/^\| `(.+)` \| `(\w+)` \|$/gm)];
  const info = infoOf(counted, 0, 0);
  for (const [, figure = "", metric = ""] of rows) {
    expect(formatMetrics(counted), figure).toContain(`\n${metric} ${info[figure]}\n`);
  }
  // Estimates and settings have no metric.
  const others = ["uptime", "client-limit", "max connections", "user-requested subscriptions"];
  expect([...rows.map(([, figure]) => figure), ...others].sort()).toEqual(Object.keys(info).sort());
});

test("the runbook explains every metric, and no others", () => {
  expect(metricsIn(runbook)).toEqual([...METRICS].sort());
});

test("the runbook explains every line of the log, and every reason for closing connections", () => {
  const lines = [...LOGGED, ...WORKER_FAILURES.map((kind) => `failures.${kind}`), "failures.settings"];
  for (const line of lines) expect(runbook).toContain(`\`${line}\``);
  const named = [...runbook.matchAll(/`((?:closes|refused|failures|rows|resumes)\.\w+)`/g)].map(([, line]) => line);
  for (const line of named) expect(lines).toContain(line);
  const [, section = ""] = /^## 2\.(.*?)^## 3\./ms.exec(runbook) ?? [];
  const reasons = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason);
  expect(reasons.toSorted()).toEqual([...CLOSED].sort());
  for (const [, reason = "", code = ""] of section.matchAll(/^\| `(\w+)` \| `closes.+?` \| `([a-z-]+)` \|/gm)) {
    expect(samples).toContain(`reason="${reason}",code="${code}"`);
  }
});
