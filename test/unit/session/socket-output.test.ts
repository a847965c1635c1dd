/** The memory of pending frames. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Socket } from "../../../src/session/socket.ts";
import { SocketOutput } from "../../../src/session/socket-output.ts";

/** A socket whose client reads frames only when the test says so. */
class Stalled implements Socket {
  readonly #pending: number[] = [];

  get bufferedAmount(): number {
    return this.#pending.reduce((sum, size) => sum + size, 0);
  }

  get frames(): number {
    return this.#pending.length;
  }

  send(text: string): void {
    this.#pending.push(text.length);
  }

  close(): void {}

  serializeAttachment(): void {}

  deserializeAttachment(): unknown {
    return undefined;
  }

  read(frames: number): void {
    this.#pending.splice(0, frames);
  }
}

function stalled(): { socket: Stalled; output: SocketOutput } {
  const socket = new Stalled();
  return { socket, output: new SocketOutput(socket, () => 0, { bytes: 0 }) };
}

test("each pending frame counts its bytes and an overhead", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 200 }), (size, count) => {
      const { output } = stalled();
      for (let i = 0; i < count; i++) output.send(["x".repeat(size)]);
      expect(output.weight).toBeCloseTo(count * (size + 1_300));
    }),
  );
});

test("a client that always reads all but the newest frame is never considered further behind", () => {
  const { socket, output } = stalled();
  for (let i = 0; i < 10_000; i++) {
    output.send(["x".repeat(32)]);
    expect(output.weight).toBeLessThan(3 * (32 + 1_300));
    socket.read(socket.frames - 1);
  }
});

test("frames that were read don't count", () => {
  const { socket, output } = stalled();
  output.send(Array.from({ length: 1_000 }, () => "x"));
  socket.read(1_000);
  expect(output.weight).toBe(0);
  output.send(["x"]);
  expect(output.weight).toBe(1 + 1_300);
});

test("a client that has read anything has been reached, however much is pending later", () => {
  const { socket, output } = stalled();
  expect(output.hasBeenRead).toBe(false);
  output.send(["greeting"]);
  expect(output.hasBeenRead).toBe(false);
  output.send(["more", "and more"]);
  expect(output.hasBeenRead).toBe(false);
  socket.read(1);
  expect(output.hasBeenRead).toBe(true);
  socket.read(2);
  // Nothing is pending, so the frames sent before no longer count.
  expect(output.weight).toBe(0);
  output.send(["pending"]);
  expect(output.hasBeenRead).toBe(true);
});

test("without `bufferedAmount`, clients are assumed to read 400,000 bytes per second", () => {
  const clock = { now: 1_000_000 };
  const socket = new Stalled();
  Object.defineProperty(socket, "bufferedAmount", { value: undefined });
  const output = new SocketOutput(socket, () => clock.now, { bytes: 0 });
  expect([output.weight, output.hasBeenRead]).toEqual([0, false]);
  output.send(["x".repeat(1_000_000)]);
  expect(output.weight).toBeGreaterThanOrEqual(1_000_000);
  expect(output.hasBeenRead).toBe(true);
  clock.now += 2_000;
  expect(Math.round(output.weight)).toBeGreaterThanOrEqual(200_000);
  expect(output.weight).toBeLessThan(202_000);
  clock.now += 60_000;
  expect(output.weight).toBe(0);
});
