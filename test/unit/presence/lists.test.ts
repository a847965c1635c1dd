/** The memory that lists of members take. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";

test("connections that list a channel at once share the text of its members", async () => {
  let reads = 0;
  const members = Array.from({ length: 100 }, (_, i) => ({
    member: `member-${i + 100}`,
    get data() {
      reads += 1;
      return "x";
    },
  }));
  const { promise: answer, resolve } = Promise.withResolvers<{ position: number; members: typeof members }>();
  const { broker, open } = objectOf({ others: { members: () => answer } });
  const sockets = await Promise.all(Array.from({ length: 50 }, () => open()));
  for (const socket of sockets) socket.text = "";
  for (const socket of sockets) broker.received(socket, "members room");
  await settled();
  broker.alarmed();
  await settled();
  resolve({ position: 1, members });
  await settled();
  await settled();
  for (const { text } of sockets) expect(text.split("\n")).toHaveLength(102);
  expect(reads).toBeLessThanOrEqual(2 * members.length);
});
