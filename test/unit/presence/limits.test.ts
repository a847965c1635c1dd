/** What an object refuses about members, and the connection that the runtime can't keep. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

/** An object whose authorities accept every report. */
function objectWithMembers() {
  const present = async () => ({ refused: [], position: 1, isNew: false });
  return objectOf({ others: { present }, limits: { linesPerSecond: 1_000_000 } });
}

type Made = ReturnType<typeof objectWithMembers>;

/** Sends commands over a new connection, and returns the errors among its replies. */
async function errorsOf({ broker, open }: Made, commands: readonly string[]): Promise<string[]> {
  const socket = await open();
  broker.received(socket, commands.join("\n"));
  for (let turn = 0; turn < 10; turn++) await settled();
  return socket.text.split("\n").filter((line) => line.startsWith("debug!error"));
}

test("a connection changes members at most 20 times per second", { tags: ["members-rate"] }, async () => {
  const made = objectWithMembers();
  const changes = Array.from({ length: 22 }, (_, i) => `enter room ann ${i}`);
  const rate = "debug!error rate enter room: a connection enters, leaves and lists members at most 20 times per second";
  expect(await errorsOf(made, changes)).toEqual([`${rate}; try again`, `${rate}; try again`]);
  expect(await errorsOf(made, changes.slice(2))).toEqual([]);
});

test("the connections of an object change members at most 5,000 times per second", {
  tags: ["members-rate"],
}, async () => {
  const made = objectWithMembers();
  const changes = Array.from({ length: 20 }, (_, i) => `enter room ann ${i}`);
  for (let i = 0; i < 250; i++) expect(await errorsOf(made, changes)).toEqual([]);
  const [error] = await errorsOf(made, changes.slice(0, 1));
  expect(error).toBe("debug!error rate enter room: too many members enter and leave at once; try again");
  made.clock.now += 1_000;
  expect(await errorsOf(made, changes)).toEqual([]);
});

test("what a connection has entered has at most 15,000 bytes", { tags: ["members-of-connection"] }, async () => {
  const made = objectWithMembers();
  const enter = Array.from({ length: 13 }, (_, i) => `enter room-${i} ann ${"x".repeat(1_024)}`);
  expect(await errorsOf(made, enter)).toEqual([]);
  const one = `enter more ann ${"x".repeat(1_024)}`;
  const long =
    "debug!error limit enter more: the names of this connection's channels and members are too long together";
  expect(await errorsOf(made, [...enter, one, `leave room-0\n${one}`])).toEqual([long]);
});

test("the members with connections at one object have at most 16 MB", { tags: ["members-budget"] }, async () => {
  const made = objectWithMembers();
  const enter = (member: number) =>
    Array.from({ length: 13 }, (_, i) => `enter room-${i} ${member} ${"x".repeat(1_024)}`);
  // Each member's data, and its name and overhead.
  const most = Math.floor(16_000_000 / (13 * 1_024));
  let accepted = 0;
  for (let errors: string[] = []; errors.length === 0; accepted++) {
    made.clock.now += 1_000;
    errors = await errorsOf(made, enter(accepted));
    for (const error of errors)
      expect(error).toMatch(/^debug!error unavailable enter .*: this object has no memory for/);
  }
  expect(accepted).toBeLessThan(most);
  expect(accepted).toBeGreaterThan(most / 2);
});

test("without a history, no member enters, wherever the authority is", async () => {
  const { broker, open } = objectOf({ others: { present: async () => ({ none: true }) } });
  const socket = await open();
  broker.received(socket, "enter room ann");
  await settled();
  expect(socket.lines).toEqual([expect.stringMatching(/^debug!error no-history enter room: presence needs retained/)]);
});

test("an authority refuses reports beyond 16,000,000 bytes, until it has carried out the others", async () => {
  const { promise: turned, resolve: turn } = Promise.withResolvers<void>();
  const platform = { turn: () => turned };
  const { broker } = objectOf({ name: "presence/room", platform });
  const data = "x".repeat(9_000_000);
  const report = (number: number) =>
    broker.called(
      "present",
      { from: "home", number, after: undefined, present: [{ member: "a", data, change: 1 }], gone: [] },
      2,
    );
  const first = report(2_000);
  await expect(report(2_001)).rejects.toThrow("too many reports of members are pending");
  turn();
  expect(await first).toHaveProperty("position");
});
