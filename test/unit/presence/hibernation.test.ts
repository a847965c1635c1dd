/** What an object reports of its members after hibernation. */
import { expect, test } from "vitest";
import type { PresenceAnswer, PresenceReport } from "../../../src/runtime/calls.ts";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";

/** An object with two members that hibernates, and whose authority the test controls. */
async function hibernating() {
  const rows = new Map<string, unknown>();
  const reports: PresenceReport[] = [];
  const state = { answers: true };
  const present = async (_: string, report: PresenceReport): Promise<PresenceAnswer> => {
    reports.push(structuredClone(report));
    if (!state.answers) throw new Error("no answer");
    return { refused: [], position: 1, isNew: false };
  };
  let timers: (() => void)[] = [];
  const platform = { after: (_: number, act: () => void) => void timers.push(act) };
  const wake = (...hibernated: ClientSocket[]) => {
    timers = [];
    return objectOf({ rows, others: { present }, hibernated, platform });
  };
  /** Lets quiet seconds pass, after which the object may hibernate. */
  const rest = async () => {
    for (let second = 0; second < 20; second++) {
      for (const act of timers.splice(0)) act();
      await settled();
    }
  };
  const first = wake();
  const sockets = [await first.open(), await first.open()];
  for (const [i, socket] of sockets.entries()) first.broker.received(socket, `enter room m${i}`);
  await settled();
  await rest();
  /** Wakes the object by a command. */
  const wakeWith = async (...hibernated: ClientSocket[]) => {
    reports.length = 0;
    const woken = wake(...hibernated);
    for (const socket of hibernated.slice(0, 1)) woken.broker.received(socket, "ping");
    await settled();
    return woken;
  };
  return { state, reports, rows, sockets, wakeWith, rest };
}

const membersOf = ({ present }: PresenceReport) => present.map(({ member }) => member);

test("an object that wakes with all of its connections has nothing to report", async () => {
  const { reports, sockets, wakeWith } = await hibernating();
  await wakeWith(...sockets);
  expect(reports).toEqual([]);
});

test("after it woke, only changes are reported", async () => {
  const { reports, sockets, wakeWith } = await hibernating();
  const { broker } = await wakeWith(...sockets);
  const [one] = sockets;
  if (one) broker.received(one, "leave room");
  await settled();
  expect(reports).toMatchObject([{ present: [], gone: [{ member: "m0", left: true }] }]);
  expect(reports[0]?.after).toBeDefined();
});

test("an object that wakes without some of its connections lists the members that are left", async () => {
  const { reports, sockets, wakeWith } = await hibernating();
  await wakeWith(...sockets.slice(0, 1));
  expect(reports.map((report) => [report.after, membersOf(report)])).toEqual([[undefined, ["m0"]]]);
});

test("an object that crashed lists no members, so that those before have ended", async () => {
  const { reports, wakeWith } = await hibernating();
  const { broker } = await wakeWith();
  broker.opened(new ClientSocket(), "");
  await settled();
  expect(reports.map((report) => [report.after, membersOf(report)])).toEqual([[undefined, []]]);
});

test("what the authority didn't learn before hibernation is reported afterwards", async () => {
  const { state, reports, sockets, wakeWith, rest } = await hibernating();
  const { broker } = await wakeWith(...sockets);
  state.answers = false;
  const [one] = sockets;
  if (one) broker.received(one, "enter room m0 data");
  await settled();
  await rest();
  state.answers = true;
  const { broker: woken, clock } = await wakeWith(...sockets);
  clock.now += 700_000;
  woken.alarmed();
  await settled();
  expect(reports.length).toBeGreaterThan(0);
  expect(reports[0]?.after).toBeUndefined();
  expect(reports.flatMap(membersOf)).toEqual(expect.arrayContaining(["m0", "m1"]));
});
