/** Lines of TCP clients, and clients that speak another protocol. */
import { expect, test } from "vitest";
import { clientLines, WrongProtocol } from "../../../src/bridge/client-lines.ts";

/** Returns the lines of a text that is received in parts, up to an error. */
async function read(...parts: string[]) {
  async function* receive() {
    yield* parts;
  }
  const lines: (string | undefined)[] = [];
  try {
    for await (const some of clientLines(receive(), 50, () => true)) lines.push(...some);
    return lines;
  } catch (error) {
    return error instanceof WrongProtocol ? [...lines, "wrong protocol"] : error;
  }
}

test.each([
  [
    ["ping\n", "info\n"],
    ["ping", "info"],
  ],
  [
    ["\r\n", "\n", "ping\n"],
    ["\r", "", "ping"],
  ],
  [
    ["pi", "ng\nGET\n"],
    ["ping", "GET"],
  ],
  [["GET / HTTP/1.1\r\n"], ["wrong protocol"]],
  [["G"], ["wrong protocol"]],
  [
    ["\r\n", "\u0016\u0003"],
    ["\r", "wrong protocol"],
  ],
  [["announce /news HTTP/1.1\r\n"], ["wrong protocol"]],
  [["\nannounce /news HTTP/1.1\n"], ["wrong protocol"]],
  [["\r\nannounce /news HTTP/1.1\n"], ["wrong protocol"]],
  [
    ["\n", "announce /news HTTP/1.1\n"],
    ["", "wrong protocol"],
  ],
  [["ping\nannounce /news HTTP/1.1\n"], ["ping", "announce /news HTTP/1.1"]],
  [
    ["ping\n", "announce /news HTTP/1.1\n", "\u0016\n"],
    ["ping", "announce /news HTTP/1.1", "\u0016"],
  ],
  [["announce ", "x".repeat(60), "\n"], ["wrong protocol"]],
])("%j is read as %j", async (parts, lines) => {
  expect(await read(...parts)).toEqual(lines);
});
