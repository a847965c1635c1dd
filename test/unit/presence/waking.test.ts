/** What an object reports of its members when it wakes. */
import { expect, test } from "vitest";
import type { PresenceAnswer, PresenceReport } from "../../../src/runtime/calls.ts";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

test("an object that can't tell whether connections ended while it hibernated lists all members again", async () => {
  const reports: PresenceReport[] = [];
  const present = (_: string, report: PresenceReport): Promise<PresenceAnswer> => {
    reports.push(report);
    return Promise.resolve({ refused: [], position: 1, isNew: false });
  };
  const rows = new Map<string, unknown>();
  const before = objectOf({ others: { present }, rows });
  const [ended, open] = [await before.open(), await before.open()];
  before.broker.received(ended, "enter room ann");
  before.broker.received(open, "enter room bob");
  await settled();
  reports.length = 0;
  // What it knew of its last report was in the attachment of the connection that has ended.
  objectOf({ others: { present }, rows, hibernated: [open] }).broker.received(open, "ping");
  await settled();
  expect(reports).toMatchObject([{ after: undefined, present: [{ member: "bob" }], gone: [] }]);
});
