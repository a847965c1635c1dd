/** The root of a presence channel asks objects to report their members again after it restarted. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

test("a root that restarted asks the objects with members to report again, by its alarm", async () => {
  const rows = new Map<string, unknown>();
  const asked: unknown[] = [];
  const others = {
    restate: async (object: string, { channel }: { channel: string }) => {
      asked.push([object, channel]);
      return undefined;
    },
  };
  const options = { name: "presence/news", rows, others };
  const report = {
    from: "room",
    number: 2_000,
    after: undefined,
    present: [{ member: "ann", data: "", change: 2_000 }],
    gone: [],
  };
  await objectOf(options).broker.called("present", report, 2);
  const { broker, clock } = objectOf(options);
  clock.now += 3_600_000;
  broker.alarmed();
  await settled();
  expect(asked).toEqual([["room", "news"]]);
});
