/** A root's answers to a Worker's announcements. */
import { expect, test } from "vitest";
import { Service } from "./service.ts";

const announcement = { lines: "news!a\nnews!b\n", count: 2 };

test("the answer has the position, which no other message gets, even if storage refuses rows", async () => {
  const service = new Service();
  const root = service.broker("news");
  expect(await root.called("announce", announcement, 2)).toEqual({ last: 1_000_000_002 });
  service.accepts = false;
  const answer = await root.called("announce", announcement, 2);
  expect(answer).toEqual({ last: expect.any(Number) });
  service.crash("news");
  service.accepts = true;
  service.now += 1;
  expect(await service.broker("news").called("announce", announcement, 2)).toEqual({ last: 1_000_000_004 });
  expect(answer).not.toEqual({ last: 1_000_000_004 });
});

test("without a history, the answer has no position, and keys and expected positions are rejected", async () => {
  const root = new Service({ HISTORY_SECONDS: "0" }).broker("news");
  expect(await root.called("announce", announcement, 2)).toEqual({ last: undefined });
  expect(await root.called("announce", { ...announcement, key: "k" }, 2)).toEqual({ none: true });
  expect(await root.called("announce", { ...announcement, expected: 5 }, 2)).toEqual({ none: true });
});

test("if another position was expected, the answer has the newest, unless the key is known", async () => {
  const root = new Service().broker("news");
  const first = await root.called("announce", { ...announcement, key: "k" }, 2);
  expect(await root.called("announce", { ...announcement, expected: 7 }, 2)).toEqual({
    newest: 1_000_000_002,
  });
  expect(await root.called("announce", { ...announcement, key: "k", expected: 7 }, 2)).toEqual(first);
});
