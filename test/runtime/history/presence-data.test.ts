/** Members keep their newest data and their name, whatever is forgotten or refused in between. */
import { expect, test } from "vitest";
import { presenceOf } from "../../../src/protocol/members.ts";
import { Client } from "../support/client.ts";
import { configure, evict, intercept, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

function carryOut(client: Client, line: string): Promise<string[]> {
  client.send(line);
  return client.ping();
}

async function list(client: Client, channel: string): Promise<string[]> {
  const [, ...members] = await carryOut(client, `members ${channel}`);
  return members.map((line) => line.replace(`debug!member ${channel} `, ""));
}

test("an eviction of the authority doesn't bring old data back", async () => {
  const room = unique("room");
  const [one, two, other] = [await Client.connect(room), await Client.connect(room), await Client.connect(`${room}-b`)];
  await carryOut(one, `enter ${room} bob x`);
  await carryOut(two, `enter ${room} bob x`);
  await evict(presenceOf(room));
  await carryOut(other, `enter ${room} bob y`);
  expect(await list(other, room)).toEqual(["bob y"]);
  // Has the object report again, as the authority asks it to half a second later.
  await carryOut(one, `enter ${room} cat`);
  expect((await list(other, room)).find((each) => each.startsWith("bob"))).toBe("bob y");
});

test("a refused change after hibernation restores the newest data", async () => {
  const room = unique("room");
  const [one, two] = [await Client.connect(room), await Client.connect(room)];
  await carryOut(one, `enter ${room} bob x`);
  await carryOut(two, `enter ${room} bob y`);
  await carryOut(one, `enter ${room} bob z`);
  await carryOut(two, `enter ${room} bob y`);
  await carryOut(two, `enter ${room} bob w`);
  await evict(room);
  const restore = intercept(presenceOf(room), "present", async () => {
    throw new Error("no answer");
  });
  const [error = ""] = await carryOut(two, `enter ${room} bob v`);
  expect(error).toMatch("unavailable");
  restore();
  const other = await Client.connect(room);
  await carryOut(other, `enter ${room} cat`);
  expect(await list(other, room)).toEqual(["bob w", "cat"]);
});

test("a refused change after hibernation restores the newest data, whichever connection set it", async () => {
  const room = unique("room");
  const [one, two] = [await Client.connect(room), await Client.connect(room)];
  await carryOut(two, `enter ${room} bob x`);
  await carryOut(one, `enter ${room} bob w`);
  await evict(room);
  const restore = intercept(presenceOf(room), "present", async () => {
    throw new Error("no answer");
  });
  const [error = ""] = await carryOut(one, `enter ${room} bob v`);
  expect(error).toMatch("unavailable");
  restore();
  const other = await Client.connect(room);
  await carryOut(other, `enter ${room} cat`);
  expect(await list(other, room)).toEqual(["bob w", "cat"]);
});

test("a new name survives the refusal of the old one, and ends with its connection", async () => {
  configure({ PRESENCE_GRACE_SECONDS: "0" });
  const room = unique("room");
  const one = await Client.connect(room);
  const other = await Client.connect(room);
  await carryOut(one, `enter ${room} bob`);
  await evict(room);
  const restore = intercept(presenceOf(room), "present", async (execute) => {
    const answer = await execute();
    return Object.assign({}, answer, { refused: ["bob"] });
  });
  await carryOut(one, `enter ${room} carl`);
  restore();
  expect(await list(other, room)).toContain("carl");
  await one.close();
  await carryOut(other, `enter ${room} cat`);
  expect(await list(other, room)).not.toContain("carl");
});
