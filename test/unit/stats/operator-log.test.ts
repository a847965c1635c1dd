import { expect, test } from "vitest";
import { operatorLog } from "../../../src/stats/operator-log.ts";

test("events that operators look for are logged at most every ten seconds, with their number; other events never are", () => {
  const logged: unknown[] = [];
  let now = 0;
  const log = operatorLog({ log: (event) => void logged.push(event), now: () => now });
  for (let i = 0; i < 5; i++) log("closes.slow");
  log("failures.deliver");
  for (const name of ["closes.client", "refused.invalid", "calls.deliver", "rows"] as const) log(name);
  expect(logged.splice(0)).toEqual([
    { event: "closes.slow", times: 1, reason: "slow", code: "unavailable" },
    { event: "failures.deliver", times: 1, kind: "deliver", code: "unavailable" },
  ]);
  now = 10_000;
  log("closes.slow");
  expect(logged).toEqual([{ event: "closes.slow", times: 5, reason: "slow", code: "unavailable" }]);
});

test("the log says why storage rejected rows", () => {
  const logged: unknown[] = [];
  const refusal = () => "Error: exceeded allowed rows";
  const log = operatorLog({ log: (event) => void logged.push(event), now: () => 0, refusal });
  for (let i = 0; i < 1_000; i++) log("rows.refused");
  log("closes.slow");
  expect(logged).toEqual([
    { event: "rows.refused", times: 1, code: "unavailable", cause: "Error: exceeded allowed rows" },
    { event: "closes.slow", times: 1, reason: "slow", code: "unavailable" },
  ]);
});
