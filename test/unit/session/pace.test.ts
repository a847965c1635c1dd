/** Commands are executed in portions, so that other clients get replies and memory is bounded. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

/** Sends a frame to an object, and a ping from another client in each pause. Returns the number of pauses. */
async function attacked(frame: string, readers = 3) {
  let onPause = () => {};
  const sleep = async (milliseconds: number) => {
    if (milliseconds === 0) onPause();
  };
  const { broker, open } = objectOf({ limits: { maxWork: 2_000 }, platform: { sleep } });
  const [attacker, other] = [await open(), await open()];
  for (let i = 2; i < readers; i++) await open();
  let pauses = 0;
  onPause = () => {
    pauses += 1;
    broker.received(other, "ping");
  };
  broker.received(attacker, frame);
  for (let i = 0; i < 50; i++) await settled();
  return { pauses, attacker, other };
}

const isTime = (line: string) => /^\d+$/.test(line);

test.each([
  { title: "short lines", lines: ["announce all x", "ping"] },
  { title: "unknown commands", lines: ["x"] },
  { title: "subscriptions", lines: ["unsubscribe all", "subscribe all"] },
])("the server answers pings between $title of another client", async ({ lines }) => {
  const frame = `${lines.join("\n")}\n`.repeat(9_998 / lines.length);
  const { pauses, other } = await attacked(`${frame}announce all last`);
  expect(pauses).toBeGreaterThanOrEqual(4);
  const answers = other.lines.flatMap((line, i) => (isTime(line) ? [i] : []));
  expect(answers).toHaveLength(pauses);
  expect(answers[0]).toBeLessThanOrEqual(other.lines.length - 2);
});

test("the messages of one frame are delivered in portions and in order", async () => {
  const messages = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(50_000)}`);
  const frame = messages.map((message) => `announce all ${message}`).join("\n");
  const { pauses, attacker, other } = await attacked(`${frame}\nping`);
  expect(pauses).toBeGreaterThanOrEqual(2);
  const expected = messages.map((message) => `all!${message}`);
  expect(other.lines.filter((line) => !isTime(line))).toEqual(expected);
  expect(attacker.lines).toEqual([...expected, expect.stringMatching(/^\d+$/)]);
});

test("a short frame is executed at once", async () => {
  const { pauses, other } = await attacked("announce all x\nping\nx\n".repeat(100));
  expect({ pauses, lines: other.lines.length }).toEqual({ pauses: 0, lines: 100 });
});
