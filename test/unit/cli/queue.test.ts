/** What happens to the messages of a consumer that doesn't keep up. */
import { expect, test } from "vitest";
import { Exit, LOCAL } from "../../../src/cli/exits.ts";
import { Queue } from "../../../src/cli/queue.ts";
import { settled } from "../settled.ts";

test("a million messages are queued for a slow consumer, and one more ends the program", async () => {
  const queue = new Queue();
  const stalled = () => new Promise<void>(() => {});
  let end: unknown;
  queue.finished.catch((error: unknown) => {
    end = error;
  });
  // The first one is being processed.
  for (let i = 0; i < 1_000_001; i++) queue.addMessage(stalled);
  await settled();
  expect(end).toBeUndefined();
  queue.addMessage(stalled);
  await settled();
  expect(end).toEqual(new Exit(LOCAL, "the consumer is too slow: 1000000 messages are queued"));
  expect(end).toHaveProperty("code", LOCAL);
});
