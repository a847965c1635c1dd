/** Replies, formatted and parsed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Refusal } from "../../../src/protocol/errors.ts";
import {
  ALIVE,
  BUSY,
  formatAccepted,
  formatError,
  formatFigure,
  formatGap,
  formatMessage,
  formatOnce,
  formatPosition,
  formatTime,
  GREETING,
  parseReply,
  type Reply,
} from "../../../src/protocol/replies.ts";
import { anyLine, anyMessage, anyPosition, anyUnits, goodKey, goodName } from "./texts.ts";

test("a message's line splits at its first '!' into channel and message", () => {
  fc.assert(
    fc.property(goodName, anyUnits, (channel, message) => {
      const line = formatMessage(channel, message);
      const at = line.indexOf("!");
      expect([line.slice(0, at), line.slice(at + 1)]).toEqual([channel, `${message}\n`]);
    }),
  );
});

test("the greeting, errors and times are formatted as clients expect", () => {
  expect(GREETING).toBe("debug!connected...\n");
  expect(BUSY).toBe("debug!busy\n");
  expect(formatError({ code: "invalid", command: "line", why: "unknown command" })).toBe(
    "debug!error invalid line: unknown command\n",
  );
  expect(formatError({ code: "forbidden", command: "subscribe", argument: "news", why: "no" })).toBe(
    "debug!error forbidden subscribe news: no\n",
  );
  expect(formatAccepted(1_795_438_800_999)).toBe("debug!token accepted until 1795438800\n");
  expect(formatTime(1_795_438_800_999)).toBe("1795438800\n");
  expect(ALIVE).toBe("debug!alive\n");
  expect(formatPosition("news", 7)).toBe("debug!position news 7\n");
  expect(formatGap("news", 7, 9)).toBe("debug!gap news 7 9\n");
  expect(formatOnce("order-1", 7)).toBe("debug!once order-1 7\n");
  expect(formatFigure("total pings", 3)).toBe("total pings: 3\n");
});

describe("parsing", () => {
  /** Parses `line`, which has to be one whole line. */
  function read(text: string): Reply {
    expect(text).toMatch(/^[^\n]+\n$/);
    return parseReply(text.slice(0, -1));
  }

  /** Milliseconds since 1970, from 0 to the value that stands for "never". */
  const time = fc.integer({ min: 0, max: Date.UTC(2180, 0) });
  const why = anyLine.map((text) => text.replaceAll("\n", ""));

  test("yields every channel and message unchanged", () => {
    fc.assert(
      fc.property(goodName, anyMessage, (channel, message) => {
        expect(read(formatMessage(channel, message))).toEqual({ kind: "message", channel, message });
      }),
    );
  });

  test("yields the server's lines to one connection", () => {
    expect(read(GREETING)).toEqual({ kind: "connected" });
    expect(read(BUSY)).toEqual({ kind: "busy" });
    fc.assert(
      fc.property(why, time, (text, milliseconds) => {
        const seconds = Math.floor(milliseconds / 1000);
        const refusal: Refusal = { code: "limit", command: "info", why: text };
        expect(read(formatError(refusal))).toEqual({ kind: "error", ...refusal });
        expect(read(formatAccepted(milliseconds))).toEqual({ kind: "accepted", until: seconds });
        expect(read(formatTime(milliseconds))).toEqual({ kind: "time", seconds });
      }),
    );
  });

  test("yields positions with their channel or key", () => {
    expect(read(ALIVE)).toEqual({ kind: "alive" });
    fc.assert(
      fc.property(goodName, goodKey, anyPosition, anyPosition, (channel, key, position, to) => {
        expect(read(formatPosition(channel, position))).toEqual({ kind: "position", channel, position });
        expect(read(formatGap(channel, position, to))).toEqual({ kind: "gap", channel, from: position, to });
        expect(read(formatOnce(key, position))).toEqual({ kind: "once", key, position });
      }),
    );
  });

  test("yields figures with any value", () => {
    const key = fc.stringMatching(/^[a-z][a-z -]*$/);
    fc.assert(
      fc.property(key, fc.oneof(fc.nat(), why), (name, value) => {
        expect(read(formatFigure(name, value))).toEqual({ kind: "figure", key: name, value: String(value) });
      }),
    );
  });

  test("accepts any line, and returns unknown ones unchanged", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        const reply = parseReply(line);
        if (reply.kind === "unknown") expect(reply).toEqual({ kind: "unknown", line });
        if (reply.kind === "message") expect(`${reply.channel}!${reply.message}`).toBe(line);
      }),
    );
    const almost = ["position", "position x", "position  1", "position x 1 2", "position x!y 1"];
    almost.push("position x -1", "position x 9007199254740992", "position x 1 ");
    almost.push("gap x 1", "gap x 1 y", "gap x 1 2 3", "once k", "once k 1 2", "once k x", "alive ", "Alive");
    for (const line of [
      ...almost.map((text) => `debug!${text}`),
      "debug!token accepted until dawn",
      ...["debug!hello", "debug!", "debug!error", "debug!error no such thing"],
      "hello",
      "-1",
      "1.5",
      "",
    ]) {
      expect(parseReply(line)).toEqual({ kind: "unknown", line });
    }
  });
});
