/** Invalid and extreme frames and commands. They must not affect a bystander. */
import { readdir, readFile } from "node:fs/promises";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Bystander } from "./support/bystander.ts";
import {
  BINARY,
  type Bytes,
  bytesOf,
  CLOSE,
  CONTINUATION,
  fragments,
  frame,
  PING,
  RawClient,
  TEXT,
} from "./support/raw-client.ts";
import { type Server, startServer } from "./support/server.ts";

/** More bytes than the server's limit of a frame, but not the runtime's. */
const BIG = 30_000_000;

let server: Server;
let bystander: Bystander;
let baseline = 0;

beforeAll(async () => {
  server = await startServer();
  bystander = await Bystander.connect(server);
  await bystander.receivesMore();
  baseline = await memoryOf(server.group);
  return server.stop;
});

// The attacking connections are still open here.
afterEach(() => bystander.receivesMore());

describe("invalid UTF-8 is refused in binary frames, and replaced in text frames", () => {
  test.each<[string, number[]]>([
    ["the first of two bytes", [0xc3]],
    ["two of three bytes", [0xe2, 0x82]],
    ["three of four bytes", [0xf0, 0x9f, 0x98]],
    ["a continuation byte alone", [0x80]],
    ["a slash in two bytes", [0xc0, 0xaf]],
    ["a line end in two bytes", [0xc0, 0x8a]],
    ["a NUL in three bytes", [0xe0, 0x80, 0x80]],
    ["a lone surrogate", [0xed, 0xa0, 0x80]],
    ["a pair of surrogates", [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
    ["a code point beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
    ["0xFF", [0xff]],
    ["0xFE 0xFF", [0xfe, 0xff]],
  ])("%s", async (_, bytes) => {
    const client = await RawClient.upgrade(server, "echo");
    const command = "announce echo x\n";
    const refusal = "debug!error invalid frame: a frame must be UTF-8; none of its lines were executed";
    for (let at = 0; at <= command.length; at++) {
      const parts = [command.slice(0, at), bytes, command.slice(at)];
      const broken = Buffer.concat(parts.map(bytesOf));
      client.send(frame(TEXT, broken.toString()));
      const replaced = await client.outcome();
      client.send(frame(TEXT, broken), fragments(TEXT, broken));
      client.send(frame(BINARY, broken), fragments(BINARY, broken));
      expect(await client.outcome()).toEqual([...replaced, ...replaced, refusal, refusal]);
    }
  });
});

describe("control characters", () => {
  const all = [...range(0, 0x20), ...range(0x7f, 0xa0)].map((code) => String.fromCodePoint(code));
  // A line end makes two lines.
  const characters = all.filter((character) => character !== "\n");

  test("are refused in commands", async () => {
    const client = await RawClient.upgrade(server);
    for (const character of characters) client.send(frame(TEXT, `pi${character}ng`));
    const refusals = characters.map(() => expect.stringMatching(/^debug!error invalid (line|pi): unknown command/));
    expect(await client.outcome()).toEqual(refusals);
  });

  test.each(["subscribe", "unsubscribe", "announce"])("are refused in names to %s", async (verb) => {
    const client = await RawClient.upgrade(server);
    for (const character of characters) client.send(frame(TEXT, `${verb} a${character}b x`));
    const refusals = characters.map(
      () => `debug!error invalid ${verb}: a channel name has no '!', space or control character; use '-' instead`,
    );
    expect(await client.outcome()).toEqual(refusals);
  });

  test.each([TEXT, BINARY])(
    "are unchanged in messages, in frames with opcode %i",
    { tags: ["message-bytes"] },
    async (opcode) => {
      const client = await RawClient.upgrade(server, "echo");
      for (const character of characters) client.send(frame(opcode, `announce echo ${character}\n`));
      const message = characters.join("");
      client.send(frame(opcode, `announce echo ${message}`));
      expect(await client.outcome()).toEqual([...characters, message].map((each) => `echo!${each}`));
    },
  );
});

describe("text that other programs would interpret is delivered unchanged, and isn't logged", () => {
  test.each([
    ["HTML", "<script>alert('marker')</script>", "</pre><script>alert('marker')</script>"],
    ["a format", "%s%n%xmarker", "%s%n%x%1000000d marker {0} $marker"],
    ["a prototype", "__proto__", '{"__proto__":{"marker":1}}'],
    ["a constructor", "constructor", "marker.constructor.prototype"],
    ["a path", "../../../marker", "../../../../etc/marker"],
    ["SQL", "';DROP/**/TABLE/**/marker;--", "'; DROP TABLE marker; --"],
    ["a terminal's commands", "[2J[31mmarker", "\u001b[2J\u001b]0;marker\u0007\u009b31m"],
  ])("%s", async (_, name, message) => {
    const client = await RawClient.upgrade(server);
    client.send(frame(TEXT, `subscribe ${name}\nannounce ${name} ${message}`));
    expect(await client.outcome()).toEqual([`${name}!${message}`]);
    client.send(frame(TEXT, `unsubscribe ${name}\nannounce ${name} ${message}\n${name} ${message}`));
    expect(await client.outcome()).toEqual([
      expect.stringMatching(/^debug!error invalid (line|constructor): unknown command/),
    ]);
    expect(server.output()).not.toMatch(/marker/);
  });
});

describe("the reply to", () => {
  const scraps = "x".repeat(100_000);
  const tooLong = (head: string) =>
    `debug!error limit ${head}: a line has at most 65536 bytes; split the message, or raise MAX_LINE_BYTES`;
  const unknown = (command: string) =>
    expect.stringMatching(new RegExp(`^debug!error invalid ${command}: unknown command`));
  const unfinished = frame(TEXT, "oo", { final: false });
  const nothing = Buffer.concat(scraps.split("").map(() => frame(CONTINUATION, "", { final: false })));

  test.each<[string, () => Bytes, unknown[]]>([
    ["a line that is too long", () => frame(TEXT, "x".repeat(65_537)), [tooLong("line")]],
    [
      "a message that is too long",
      () => frame(BINARY, `announce echo ${scraps}\nx`),
      [tooLong("announce echo"), unknown("x")],
    ],
    ["a line in 100,000 frames", () => fragments(TEXT, scraps), [tooLong("line")]],
    ["100,000 empty frames", () => [...unfinished, ...nothing, ...frame(CONTINUATION, "ps")], [unknown("oops")]],
    ["2,000,000 empty lines", () => frame(TEXT, "\n".repeat(2_000_000)), ["closed 1008"]],
    ["30 MB", () => frame(TEXT, Buffer.alloc(BIG, "x")), ["closed 1009"]],
    ["30 MB of line ends", () => frame(BINARY, Buffer.alloc(BIG, "\n")), ["closed 1009"]],
    ["40 MB", () => frame(TEXT, Buffer.alloc(40_000_000, "x")), ["closed 1009"]],
    ["2^63 bytes claimed", () => frame(BINARY, "x", { claimed: 2n ** 63n }), ["closed 1009"]],
    ["2^64 - 1 bytes claimed", () => frame(TEXT, "x", { claimed: 2n ** 64n - 1n }), ["closed 1009"]],
    ["2^63 bytes claimed by a ping", () => frame(PING, "x", { claimed: 2n ** 63n }), ["closed 1009"]],
    ["a message within a message", () => [...unfinished, ...frame(TEXT, "ps")], ["closed 1002"]],
    ["a continuation of nothing", () => frame(CONTINUATION, "oops"), ["closed 1002"]],
    ["a ping in two frames", () => frame(PING, "?", { final: false }), ["closed 1002"]],
    ["the first reserved bit", () => frame(TEXT, "oops", { reserved: 0x40 }), ["closed 1002"]],
    ["the second reserved bit", () => frame(TEXT, "oops", { reserved: 0x20 }), ["closed 1002"]],
    ["the third reserved bit", () => frame(PING, "?", { reserved: 0x10 }), ["closed 1002"]],
    // The runtime could refuse these, but accepts them.
    ["a frame without a mask", () => frame(TEXT, "oops", { masked: false }), [unknown("oops")]],
    ["a short length written long", () => frame(TEXT, "oops", { claimed: 4n }), [unknown("oops")]],
    ["a ping of 126 bytes", () => frame(PING, "?".repeat(126)), [`pong ${"?".repeat(126)}`]],
  ])("%s", async (_, bytes, expected) => {
    const client = await RawClient.upgrade(server);
    client.send(bytes());
    expect(await client.outcome()).toEqual(expected);
  });

  test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])("a frame with opcode %i", async (opcode) => {
    const client = await RawClient.upgrade(server);
    client.send(frame(opcode, "ping"));
    expect(await client.outcome()).toEqual(["closed 1002"]);
  });

  test("pings between the frames of a message", async () => {
    const client = await RawClient.upgrade(server);
    client.send(fragments(TEXT, "oops", frame(PING, "?")));
    const said = await client.outcome();
    // One pong may answer several pings.
    expect(said).toContain("pong ?");
    expect(said.filter((line) => line !== "pong ?")).toEqual([unknown("oops")]);
  });

  test.each(["read", "not read"])("100,000 pings whose pongs are %s", async (pongs) => {
    const client = await RawClient.upgrade(server);
    if (pongs === "not read") client.pause();
    client.send(Buffer.concat(scraps.split("").map((_, i) => frame(PING, String(i)))));
    await bystander.receivesMore();
    client.resume();
    // One pong may answer several pings.
    const answers = (await client.outcome()).filter((line) => line.startsWith("pong"));
    expect(answers.at(-1)).toBe("pong 99999");
  });
});

describe("a close frame", () => {
  const coded = (code: number, reason: Bytes = "bye") => [code >> 8, code & 255, ...bytesOf(reason)];

  test.each<[string, number[], number]>([
    ["without a code", [], 1005],
    ["with half a code", [3], 1005],
    ["with the code for a missing code", coded(1005), 1005],
    ["with a reason that isn't UTF-8", coded(1000, [0xff, 0xc3]), 1000],
    ["with a reason of control characters", coded(1000, [0, 10, 13, 27]), 1000],
    ["with a reason that is too long", coded(1000, "x".repeat(124)), 1002],
  ])("%s is answered", answersClose);

  test.each([1000, 1001, 1007, 1014, 1016, 2999, 3000, 4999])("with code %i is answered", (code) =>
    answersClose("", coded(code), code),
  );

  test.each([0, 1, 999, 1004, 1006, 1015, 5000, 65_535])("with code %i is answered with another code", (code) =>
    answersClose("", coded(code), 1002),
  );
});

async function answersClose(_: string, payload: number[], code: number): Promise<void> {
  const client = await RawClient.upgrade(server);
  client.send(frame(CLOSE, payload));
  expect(await client.outcome()).toEqual([`closed ${code}`]);
  await client.ended();
}

test.skipIf(process.platform !== "linux")("memory decreases again", async ({ signal }) => {
  const big = frame(BINARY, Buffer.alloc(BIG));
  for (let i = 0; i < 25; i++) {
    const [whole, broken] = await Promise.all([RawClient.upgrade(server), RawClient.upgrade(server)]);
    broken.send(big.subarray(0, -1));
    await broken.sent();
    broken.reset();
    whole.send(big);
    expect(await whole.outcome()).toEqual(["closed 1009"]);
    whole.reset();
  }
  // It was three times as much. The runtime releases memory only when it has work to do.
  while ((await memoryOf(server.group)) > baseline + 500 * 1024 && !signal.aborted) {
    await bystander.receivesMore();
  }
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** Returns the resident memory of the runtimes in a process group, in KiB. */
async function memoryOf(group: number): Promise<number> {
  let sum = 0;
  for (const pid of await readdir("/proc")) {
    // Not all entries are processes, and a process may have ended.
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const [, name, inGroup, resident] = /^Name:\t(\S+).*^NSpgid:\t(\d+).*^VmRSS:\s+(\d+)/ms.exec(status) ?? [];
    if (name === "workerd" && Number(inGroup) === group) sum += Number(resident);
  }
  return sum;
}
