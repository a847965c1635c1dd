/** Failed calls between objects: retries and errors by the cause that the runtime reports. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { expectDelivery, expectNoMore, gather, sendAll } from "../support/connections.ts";
import { type Call, evictAll, failOnce, failure, intercept, keys, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const connections = gather(12);

/** Makes the next calls fail with `failures`; the returned function counts all calls. */
function fail(name: string, call: Call, ...failures: Error[]): () => number {
  let calls = 0;
  intercept(name, call, (execute) => {
    const error = failures[calls];
    calls += 1;
    if (error) throw error;
    return execute();
  });
  return () => calls;
}

const network = () => failure("retryable");
const overload = () => failure("overloaded");
const bug = () => new Error("the object's own code threw");

describe("an announcement", () => {
  test.each([
    ["that an overloaded object refuses", overload, "is overloaded"],
    ["that the network loses", network, "doesn't answer"],
    ["that fails because of a bug", bug, "doesn't answer"],
  ])(
    "%s is not repeated, and its publisher is told",
    { tags: ["crash-uncertain", "uncertain-told"] },
    async (_, error, told) => {
      const { room, local, remote, lobby } = connections();
      const calls = fail(room, "forward", error());
      lobby.send(`announce ${room} lost`);
      const why = `the announcement may be lost: the channel's object ${told}`;
      expect(await lobby.ping()).toEqual([`debug!error uncertain announce ${room}: ${why}`]);
      expect(calls()).toBe(1);
      // The client's next announcement succeeds, and the others had no effect.
      await expectDelivery(lobby, room, local, remote);
      await expectNoMore(local, remote);
    },
  );
});

describe("a subscription", () => {
  test.each([
    ["succeeds after four network failures", [network(), network(), network(), network()], 5, true],
    ["is given up after five network failures", Array.from({ length: 5 }, network), 5, false],
    ["succeeds if an object is overloaded once", [overload()], 2, true],
    ["is given up if the object is still overloaded after the longest delay", [overload(), overload()], 2, false],
    ["is given up at once if the object's code throws", [bug()], 1, false],
  ])("%s", async (_, failures, tried, had) => {
    const room = unique("room");
    const [local, remote] = await Promise.all([Client.connect(room), Client.connect(unique("home"))]);
    const calls = fail(room, "link", ...failures);
    remote.send(`subscribe ${room}`);
    const refusal = `debug!error unavailable subscribe ${room}: the channel's object doesn't answer; try again`;
    expect(await remote.ping()).toEqual(had ? [] : [refusal]);
    expect(calls()).toBe(tried);
    await sendAll([remote], `subscribe ${room}`);
    await expectDelivery(local, room, local, remote);
  });
});

test("a connection to an object that doesn't answer is refused with a message", {
  tags: ["close-unreachable"],
}, async () => {
  const room = unique("room");
  const calls = fail(room, "fetch", overload());
  const upgrade = { headers: { Upgrade: "websocket" } };
  const response = await exports.default.fetch(`http://fanout.test/${room}`, upgrade);
  expect(response.status).toBe(503);
  expect(await response.text()).toBe("The channel's object doesn't answer; try again later.\n");
  expect(response.headers.get("Fanout-Error")).toBe("unavailable");
  expect(response.headers.get("Retry-After")).toBe("5");
  expect(calls()).toBe(1);
  const client = await Client.connect(room);
  await expectDelivery(client, room, client);
});

test("a delivery to an overloaded object is retried once, then its subscribers are closed; other objects aren't delayed", {
  tags: ["slow-object", "close-lost"],
}, async () => {
  const { room, home, local, remote, idle } = connections();
  const calls = fail(home, "deliver", overload(), overload());
  await expectDelivery(local, room, local);
  expect(await remote.closed).toEqual({
    code: 1013,
    reason: "unavailable: messages may be missing; connect again",
  });
  // The third call reports lost messages.
  expect(calls()).toBe(3);
  await sendAll([idle], `subscribe ${room}`);
  await expectDelivery(local, room, local, idle);
  await expectNoMore(local, idle);
});

describe("a call that fails once", () => {
  test.each(["before", "after"] as const)("%s a delivery is accepted is retried", async (when) => {
    const { room, home, local, remote, idle } = connections();
    await expectDelivery(local, room, local, remote);
    failOnce(home, "deliver", when);
    for (let n = 0; n < 3; n++) await expectDelivery(local, room, local, remote);
    await expectDelivery(remote, room, local, remote);
    await expectNoMore(local, remote, idle);
  });

  test.each(["before", "after"] as const)("%s a link is made is retried", async (when) => {
    const { local, remote, idle } = connections();
    const third = unique("third");
    failOnce(third, "link", when);
    await sendAll([remote], `subscribe ${third}`);
    await expectDelivery(local, third, remote);
    await expectDelivery(remote, third, remote);
    await expectNoMore(remote, idle);
  });

  test.each(["before", "after"] as const)("%s a link is ended is retried", async (when) => {
    const { room, local, remote } = connections();
    failOnce(room, "unlink", when);
    await sendAll([remote], `unsubscribe ${room}`);
    await evictAll();
    expect(await keys(room, "downstream:")).toEqual([]);
    await expectDelivery(local, room, local);
    await sendAll([remote], `subscribe ${room}`);
    await expectDelivery(local, room, local, remote);
    await expectNoMore(local, remote);
  });

  test.each([
    { when: "before", placed: [] },
    { when: "after", placed: ["doubtful"] },
  ] as const)("$when an announcement was placed is told to who announced", async ({ when, placed }) => {
    const { room, local, remote } = connections();
    failOnce(room, "forward", when);
    remote.send(`announce ${room} doubtful`);
    const replies = await remote.ping();
    remote.send(`announce ${room} next`);
    replies.push(...(await remote.until(`${room}!next`)));
    const isError = (line: string) => line.startsWith(`debug!error uncertain announce ${room}: `);
    expect(replies.filter(isError)).toHaveLength(1);
    const messages = placed.map((message) => `${room}!${message}`);
    expect(replies.filter((line) => !isError(line))).toEqual(messages);
    expect(await local.until(`${room}!next`)).toEqual(messages);
    await expectNoMore(local, remote);
  });
});
