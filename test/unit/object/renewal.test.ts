/** How often a connection may replace its token. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";
import { Service } from "./service.ts";

const grants = { subscribe: ["*"], announce: [], until: 90_000, key: "key" };

test("a connection may send ten tokens per second, and each further one is refused unread", {
  tags: ["token-rate"],
}, async () => {
  let verified = 0;
  const verify = async () => {
    verified += 1;
    return grants;
  };
  const { broker, clock, open } = objectOf({ guard: { keys: new Set(["key"]), verify } });
  const socket = await open(grants);
  const send = async (count: number) => {
    socket.text = "";
    broker.received(socket, "token x\n".repeat(count));
    for (let turn = 0; turn < 50; turn++) await settled();
    return socket.lines.map((line) => line.replace(/ (until|token).*/, ""));
  };
  const refused = ["debug!error rate", "debug!error rate"];
  expect(await send(12)).toEqual([...Array.from({ length: 10 }, () => "debug!token accepted"), ...refused]);
  clock.now += 1_000;
  expect(await send(1)).toEqual(["debug!token accepted"]);
  expect(verified).toBe(11);
});

test("a member leaves at once if a new token of its connection doesn't allow it", async () => {
  const lasting = { ...grants, until: Number.MAX_SAFE_INTEGER };
  const verify = async (token: string) => ({ ...lasting, enter: [token] });
  const service = new Service({}, { keys: new Set(["key"]), verify });
  const watcher = await service.connect("presence/room", { since: "now" }, lasting);
  const ann = await service.connect("room", undefined, { ...lasting, enter: ["room", "other"] });
  await ann.ask("enter room ann", "ping");
  expect(watcher.read()).toContain("presence/room!enter ann");
  await ann.ask("token room", "ping");
  expect(watcher.read()).toEqual([]);
  await ann.ask("token other", "ping");
  expect(watcher.read()).toEqual(["presence/room!leave ann"]);
});
