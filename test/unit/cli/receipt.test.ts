import { expect, test } from "vitest";
import { Receipt } from "../../../src/cli/receipt.ts";

function receiptOf(numbers: number[]) {
  const receipt = new Receipt();
  const isNew = numbers.map((number) => receipt.add(number));
  const { repeated, outOfOrder } = receipt;
  return { isNew, repeated, outOfOrder, lost: (announced: number) => receipt.lost(announced) };
}

test("accepts messages that are received once and in order", () => {
  const { isNew, lost, ...wrong } = receiptOf([0, 1, 2]);
  expect([isNew, wrong]).toEqual([[true, true, true], { repeated: 0, outOfOrder: 0 }]);
  expect([lost(3), lost(5)]).toEqual([0, 2]);
});

test("counts late messages as out of order, duplicates as repeated, and missing ones as lost", () => {
  const { isNew, lost, ...wrong } = receiptOf([0, 3, 1, 1, 3, 5]);
  expect([isNew, wrong]).toEqual([[true, true, true, false, false, true], { repeated: 2, outOfOrder: 1 }]);
  // 2 and 4 are missing; messages that weren't announced aren't lost.
  expect([lost(6), lost(4), lost(2)]).toEqual([2, 1, 0]);
});
