/** What an object knows of its reports while it hibernates is in the attachment of one connection. */
import { expect, test } from "vitest";
import type { PresenceReport } from "../../../src/runtime/calls.ts";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

test("if the connection with the newest report ends during hibernation, all members are reported", async () => {
  const reports: PresenceReport[] = [];
  const others = {
    present: async (_: string, report: PresenceReport) => {
      reports.push(report);
      return { refused: [], position: 1, isNew: false };
    },
  };
  const rows = new Map<string, unknown>();
  const timers: (() => void)[] = [];
  const platform = { after: (_: number, act: () => void) => void timers.push(act) };
  const { broker, open } = objectOf({ others, rows, platform });
  const sockets = [await open(), await open()];
  for (const [i, socket] of sockets.entries()) broker.received(socket, `enter room member-${i}`);
  await settled();
  for (let second = 0; second < 5; second++) {
    for (const act of timers.splice(0)) act();
    await settled();
  }
  const remaining = sockets.filter(({ attachment }) => !JSON.stringify(attachment).includes("reports"));
  expect(remaining).toHaveLength(1);
  reports.length = 0;
  objectOf({ others, rows, hibernated: remaining }).broker.alarmed();
  await settled();
  expect(reports).toMatchObject([{ after: undefined, present: [{ data: "" }] }]);
  reports.length = 0;
  objectOf({ others, rows, hibernated: sockets }).broker.alarmed();
  await settled();
  expect(reports).toEqual([]);
});
