/** Frames: their lines, and how lines are split into frames. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countEnds,
  countLines,
  dropLines,
  type Frame,
  framesOf,
  insertLine,
  isTooBig,
  lengthOf,
  sizeOf,
  textOf,
} from "../../../src/protocol/frames.ts";
import { bytesOf } from "./texts.ts";

/** The same text as bytes, as clients may also send it. */
function asBytes(text: string): ArrayBuffer {
  return new TextEncoder().encode(text).buffer;
}

const line = fc.oneof(fc.string(), fc.constantFrom("", "\r", "é", "\ufeff", "\u{1f600}"));
const text = fc.array(line, { maxLength: 20 }).map((lines) => lines.join("\n"));

describe("a frame from a client", () => {
  test("has the same text and size as text and as bytes", () => {
    fc.assert(
      fc.property(text, fc.nat(40), (sent, limit) => {
        const bytes = asBytes(sent);
        expect([textOf(sent), textOf(bytes)]).toEqual([sent, sent]);
        expect([lengthOf(sent), lengthOf(bytes)]).toEqual([sent.length, bytesOf(sent)]);
        for (const frame of [sent, bytes] satisfies Frame[]) {
          expect(sizeOf(frame)).toBe(1 + bytesOf(sent));
          expect(isTooBig(frame, limit)).toBe(bytesOf(sent) > limit);
        }
      }),
    );
  });

  test("counts its lines, with or without a final line end", () => {
    fc.assert(
      fc.property(text, (sent) => {
        const lines = Math.max(1, sent.replace(/\n$/, "").split("\n").length);
        expect([countLines(sent), countLines(asBytes(sent))]).toEqual([lines, lines]);
      }),
    );
  });

  test("that isn't UTF-8 has no text", () => {
    for (const bytes of [[0xff], [0x70, 0xc3], [0xed, 0xa0, 0x80], [0x0a, 0xc0, 0x80]]) {
      expect(textOf(new Uint8Array(bytes).buffer)).toBeUndefined();
    }
  });
});

describe("frames to a client", () => {
  test("hold whole lines in order, at most 64 KiB unless a single line is longer", () => {
    const lengths = fc.array(fc.oneof(fc.nat(70_000), fc.nat(10)), { maxLength: 12 });
    fc.assert(
      fc.property(lengths, (each) => {
        const lines = each.map((length) => `${"x".repeat(length)}\n`).join("");
        const frames = framesOf(lines);
        expect(frames.join("") === lines).toBe(true);
        for (const frame of frames) {
          expect(frame.endsWith("\n")).toBe(true);
          expect(frame.length <= 65_536 || frame.indexOf("\n") === frame.length - 1).toBe(true);
        }
        // The next frame's first line wouldn't have fitted.
        for (const [i, next] of frames.slice(1).entries()) {
          expect((frames[i] ?? "").length + next.indexOf("\n") + 1).toBeGreaterThan(65_536);
        }
      }),
    );
  });
});

test("lines can be dropped from the front", () => {
  fc.assert(
    fc.property(fc.array(fc.string().map((some) => some.replaceAll("\n", ""))), fc.nat(10), (lines, n) => {
      const few = Math.min(n, lines.length);
      const whole = lines.map((each) => `${each}\n`).join("");
      expect(dropLines(whole, few)).toBe(
        lines
          .slice(few)
          .map((each) => `${each}\n`)
          .join(""),
      );
    }),
  );
});

test("line ends are counted, the first character included", () => {
  expect(["", "a", "\n", "\na", "a\n\nb\n"].map(countEnds)).toEqual([0, 0, 1, 1, 3]);
});

test.each([
  [0, "a!1\na!2\nb!1\nNEW\n"],
  [1, "a!1\nNEW\na!2\nb!1\n"],
  [2, "NEW\na!1\na!2\nb!1\n"],
  [3, "NEW\na!1\na!2\nb!1\n"],
])("a line is inserted before the last %i lines of a channel", (count, result) => {
  expect(insertLine("a!1\na!2\nb!1\n", "NEW\n", "a!", count)).toBe(result);
});
