/** A clock that tests control. */
import { afterAll, beforeAll, vi } from "vitest";

/**
 * Stops the clock in a whole test file, at a full second; only `pass` advances it. Objects that were created before
 * aren't affected.
 */
export function stopClock(): void {
  beforeAll(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 1_000) * 1_000 });
  });
  afterAll(() => {
    vi.useRealTimers();
  });
}

/** Advances the clock, without firing alarms. */
export function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}
