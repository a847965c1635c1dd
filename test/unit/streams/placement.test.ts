/** The search for an object with room. */
import { expect, test } from "vitest";
import { findPlacement } from "../../../src/streams/placement.ts";

test("a search ends after sixteen objects, whatever they say", async () => {
  const asked: string[] = [];
  const objects = {
    offer: async ({ object }: { object: string }) => {
      asked.push(object);
      return { redirect: { object: `news!${asked.length}`, below: false } };
    },
    discard: () => {},
  };
  const environment = { now: () => 0, random: () => 0, after: () => () => {} };
  expect(await findPlacement("news", objects, new Map(), environment)).not.toHaveProperty("accepted");
  expect(asked).toHaveLength(16);
});
