/** What waits for a client that does not read, in the memory that it takes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Socket } from "../../../src/session/socket.ts";
import { Outbox } from "../../../src/session/socket-output.ts";

/** A socket whose client takes frames only when the test says so. */
class Stalled implements Socket {
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

  close(): void {}

  serializeAttachment(): void {}

  deserializeAttachment(): unknown {
    return undefined;
  }

  take(frames: number): void {
    this.#waiting.splice(0, frames);
  }
}

function stalled(): { socket: Stalled; outbox: Outbox } {
  const socket = new Stalled();
  return { socket, outbox: new Outbox(socket, () => 0, { bytes: 0 }) };
}

test("frames that wait count for their bytes and for what each takes besides", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 200 }), (size, count) => {
      const { outbox } = stalled();
      for (let i = 0; i < count; i++) outbox.send(["x".repeat(size)]);
      expect(outbox.weight).toBeCloseTo(count * (size + 1_300));
    }),
  );
});

test("a client that always takes the frame before the last is never held to be further behind", () => {
  const { socket, outbox } = stalled();
  for (let i = 0; i < 10_000; i++) {
    outbox.send(["x".repeat(32)]);
    expect(outbox.weight).toBeLessThan(3 * (32 + 1_300));
    socket.take(socket.frames - 1);
  }
});

test("what was taken counts no more", () => {
  const { socket, outbox } = stalled();
  outbox.send(Array.from({ length: 1_000 }, () => "x"));
  socket.take(1_000);
  expect(outbox.weight).toBe(0);
  outbox.send(["x"]);
  expect(outbox.weight).toBe(1 + 1_300);
});

test("a client that has taken anything is known to be there, however much waits for it later", () => {
  const { socket, outbox } = stalled();
  expect(outbox.hasTaken).toBe(false);
  outbox.send(["greeting"]);
  expect(outbox.hasTaken).toBe(false);
  outbox.send(["more", "and more"]);
  expect(outbox.hasTaken).toBe(false);
  socket.take(1);
  expect(outbox.hasTaken).toBe(true);
  socket.take(2);
  // Nothing waits, so what was sent before is forgotten.
  expect(outbox.weight).toBe(0);
  outbox.send(["waits"]);
  expect(outbox.hasTaken).toBe(true);
});

test("where nobody tells what waits, a client is taken to read 400,000 bytes a second", () => {
  const clock = { now: 1_000_000 };
  const socket = new Stalled();
  Object.defineProperty(socket, "bufferedAmount", { value: undefined });
  const outbox = new Outbox(socket, () => clock.now, { bytes: 0 });
  expect([outbox.weight, outbox.hasTaken]).toEqual([0, false]);
  outbox.send(["x".repeat(1_000_000)]);
  expect(outbox.weight).toBeGreaterThanOrEqual(1_000_000);
  expect(outbox.hasTaken).toBe(true);
  clock.now += 2_000;
  expect(Math.round(outbox.weight)).toBeGreaterThanOrEqual(200_000);
  expect(outbox.weight).toBeLessThan(202_000);
  clock.now += 60_000;
  expect(outbox.weight).toBe(0);
});
