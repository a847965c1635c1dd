/** Reports that an authority refuses as late. */
import { expect, test } from "vitest";
import type { PresenceAnswer, PresenceReport } from "../../../src/runtime/calls.ts";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

const LATER = 30_000;

test("a client that leaves while it changes its name leaves under the old one, even if the report was late", async () => {
  const reports: PresenceReport[] = [];
  const refusals: number[] = [];
  const present = (_: string, report: PresenceReport): Promise<PresenceAnswer> => {
    reports.push(report);
    const newer = refusals.pop();
    return Promise.resolve(
      newer === undefined ? { refused: [], position: 1, isNew: false } : { newer, known: report.after ?? 0 },
    );
  };
  const { broker, open } = objectOf({ others: { present } });
  const socket = await open();
  broker.received(socket, "enter room ann");
  await settled();
  expect(reports).toMatchObject([{ present: [{ member: "ann" }], gone: [] }]);
  // The authority has started again, and its clock is ahead.
  refusals.push(LATER);
  broker.received(socket, "enter room bob");
  broker.closed(socket);
  await settled();
  expect(reports.flatMap(({ present }) => present.map(({ member }) => member))).toEqual(["ann"]);
  expect(reports.at(-1)).toMatchObject({ number: LATER + 1, gone: [{ member: "ann", left: false }] });
});
