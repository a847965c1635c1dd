/** A clock that goes as tests say. */
import { afterAll, beforeAll, vi } from "vitest";

/**
 * For a test file as a whole: has the clock stand still, at a whole second, but for what `pass` lets
 * pass. Objects that were made before do not know.
 */
export function stopClock(): void {
  beforeAll(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 1_000) * 1_000 });
  });
  afterAll(() => {
    vi.useRealTimers();
  });
}

/** Moves the clock on; alarms do not go off by that. */
export function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}
