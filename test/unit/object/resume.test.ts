/** A connection stays open only while it gets the messages of its channel. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import type { Delivery, MissedAnswer } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { settled } from "../settled.ts";
import { socketsOf } from "../sockets.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/** A child of `news` with a connection that resumes the channel, while the root is asked for its missed messages. */
async function resuming() {
  const network = { isUp: true };
  const lines: string[] = [];
  const closes: [number, string][] = [];
  let answer = (_: MissedAnswer) => {};
  const others = {
    link: async () => {
      if (!network.isUp) throw new Error("it can't be reached");
      return { after: 10 };
    },
    unlink: async () => undefined,
    recover: () =>
      new Promise<MissedAnswer>((resolve) => {
        answer = resolve;
      }),
  };
  const socket = {
    bufferedAmount: 0,
    send: (text: string) => void lines.push(text),
    close: (code: number, reason: string) => void closes.push([code, reason]),
    serializeAttachment: () => {},
    deserializeAttachment: () => undefined,
  };
  const runtime = { ...fakeRuntime("news!1", new Map(), others), now: () => 1_000_000 };
  const broker = new Broker(runtime, socketsOf(), readLimits({}), undefined).start();
  broker.opened(socket, "", undefined, { since: 8 });
  await settled();
  const delivery: Delivery = {
    channel: "news",
    from: "news",
    // The link to `all` was requested before.
    epoch: 1_000_001,
    number: 1,
    after: 10,
    count: 0,
    lines: "",
    again: false,
    lost: true,
    where: false,
  };
  return { broker, network, lines, closes, delivery, answer: (kept: MissedAnswer) => answer(kept) };
}

test("a connection closes if its channel is lost while it resumes, and stays unreachable", async () => {
  const { broker, network, closes, delivery, answer } = await resuming();
  network.isUp = false;
  expect(await broker.called("deliver", delivery, 2)).toMatchObject({ gone: true });
  answer({ after: 8, count: 2, lines: "news!a\nnews!b\n" });
  await settled();
  expect(closes).toEqual([[1013, "unavailable: the channel can't be reached now; connect again"]]);
});

test("a connection resumes if its channel is lost in the meantime, but reachable again", async () => {
  const { broker, lines, closes, delivery, answer } = await resuming();
  await broker.called("deliver", delivery, 2);
  answer({ after: 8, count: 2, lines: "news!a\nnews!b\n" });
  await settled();
  answer({ after: 8, count: 2, lines: "news!a\nnews!b\n" });
  await settled();
  expect(closes).toEqual([]);
  expect(lines.join("")).toContain("debug!position news 8\nnews!a\nnews!b\n");
});
