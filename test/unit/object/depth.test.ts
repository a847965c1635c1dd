/** The depth that an object claims for its calls. */
import { expect, test } from "vitest";
import type { Stub } from "../../../src/runtime/runtime.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import { objectOf } from "./object.ts";

test("an upgrade that goes to another object counts as an event, two hops deep", async () => {
  const made: string[] = [];
  let fail = () => {};
  const open = (object: string): Stub => ({
    call: (kind, _, hop) => {
      made.push(`${kind} ${object} ${hop}`);
      return new Promise((_, reject) => {
        fail = () => reject(new Error("the network failed"));
      });
    },
  });
  const socket = new ClientSocket({ channels: ["a", "all"] });
  const limits = { socketsPerObject: 1 };
  const { broker, clock } = objectOf({ name: "a", limits, hibernated: [socket], platform: { open } });
  broker.received(socket, "subscribe b\n");
  await settled();
  // The command's own event has long been over when the call fails, and is made again.
  clock.now += 10_000;
  expect(broker.placementFor("", "", false)).toEqual({ object: "a!1", below: false });
  fail();
  await settled();
  expect(made).toEqual(["link b 2", "link b 3"]);
});
