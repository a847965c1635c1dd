/** The load of `fanout bench`. */
import { expect, onTestFinished, test, vi } from "vitest";
import { announceAll, type Progress, readMark } from "../../../src/cli/load.ts";

const newProgress = (): Progress => ({ sent: 0, announced: 0, failed: [] });

/** Lets the time advance by a millisecond whenever it is read. */
function countTime(): void {
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now++);
  onTestFinished(() => clock.mockRestore());
}

test("at most 500 announcements are in flight", async () => {
  countTime();
  const progress = newProgress();
  await announceAll({ rate: 2_000, seconds: 1, size: 40 }, () => new Promise(() => {}), progress);
  expect([progress.sent, progress.announced]).toEqual([500, 0]);
});

test("acknowledged announcements aren't in flight", async () => {
  countTime();
  const progress = newProgress();
  await announceAll({ rate: 2_000, seconds: 1, size: 40 }, () => Promise.resolve(), progress);
  expect(progress.sent).toBeGreaterThan(500);
  expect(progress.announced).toBe(progress.sent);
});

test("a failed announcement ends the load with its error", async () => {
  const announce = () => Promise.reject(new Error("no grant"));
  await expect(announceAll({ rate: 1_000, seconds: 60, size: 40 }, announce, newProgress())).rejects.toThrow(
    "no grant",
  );
});

test("messages have their size, and their number can be read", async () => {
  countTime();
  const texts: string[] = [];
  const announce = async (text: string) => void texts.push(text);
  await announceAll({ rate: 2_000, seconds: 0.05, size: 40 }, announce, newProgress());
  expect(texts.slice(0, 3).map((text) => [text.length, readMark(text)?.number])).toEqual([
    [40, 0],
    [40, 1],
    [40, 2],
  ]);
  expect(readMark("hello")).toBeUndefined();
});
