/** The members at one object: what it reports, what the authority has answered, and their memory. */
import { expect, test } from "vitest";
import { PresentMembers } from "../../../src/presence/present-members.ts";
import { ClientSocket, connectionsOf } from "../sockets.ts";

/** Memory of a channel, and of a member besides its name and data, in bytes. */
const [CHANNEL, MEMBER] = [1_000, 300];

function newChannel() {
  const memory = { bytes: 0 };
  const connections = connectionsOf();
  const connect = () => connections.accept(new ClientSocket(), undefined);
  return { channel: new PresentMembers("room", memory), memory, connect };
}

/** Reports, and has the authority accept the report except for refused members. */
function answer(channel: PresentMembers, number: number, refused: string[] = []) {
  const report = channel.report("home", number);
  channel.answered(report, refused);
  return report;
}

test("memory counts names and data, and none is left in the end", () => {
  const { channel, memory, connect } = newChannel();
  const [one, two] = [connect(), connect()];
  channel.add(one, "ann", "1234");
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 7);
  channel.add(two, "ann", "1234567");
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 10);
  channel.restoreData("ann", "1234567", "1");
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 4);
  answer(channel, 5);
  channel.remove(one, "ann", true);
  channel.remove(two, "ann", true);
  // The authority has yet to learn that the member is gone.
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 3);
  answer(channel, 6);
  expect(memory.bytes).toBe(CHANNEL);
  channel.end();
  expect(memory.bytes).toBe(0);
});

test("a member that comes back before the authority has learned that it was gone counts once", () => {
  const { channel, memory, connect } = newChannel();
  const connection = connect();
  channel.add(connection, "ann", "");
  answer(channel, 5);
  channel.remove(connection, "ann", false);
  channel.add(connection, "ann", "");
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 3);
  expect(channel.report("home", 6)).toMatchObject({ present: [{ member: "ann" }], gone: [] });
});

test("after the first answer, reports list only changes, with the number of the report that first had each", () => {
  const { channel, connect } = newChannel();
  channel.add(connect(), "ann", "");
  expect(channel.report("home", 5)).toMatchObject({ after: undefined, present: [{ member: "ann", change: 5 }] });
  expect(channel.report("home", 6)).toMatchObject({ after: undefined, present: [{ member: "ann", change: 5 }] });
  answer(channel, 7);
  channel.add(connect(), "bob", "");
  expect(channel.report("home", 8)).toMatchObject({ after: 7, present: [{ member: "bob", change: 8 }] });
  channel.doubt();
  const { after, present } = channel.report("home", 9);
  expect([after, present.map(({ member }) => member)]).toEqual([undefined, ["ann", "bob"]]);
});

test("a member that is gone is reported as gone since the first report of it", () => {
  const { channel, connect } = newChannel();
  const connection = connect();
  channel.add(connection, "ann", "");
  answer(channel, 5);
  channel.remove(connection, "ann", true);
  for (const number of [6, 7]) {
    expect(channel.report("home", number).gone).toEqual([{ member: "ann", left: true, change: 6 }]);
  }
});

test("a report lists at most 1,000 members that the authority can't know, and the next one the others", () => {
  const { channel, connect } = newChannel();
  for (let i = 0; i < 1_003; i++) channel.add(connect(), `m${i}`, "");
  expect(answer(channel, 5).present).toHaveLength(1_000);
  expect(answer(channel, 6).present.map(({ member }) => member)).toEqual(["m1000", "m1001", "m1002"]);
  expect(channel.hasChanged).toBe(false);
});

test("a member that the authority refuses isn't known, and is gone without another report", () => {
  const { channel, memory, connect } = newChannel();
  const connection = connect();
  channel.add(connection, "ann", "");
  answer(channel, 5, ["ann"]);
  expect(channel.refusedConnectionsOf("ann")).toEqual([connection]);
  channel.add(connect(), "bob", "");
  answer(channel, 6);
  expect(channel.refusedConnectionsOf("bob")).toEqual([]);
  channel.remove(connection, "ann", false);
  expect(channel.report("home", 7).gone).toEqual([]);
  expect(memory.bytes).toBe(CHANNEL + MEMBER + 3);
});

test("a channel that hibernated with an answered report has nothing to report, unless connections have ended", () => {
  const { channel, connect } = newChannel();
  channel.restore(connect(), { member: "ann", data: "", at: 1 });
  expect(channel.restoreAnswered({ number: 5, connections: 1 })).toBe(true);
  expect([channel.isKnownAt(5), channel.answeredReport]).toEqual([true, { number: 5, connections: 1 }]);
  expect(channel.restoreAnswered({ number: 5, connections: 2 })).toBe(false);
});

test("a change that was carried out loses its number, and one that was refused keeps it", () => {
  const { channel, connect } = newChannel();
  channel.add(connect(), "ann", "");
  channel.add(connect(), "bob", "");
  answer(channel, 5, ["ann"]);
  channel.doubt();
  const listed = channel.report("home", 6).present.map(({ member, change }) => [member, change]);
  expect(listed).toEqual([
    ["ann", 5],
    ["bob", 1],
  ]);
});
