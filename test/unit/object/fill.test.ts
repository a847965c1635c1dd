/** What a child tells its parent about the room that it has. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";

test("a full child tells its parent when connections have closed", async () => {
  const told: boolean[] = [];
  const others = {
    fill: async (_: string, { full }: { full: boolean }) => void told.push(full),
    link: async () => ({ after: 10 }),
    unlink: async () => undefined,
    tally: async () => undefined,
  };
  const { broker, open } = objectOf({ name: "news!1", limits: { socketsPerObject: 2 }, others });
  const [first] = [await open(), await open()];
  expect(told).toEqual([true]);
  if (first) broker.closed(first);
  await settled();
  expect(told).toEqual([true, false]);
});
