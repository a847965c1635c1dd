/** What a Worker is answered that announces. */
import { expect, test } from "vitest";
import { Service } from "./service.ts";

const announcement = { lines: "news!a\nnews!b\n", count: 2 };

test("it is told the position, also where storage takes no row: no other message gets it", async () => {
  const service = new Service();
  const root = service.broker("news");
  expect(await root.called("announce", announcement, 2)).toEqual({ last: 1_000_000_002 });
  service.takes = false;
  const answer = await root.called("announce", announcement, 2);
  expect(answer).toEqual({ last: expect.any(Number) });
  service.crash("news");
  service.takes = true;
  service.now += 1;
  expect(await service.broker("news").called("announce", announcement, 2)).toEqual({ last: 1_000_000_004 });
  expect(answer).not.toEqual({ last: 1_000_000_004 });
});

test("without history it is told none, and refused where that is needed", async () => {
  const root = new Service({ HISTORY_SECONDS: "0" }).broker("news");
  expect(await root.called("announce", announcement, 2)).toEqual({ last: undefined });
  expect(await root.called("announce", { ...announcement, key: "k" }, 2)).toEqual({ none: true });
  expect(await root.called("announce", { ...announcement, expected: 5 }, 2)).toEqual({ none: true });
});

test("where another position is expected it is told the newest, and a key that is known counts before that", async () => {
  const root = new Service().broker("news");
  const first = await root.called("announce", { ...announcement, key: "k" }, 2);
  expect(await root.called("announce", { ...announcement, expected: 7 }, 2)).toEqual({
    newest: 1_000_000_002,
  });
  expect(await root.called("announce", { ...announcement, key: "k", expected: 7 }, 2)).toEqual(first);
});
