import { expect, test } from "vitest";
import { Receipt } from "../../../src/cli/receipt.ts";

function receiptOf(numbers: number[]) {
  const receipt = new Receipt();
  const isNew = numbers.map((number) => receipt.hear(number));
  const { repeated, outOfOrder } = receipt;
  return { isNew, repeated, outOfOrder, lost: (announced: number) => receipt.lost(announced) };
}

test("each once and in order", () => {
  const { isNew, lost, ...wrong } = receiptOf([0, 1, 2]);
  expect([isNew, wrong]).toEqual([[true, true, true], { repeated: 0, outOfOrder: 0 }]);
  expect([lost(3), lost(5)]).toEqual([0, 2]);
});

test("what comes late is out of order and not lost, what comes again is repeated, what does not come is lost", () => {
  const { isNew, lost, ...wrong } = receiptOf([0, 3, 1, 1, 3, 5]);
  expect([isNew, wrong]).toEqual([[true, true, true, false, false, true], { repeated: 2, outOfOrder: 1 }]);
  // 2 and 4; what was not announced is not lost.
  expect([lost(6), lost(4), lost(2)]).toEqual([2, 1, 0]);
});
