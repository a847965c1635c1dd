/** What waits for a client that does not read, in the memory that it takes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { hasTaken, newBacklog, sendFrames, weightOf } from "../src/sending.ts";

/** A socket whose client takes frames only when the test says so. */
class Stalled {
  readonly #waiting: number[] = [];

  get bufferedAmount(): number {
    return this.#waiting.reduce((sum, size) => sum + size, 0);
  }

  get frames(): number {
    return this.#waiting.length;
  }

  send(text: string): void {
    this.#waiting.push(text.length);
  }

  take(frames: number): void {
    this.#waiting.splice(0, frames);
  }
}

test("frames that wait count for their bytes and for what each takes besides", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 200 }), (size, count) => {
      const [socket, backlog] = [new Stalled(), newBacklog()];
      for (let i = 0; i < count; i++) sendFrames(socket, ["x".repeat(size)], backlog);
      expect(weightOf(socket, backlog)).toBeCloseTo(count * (size + 1_300));
    }),
  );
});

test("a client that always takes the frame before the last is never held to be further behind", () => {
  const [socket, backlog] = [new Stalled(), newBacklog()];
  for (let i = 0; i < 10_000; i++) {
    sendFrames(socket, ["x".repeat(32)], backlog);
    expect(weightOf(socket, backlog)).toBeLessThan(3 * (32 + 1_300));
    socket.take(socket.frames - 1);
  }
});

test("what was taken counts no more", () => {
  const [socket, backlog] = [new Stalled(), newBacklog()];
  sendFrames(
    socket,
    Array.from({ length: 1_000 }, () => "x"),
    backlog,
  );
  socket.take(1_000);
  expect(weightOf(socket, backlog)).toBe(0);
  sendFrames(socket, ["x"], backlog);
  expect(weightOf(socket, backlog)).toBe(1 + 1_300);
});

test("a client that has taken anything is known to be there, however much waits for it later", () => {
  const [socket, backlog] = [new Stalled(), newBacklog()];
  expect(hasTaken(socket, backlog)).toBe(false);
  sendFrames(socket, ["greeting"], backlog);
  expect(hasTaken(socket, backlog)).toBe(false);
  sendFrames(socket, ["more", "and more"], backlog);
  expect(hasTaken(socket, backlog)).toBe(false);
  socket.take(1);
  expect(hasTaken(socket, backlog)).toBe(true);
  socket.take(2);
  weightOf(socket, backlog);
  sendFrames(socket, ["waits"], backlog);
  expect(hasTaken(socket, backlog)).toBe(true);
});
