import { expect, test } from "vitest";
import { messagesIn } from "../../../src/cli/input.ts";
import { jsonOf, visible } from "../../../src/cli/visible.ts";

async function read(parts: (string | number[])[], separator: 0 | 10 = 10) {
  async function* bytes() {
    for (const part of parts) yield Buffer.from(typeof part === "string" ? Buffer.from(part) : part);
  }
  const read: [number, string][] = [];
  for await (const { number, text } of messagesIn(bytes(), separator)) read.push([number, text]);
  return read;
}

test("reads lines and their numbers, however the bytes are split", async () => {
  const lines = [
    [1, "a"],
    [3, "bü"],
    [4, "c"],
  ];
  expect(await read(["a\r\n\nb", [0xc3], [0xbc], "\nc"])).toEqual(lines);
  expect(await read(["a\n\nbü\nc\n"])).toEqual(lines);
});

test("reads messages that end with NUL, and refuses line breaks in them", async () => {
  expect(await read(["a\0b\r\0"], 0)).toEqual([
    [1, "a"],
    [2, "b\r"],
  ]);
  await expect(read(["a\0b\nc\0"], 0)).rejects.toThrow("message 2 has a line break");
});

test("refuses bytes that aren't UTF-8, and giant lines, with the number of the line", {
  tags: ["pub-text"],
}, async () => {
  await expect(read(["a\nb\n", [0xff, 10]])).rejects.toThrow("line 3 isn't UTF-8");
  await expect(read(["a\n", "x".repeat(1_000_001)])).rejects.toThrow("line 2 has more than 1000000 bytes");
});

test("escapes all characters that a terminal could interpret, and no others", () => {
  expect(visible("a\tü\u{1f600}")).toBe("a\tü\u{1f600}");
  expect(visible("\u001b]52;c;eA==\u0007\u009b2J\u202e\u2066\u007f")).toBe(
    "\\u001b]52;c;eA==\\u0007\\u009b2J\\u202e\\u2066\\u007f",
  );
  const text = '\u001b\u009b\u202e\n"\\';
  expect(jsonOf({ text })).toMatch(/^[ -~]+$/);
  expect(JSON.parse(jsonOf({ text }))).toEqual({ text });
});
