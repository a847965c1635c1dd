/** Deadlines and memory of bodies, with streams made by another Worker. */
import { beforeEach, describe, expect, test, vi } from "vitest";

const SECOND = 1_000;

let withBody: typeof import("../../../src/worker/http/bodies.ts")["withBody"];

/** Each test loads the modules anew. */
beforeEach(async () => {
  vi.resetModules();
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 27), toFake: ["setTimeout", "clearTimeout", "Date"] });
  ({ withBody } = await import("../../../src/worker/http/bodies.ts"));
  return () => vi.useRealTimers();
});

/** A request whose body the test sends piece by piece. */
class Sending {
  isCancelled = false;
  readonly request: Request;
  readonly #client = new AbortController();
  #sink: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(headers: Record<string, string> = {}) {
    const body = new ReadableStream<Uint8Array>({
      start: (sink) => {
        this.#sink = sink;
      },
      cancel: () => {
        this.isCancelled = true;
      },
    });
    this.request = new Request("http://fanout.test/", { method: "POST", body, headers, signal: this.#client.signal });
  }

  send(bytes: number, of = "x"): this {
    this.#sink?.enqueue(new TextEncoder().encode(of.repeat(bytes)));
    return this;
  }

  end(): this {
    this.#sink?.close();
    return this;
  }

  leave(): void {
    this.#client.abort();
  }

  breakOff(): void {
    this.#sink?.error(new Error("the connection was lost"));
  }
}

/** Returns a body's text, or the status of its refusal. */
function outcome({ request }: Sending, use = async (body: Uint8Array) => new TextDecoder().decode(body)) {
  return withBody(request, use).catch((error: unknown) => {
    if (error instanceof Error && "status" in error) return error.status;
    throw error;
  });
}

/** Waits until the pieces sent so far are read. */
async function read(): Promise<void> {
  await vi.advanceTimersByTimeAsync(1);
  for (let turn = 0; turn < 100; turn++) await undefined;
}

/** A body of the greatest length. */
const full = () => new Sending().send(1_000_000).end();

test("a body is the concatenation of its pieces, whatever their size", async () => {
  const body = new Sending();
  const text = outcome(body);
  const sizes = [1, 0, 4_095, 4_096, 16_384, 100_000, 1, 700_000];
  for (const [i, size] of sizes.entries()) body.send(size, String(i));
  body.end();
  expect(await text).toBe(sizes.map((size, i) => String(i).repeat(size)).join(""));
  expect(await outcome(new Sending().end())).toBe("");
});

describe("a body is refused, and no longer read, if it", () => {
  test.each([
    ["claims to be too long", { "Content-Length": "1000001" }, 1],
    ["is too long", {}, 1_000_001],
  ])("%s", async (_, headers, size) => {
    const body = new Sending(headers);
    body.send(size);
    expect(await outcome(body)).toBe(413);
    expect(body.isCancelled).toBe(true);
  });

  test("pauses for ten seconds", { tags: ["body-in-time", "status-408"] }, async () => {
    const body = new Sending().send(1);
    const status = outcome(body);
    await read();
    await vi.advanceTimersByTimeAsync(10 * SECOND);
    expect(await status).toBe(408);
    expect(body.isCancelled).toBe(true);
  });

  test("takes more than thirty seconds", { tags: ["body-in-time"] }, async () => {
    const body = new Sending();
    const status = outcome(body);
    let isOver = false;
    void status.finally(() => {
      isOver = true;
    });
    let passed = 0;
    for (; !isOver; passed += 5) {
      body.send(5_000);
      await read();
      await vi.advanceTimersByTimeAsync(5 * SECOND);
      await read();
    }
    expect([await status, passed]).toEqual([408, 30]);
  });

  test("breaks off", async () => {
    const body = new Sending().send(1);
    const status = outcome(body);
    await read();
    body.breakOff();
    expect(await status).toBe(400);
  });

  test("exceeds the shared memory, until another one is done", { tags: ["body-in-time"] }, async () => {
    const { promise: held, resolve: done } = Promise.withResolvers<void>();
    const others = Array.from({ length: 15 }, async () => {
      return outcome(full(), () => held.then(() => "used"));
    });
    await read();
    const tooMany = new Sending();
    const status = outcome(tooMany);
    for (let i = 0; i < 16; i++) tooMany.send(62_500);
    expect(await status).toBe(503);
    expect(tooMany.isCancelled).toBe(true);
    done();
    expect(await Promise.all(others)).toEqual(Array(15).fill("used"));
    expect(await outcome(full())).toHaveLength(1_000_000);
  });
});

test("bodies of clients that have gone stop counting at once", async () => {
  const bodies = Array.from({ length: 16 }, () => new Sending().send(1_000_000));
  for (const body of bodies) void outcome(body);
  await read();
  expect(await outcome(full())).toBe(503);
  for (const body of bodies) body.leave();
  expect(await outcome(full())).toHaveLength(1_000_000);
});

test("bodies of cancelled requests stop counting after a minute", async () => {
  for (let i = 0; i < 16; i++) {
    // Neither its end nor its timers run.
    void outcome(full(), () => new Promise(() => {}));
  }
  await read();
  const status = outcome(full());
  expect(await status).toBe(503);
  await vi.advanceTimersByTimeAsync(61 * SECOND);
  expect(await outcome(full())).toHaveLength(1_000_000);
});
