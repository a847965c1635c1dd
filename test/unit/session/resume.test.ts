import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { objectOf } from "../object/object.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

test("a client that resumes again and again is refused, without a call to the root", {
  tags: ["resume-rate", "error-rate"],
}, async () => {
  let asked = 0;
  const lines = `news!${"x".repeat(262_000)}\n`;
  const recover = () => {
    asked += 1;
    return Promise.resolve({ after: 9, count: 1, lines });
  };
  const others = {
    link: () => Promise.resolve({ after: 10 }),
    unlink: () => Promise.resolve(undefined),
    recover,
  };
  const socket = new ClientSocket();
  const runtime = { ...fakeRuntime("home", new Map(), others), now: () => 1_000_000 };
  const broker = new Broker(runtime, socketsOf(), readLimits({}), undefined).start();
  broker.opened(socket);
  await settled();
  for (let i = 0; i < 40; i++) {
    broker.received(socket, "subscribe news since 9\nunsubscribe news");
    await settled();
  }
  const { text } = socket;
  // The clock stands still, so the allowance of one second is all that the client gets.
  expect(text.match(/^news!/gm)).toHaveLength(15);
  expect(text.match(/^debug!error rate subscribe news: a connection gets at most 4000000 characters/gm)).toHaveLength(
    25,
  );
  expect(asked).toBe(15);
});

test("a client that resumes a channel without history is told so, and receives its next messages", async () => {
  const epochs: number[] = [];
  const others = {
    link: async (_: string, { epoch }: { epoch: number }) => {
      epochs.push(epoch);
      return { after: 10 };
    },
    recover: async () => ({ none: true as const }),
  };
  const { broker, open } = objectOf({ others });
  const socket = await open();
  broker.received(socket, "subscribe news since 5");
  for (let turn = 0; turn < 20; turn++) await settled();
  expect(socket.lines).toEqual([expect.stringMatching(/^debug!error no-history subscribe news: /)]);
  const delivery = { channel: "news", from: "news", number: 1, after: 10, count: 1, lines: "news!hello\n" };
  const epoch = epochs.at(-1) ?? 0;
  await broker.called("deliver", { ...delivery, epoch, again: false, lost: false, where: false }, 2);
  await settled();
  expect(socket.lines.slice(1)).toEqual(["news!hello"]);
});
