/** How often a connection may replace its token. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";

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
