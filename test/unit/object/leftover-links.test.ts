/** An object ends a link at once if no connection needs it by the time that it is made. */
import { expect, test } from "vitest";
import type { From } from "../../../src/protocol/positions.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import type { Others } from "../tree/fake-runtime.ts";
import { until } from "../until.ts";
import { objectOf } from "./object.ts";

/** An object whose calls about channels other than `all` the test answers, and the channels whose links it has ended. */
function waiting(name: string) {
  const ended: string[] = [];
  const pending: PromiseWithResolvers<void>[] = [];
  const untilAnswered = (object: string) => {
    if (object === "all") return undefined;
    const answered = Promise.withResolvers<void>();
    pending.push(answered);
    return answered.promise;
  };
  const others: Others = {
    link: async (object) => {
      await untilAnswered(object);
      return { after: 10 };
    },
    recover: async (object) => {
      await untilAnswered(object);
      return { after: 8, count: 2, lines: "" };
    },
    unlink: async (object) => void ended.push(object),
  };
  const rows = new Map<string, unknown>();
  const { broker } = objectOf({ name, rows, others });
  return {
    ended,
    rows,
    connect: async (from?: From) => {
      const socket = new ClientSocket();
      broker.opened(socket, "", undefined, from);
      await settled();
      return socket;
    },
    send: async (socket: ClientSocket, line: string) => {
      broker.received(socket, line);
      await settled();
    },
    close: (socket: ClientSocket) => broker.closed(socket),
    /** Answers the oldest call. */
    answer: async () => {
      pending.shift()?.resolve();
      await settled();
    },
    /** Fails the oldest call. */
    fail: async () => {
      pending.shift()?.reject(new Error("a test fails it"));
      await settled();
    },
    areAnswered: () => pending.length === 0,
  };
}

/** The name of the row of the link to `news`. */
const ROW = "upstream:news";

test("for a subscription to a channel, if the client leaves meanwhile", async () => {
  const { ended, rows, connect, send, close, answer } = waiting("home");
  await connect();
  const socket = await connect();
  await send(socket, "subscribe news");
  expect(rows.has(ROW)).toBe(true);
  close(socket);
  await answer();
  expect([ended, rows.has(ROW)]).toEqual([["news"], false]);
});

test.each([
  ["before the channel is linked", 0],
  ["before the missed messages are there", 1],
])("for a subscription from a position, if the client leaves %s", async (_, calls) => {
  const { ended, rows, connect, send, close, answer, areAnswered } = waiting("home");
  await connect();
  const socket = await connect();
  await send(socket, "subscribe news since 8");
  for (let i = 0; i < calls; i++) await answer();
  close(socket);
  await until(areAnswered, answer);
  expect([ended, rows.has(ROW)]).toEqual([["news"], false]);
});

test("for a subscription from a position, if the missed messages can't be had", async () => {
  const { ended, rows, connect, send, answer, fail, areAnswered } = waiting("home");
  const socket = await connect();
  await send(socket, "subscribe news since 8");
  await answer();
  await until(areAnswered, fail);
  expect(socket.lines.at(-1)).toMatch(/^debug!error unavailable subscribe news: /);
  expect([ended, rows.has(ROW)]).toEqual([["news"], false]);
});

test.each([undefined, { since: 8 }])(
  "for a new connection that starts at %j, if the client leaves meanwhile",
  async (from) => {
    for (const calls of from ? [0, 1] : [0]) {
      const { ended, rows, connect, close, answer, areAnswered } = waiting("news!1");
      const socket = await connect(from);
      for (let i = 0; i < calls; i++) await answer();
      close(socket);
      await until(areAnswered, answer);
      expect([ended.filter((object) => object === "news"), rows.has(ROW)]).toEqual([["news"], false]);
    }
  },
);
