/**
 * Bodies that are too slow, too long or in tiny pieces, sent to the bare runtime. They must not affect a bystander.
 */
import { afterEach, beforeAll, expect, test } from "vitest";
import { Bystander } from "./support/bystander.ts";
import { type Answer, type Bytes, bytesOf, RawClient, request } from "./support/raw-client.ts";
import { memoryOf } from "./support/runtime.ts";
import { type Served, serve } from "./support/serve.ts";

let runtime: Served;
let bystander: Bystander;

beforeAll(async () => {
  runtime = await serve();
  bystander = await Bystander.connect(runtime);
  return runtime.end;
});

// The attacking connections are still open here.
afterEach(() => bystander.receivesMore());

/** Maximum growth of the runtime's memory, in KiB: twice the 16 MB that all bodies share. */
const BOUND = (2 * 16_000_000) / 1_024;

const CHUNKED = "Transfer-Encoding: chunked";

function chunk(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}

/**
 * Begins a POST with a part of its body, in one write, because a client that still writes after the refusal only learns
 * that the connection is closed.
 */
async function begin(headers: string[], ...parts: Bytes[]): Promise<RawClient> {
  const client = await RawClient.connect(runtime);
  client.send(Buffer.concat([request("/posted", headers, "POST"), ...parts.map(bytesOf)]));
  return client;
}

/** Sends a POST, and returns the response. */
async function post(headers: string[], ...parts: Bytes[]): Promise<Answer> {
  return (await begin(headers, ...parts)).answer();
}

test("200,000 chunks of one byte use only one message's memory", async () => {
  const pieces = chunk("x").toString().repeat(1_000);
  const before = await memoryOf(runtime.pid);
  const answer = await post([CHUNKED], ...Array<string>(60).fill(pieces), "0\r\n\r\n");
  expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('"count":1') });
  // Too long for a line, but the body is read completely.
  const long = await post([CHUNKED], ...Array<string>(200).fill(pieces), "0\r\n\r\n");
  expect(long).toMatchObject({ status: 400, head: expect.stringMatching(/^fanout-error: limit\r$/im) });
  // At 4 kB per chunk it would be 800 MB.
  expect((await memoryOf(runtime.pid)) - before).toBeLessThan(BOUND);
});

test.each<[what: string, headers: string[], parts: Bytes[]]>([
  ["with its length", ["Content-Length: 1000001"], ["x"]],
  ["in a chunk", [CHUNKED], [chunk("x".repeat(1_000_001))]],
  ["in many chunks", [CHUNKED], Array<Bytes>(101).fill(chunk("x".repeat(9_901)))],
])("a body that is too long, %s, is refused", { tags: ["body-limit", "status-413-415"] }, async (_, headers, parts) => {
  expect(await post(headers, ...parts)).toMatchObject({
    status: 413,
    head: expect.stringMatching(/^fanout-error: limit\r$/im),
    body: "A body has at most 1000000 bytes.\n",
  });
});

test("a body of a million bytes is announced, however it is split", async () => {
  const lines = Array.from({ length: 16 }, (_, i) => `${i}`.padEnd(62_499, "x"));
  const body = `${lines.join("\n")}\n`;
  expect(body).toHaveLength(1_000_000);
  const whole = await post([`Content-Length: ${body.length}`], body);
  expect(whole).toMatchObject({ status: 200, body: expect.stringContaining('"count":16') });
  const pieces = Array.from({ length: 101 }, (_, i) => body.slice(i * 9_999, (i + 1) * 9_999));
  const cut = await post([CHUNKED], ...pieces.map(chunk), "0\r\n\r\n");
  expect(cut).toMatchObject({ status: 200, body: expect.stringContaining('"count":16') });
});

/** Announces a message while or after bodies are refused. */
async function expectTaken(): Promise<void> {
  const line = "y".repeat(60_000);
  expect(await post([`Content-Length: ${line.length}`], line)).toMatchObject({ status: 200 });
}

test("150 bodies that never end are refused: those without room at once, the others within ten seconds", async () => {
  const before = await memoryOf(runtime.pid);
  // A body of one byte per second gets no more time. It is sent first, so that it has room.
  const slow = await begin([CHUNKED], chunk("x"));
  const dripping = setInterval(() => slow.send(chunk("x")), 1_000);
  const crowd = Array.from({ length: 150 }, () => begin(["Content-Length: 1000000"], "x".repeat(900_000)));
  const clients = await Promise.all(crowd);
  const answers = await Promise.all(clients.map(answerOf));
  // The runtime itself holds a part of each body.
  expect((await memoryOf(runtime.pid)) - before).toBeLessThan(4 * BOUND);
  const waited = answers.filter((answer) => answer?.status === 408);
  expect(waited.length).toBeGreaterThan(0);
  expect(waited.length).toBeLessThanOrEqual(16);
  for (const answer of answers) {
    if (!answer) continue;
    expect([408, 503]).toContain(answer.status);
    expect(answer.head).toMatch(/^fanout-error: unavailable\r$/im);
  }
  expect(await slow.answer().finally(() => clearInterval(dripping))).toMatchObject({ status: 408 });
  await expectTaken();
});

/** Returns the response when the connection has ended; undefined if it ended while the client was writing. */
async function answerOf(client: RawClient): Promise<Answer | undefined> {
  await client.ended();
  return client.answer().catch(() => undefined);
}

test("incomplete bodies leave nothing behind", async () => {
  for (let i = 0; i < 150; i++) {
    const client = await begin(["Content-Length: 1000000"], "x".repeat(900_000));
    client.reset();
  }
  // The server notices the last resets later, but long before it would forget the bodies anyway.
  const line = "y".repeat(60_000);
  const status = async () => (await post([`Content-Length: ${line.length}`], line)).status;
  await expect.poll(status, { timeout: 30_000 }).toBe(200);
});
