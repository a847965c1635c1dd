import { beforeEach, expect, test, vi } from "vitest";
import type { Fanout, MemberChange, Members } from "../../../src/client/fanout.ts";
import { breakOff, connectTo, FakeSocket, greet, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

/** Follows the members of a channel, and notes the changes. */
function noted(client: Fanout, channel = "a") {
  const members = client.members(channel);
  const got: string[] = [];
  const note = ({ kind, member, data }: MemberChange) => void got.push(`${kind} ${member} ${data}`.trim());
  for (const kind of ["added", "updated", "removed"] as const) members.on(kind, note);
  members.on("state", ({ state, error }) => void got.push(error ? `${state}: ${error.message}` : state));
  return { members, got };
}

/** Follows the channel `a`, at position 7, with the members `ann` and `bob`. */
async function listed() {
  const connected = connectTo();
  const following = noted(connected.client);
  const socket = await greet("debug!position presence/a 7");
  socket.receive("debug!members a 7 2", "debug!member a ann", 'debug!member a bob {"x":  1}');
  await settle();
  const got = following.got.splice(0);
  return { ...connected, ...following, socket, first: got };
}

const entriesOf = ({ current }: Members) => [...current].map(([member, data]) => `${member} ${data}`.trim());

test("the list and the subscription are requested in one frame, and nothing follows", async () => {
  const { members, socket, first } = await listed();
  expect(FakeSocket.newest.url).toBe("wss://host/presence%2Fa?since=now");
  expect(socket.sent).toEqual(["unsubscribe all\nmembers a\n"]);
  expect(first).toEqual(["added ann", 'added bob {"x":  1}', "subscribed"]);
  expect(entriesOf(members)).toEqual(["ann", 'bob {"x":  1}']);
  await expect(members.ready).resolves.toBeUndefined();
});

test("an empty list is complete, too", async () => {
  const { client } = connectTo();
  const { members, got } = noted(client);
  (await greet("debug!position presence/a 7")).receive("debug!members a 7 0");
  await members.ready;
  expect([got, members.state, members.current.size]).toEqual([["subscribed"], "subscribed", 0]);
});

test("changes update the map, and are reported once", { tags: ["client-members"] }, async () => {
  const { members, got, socket } = await listed();
  socket.receive(
    "presence/a!enter carl x y",
    "presence/a!update ann 1",
    "presence/a!leave bob",
    "presence/a!update ann 1",
  );
  expect(got).toEqual(["added carl x y", "updated ann 1", 'removed bob {"x":  1}']);
  expect(entriesOf(members)).toEqual(["ann 1", "carl x y"]);
});

test("what an event reports is already in the map", async () => {
  const { members, socket } = await listed();
  const sizes: number[] = [];
  members.on("removed", () => void sizes.push(members.current.size));
  socket.receive("presence/a!leave ann", "presence/a!leave bob");
  expect(sizes).toEqual([1, 0]);
});

test("changes that a newer server announces are ignored", async () => {
  const { got, socket } = await listed();
  socket.receive("presence/a!hide ann", "presence/a!enter", "presence/a!enter carl");
  expect(got).toEqual(["added carl"]);
});

test.each([
  ["a change that overtakes the list is requested again", 6, "subscribe presence/a since 6"],
  ["a list that overtakes changes waits for them", 9, "subscribe presence/a since now"],
])("%s", async (_, position, line) => {
  const { client } = connectTo();
  const { got } = noted(client);
  const socket = await greet("debug!position presence/a 6", "presence/a!enter ann");
  socket.receive(`debug!members a ${position} 1`, "debug!member a bob");
  await settle();
  expect(socket.lines.at(-1)).toBe(line);
  expect(got).toEqual(["added bob"]);
  if (position === 6) socket.receive("debug!position presence/a 6", "presence/a!enter ann", "presence/a!leave bob");
  else {
    socket.receive("presence/a!enter bob", "presence/a!leave carl", "debug!position presence/a 9");
    socket.receive("presence/a!enter ann", "presence/a!leave bob");
  }
  expect(got).toEqual(["added bob", "subscribed", "added ann", "removed bob"]);
});

test("after a reconnect it resumes from its position, without another list", async () => {
  const { members, got, socket } = await listed();
  socket.receive("presence/a!leave ann");
  await breakOff();
  expect(members.state).toBe("subscribing");
  const next = await greet("debug!position presence/a 8", "presence/a!enter dora");
  expect([FakeSocket.newest.url, next.lines]).toEqual(["wss://host/presence%2Fa?since=8", ["unsubscribe all"]]);
  expect(got).toEqual(["removed ann", "subscribing", "subscribed", "added dora"]);
});

test("a list that is pending when the connection ends is requested on the next one", async () => {
  const { client } = connectTo();
  const { members } = noted(client);
  await greet("debug!position presence/a 7", "debug!members a 7 2", "debug!member a ann");
  await breakOff();
  const socket = await greet("debug!position presence/a 7");
  expect(socket.lines).toContain("members a");
  socket.receive("debug!members a 7 1", "debug!member a bob");
  await members.ready;
  expect(entriesOf(members)).toEqual(["bob"]);
});

test("after a gap it asks for the list again, and reports the difference", { tags: ["client-members"] }, async () => {
  const { members, got } = await listed();
  await breakOff();
  const socket = await greet("debug!gap presence/a 7 20", "debug!position presence/a 20", "presence/a!leave zoe");
  await settle();
  expect(socket.lines.at(-1)).toBe("members a");
  expect(entriesOf(members)).toEqual(["ann", 'bob {"x":  1}']);
  socket.receive("debug!members a 21 2", "debug!member a bob 2", "debug!member a carl");
  await settle();
  expect(got).toEqual(["subscribing", "removed ann", "updated bob 2", "added carl", "subscribed"]);
  socket.receive("presence/a!leave bob");
  expect(entriesOf(members)).toEqual(["carl"]);
});

test("it shares one subscription with the program's own, which stays when it ends", async () => {
  const { client, members, socket } = await listed();
  const texts: string[] = [];
  client.subscribe("presence/a", { onMessage: ({ text, position }) => void texts.push(`${position} ${text}`) });
  client.members("a");
  await settle();
  expect(socket.lines.slice(1)).toEqual(["members a", "members a"]);
  members.unsubscribe();
  members.unsubscribe();
  socket.receive("presence/a!leave ann");
  expect(texts).toEqual(["8 leave ann"]);
});

test("`unsubscribe` ends it, and the client unsubscribes from the channel", async () => {
  const { client, members, got, socket } = await listed();
  members.unsubscribe();
  await settle();
  expect([got, members.state, socket.lines.at(-1)]).toEqual([
    ["unsubscribed"],
    "unsubscribed",
    "unsubscribe presence/a",
  ]);
  socket.receive("presence/a!leave ann");
  expect(got).toEqual(["unsubscribed"]);
  await vi.advanceTimersByTimeAsync(25_000);
  socket.receive("debug!alive");
  await vi.advanceTimersByTimeAsync(20_000);
  socket.receive("debug!alive");
  await vi.advanceTimersByTimeAsync(20_000);
  expect(client.state).toBe("disconnected");
});

test("`unsubscribe` before the list settles `ready`, and nothing is requested any more", async () => {
  const { client } = connectTo();
  const { members } = noted(client);
  const socket = await greet("debug!position presence/a 7");
  socket.receive("debug!error unavailable members a: not now");
  members.unsubscribe();
  await expect(members.ready).resolves.toBeUndefined();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(socket.lines.filter((line) => line === "members a")).toHaveLength(1);
});

test("a listener may end it at its first change", async () => {
  const { client } = connectTo();
  const { members, got } = noted(client);
  members.on("added", () => members.unsubscribe());
  const socket = await greet("debug!position presence/a 7");
  socket.receive("debug!members a 7 2", "debug!member a ann", "debug!member a bob");
  await settle();
  expect(got).toEqual(["added ann", "unsubscribed"]);
  expect(socket.lines.filter((line) => line.startsWith("subscribe"))).toEqual([]);
});

test("a temporary refusal of the list is retried", async () => {
  const { client } = connectTo();
  const { members } = noted(client);
  const socket = await greet("debug!position presence/a 7");
  socket.receive("debug!error unavailable members a: not now");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(socket.lines.filter((line) => line === "members a")).toHaveLength(2);
  socket.receive("debug!members a 7 1", "debug!member a bob");
  await members.ready;
  expect(members.state).toBe("subscribed");
});

test.each(["members a", "subscribe presence/a"])("a final refusal of '%s' ends it with that error", async (command) => {
  const { client } = connectTo();
  const { members, got } = noted(client);
  const reading = members[Symbol.asyncIterator]().next();
  const socket = await greet();
  socket.receive(`debug!error forbidden ${command}: your token doesn't grant this`);
  const refused = { name: "Refused", code: "forbidden", message: "your token doesn't grant this" };
  await expect(reading).rejects.toMatchObject(refused);
  await expect(members.ready).rejects.toMatchObject(refused);
  expect(got).toEqual(["unsubscribed: your token doesn't grant this"]);
  await expect(members[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
});

test("a refusal without a reader is no unhandled rejection", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const { client } = connectTo();
  client.members("a");
  (await greet()).receive("debug!error no-history members a: no presence");
  await settle();
  vi.useRealTimers();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

test.each([
  ["closed", undefined, (client: Fanout) => client.close()],
  ["failed", "expired", async () => FakeSocket.newest.end(1008, "expired: your token has expired")],
])("it ends if the client is %s, and later ones end at once", async (_, code, end) => {
  const { client, members, got } = await listed();
  await end(client);
  expect(got.at(-1)).toBe(code ? "unsubscribed: your token has expired" : "unsubscribed");
  expect(members.state).toBe("unsubscribed");
  await expect(client.members("a").ready).rejects.toMatchObject({ code: code ?? "unavailable" });
});

test("each loop starts with the current members, and gets all changes; leaving the last one unsubscribes", async () => {
  const { members, socket } = await listed();
  const [first, second] = [members[Symbol.asyncIterator](), members[Symbol.asyncIterator]()];
  socket.receive("presence/a!leave ann");
  for (const loop of [first, second]) {
    expect((await loop.next()).value).toEqual({ kind: "added", channel: "a", member: "ann", data: "" });
    expect((await loop.next()).value).toMatchObject({ kind: "added", member: "bob" });
    expect((await loop.next()).value).toEqual({ kind: "removed", channel: "a", member: "ann", data: "" });
  }
  await first.return?.();
  expect(members.state).toBe("subscribed");
  const reading = second.next();
  await second.return?.();
  expect([await reading, members.state]).toEqual([{ done: true, value: undefined }, "unsubscribed"]);
});

test("a loop that doesn't read ends with an error, to bound memory", { tags: ["client-members-buffer"] }, async () => {
  const { members, socket } = await listed();
  const loop = members[Symbol.asyncIterator]();
  for (let i = 0; i <= 20_000; i++) socket.receive(`presence/a!update ann ${i}`);
  expect(members.state).toBe("unsubscribed");
  for (let i = 0; i < 20_001; i++) await loop.next();
  await expect(loop.next()).rejects.toThrow("more than 20000 changes are pending; read faster");
});

test("a listener that throws doesn't disturb others", async () => {
  const { members, got, socket } = await listed();
  const uncaught = vi.fn();
  vi.stubGlobal("queueMicrotask", (act: () => void) => {
    try {
      act();
    } catch (error) {
      uncaught(error);
    }
  });
  const late: string[] = [];
  members.on("added", () => {
    throw new Error("mine");
  });
  members.on("added", ({ member }) => void late.push(member));
  socket.receive("presence/a!enter carl");
  vi.unstubAllGlobals();
  expect([got, late]).toEqual([["added carl"], ["carl"]]);
  expect(uncaught).toHaveBeenCalledWith(new Error("mine"));
});

test.each([
  ["changed", 'the event is "changed"; it takes added, updated, removed, state'],
  ["toString", 'the event is "toString"'],
  [undefined, "the event is undefined"],
])("`on` refuses the event %j", async (kind, why) => {
  const { members } = await listed();
  expect(() => Reflect.apply(members.on, undefined, [kind, () => {}])).toThrow(why);
  expect(() => Reflect.apply(members.on, undefined, ["added", "x"])).toThrow("the listener");
});
