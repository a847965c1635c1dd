import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Command,
  channelFault,
  formatError,
  formatMessage,
  formatTime,
  GREETING,
  isLongerThan,
  MAX_NAME_BYTES,
  nameFault,
  parseCommand,
  utf8Length,
} from "../src/protocol.ts";

/** Strings as JavaScript has them: any code units, surrogates without partners among them. */
const anyUnits = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(0x7f)), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units));

/** Pieces that make a line nearly a command, or nearly a name, far more often than chance would. */
const pieces = fc.constantFrom(
  ..."announce subscribe unsubscribe ping info debug all __proto__ x ! é € 😀".split(" "),
  ..." \r\t\u0000\u001f\u007f\u0080\u009f\u00a0\ud83d".split(""),
  "n".repeat(84),
  "é".repeat(42),
);
const nearly = fc.array(pieces, { maxLength: 8 }).map((some) => some.join(""));
const anyLine = fc.oneof(nearly, anyUnits, fc.string({ unit: "binary" }));

const goodName = fc.oneof(nearly, anyUnits).filter((name) => channelFault(name) === undefined);
const encoder = new TextEncoder();
const bytesOf = (text: string) => encoder.encode(text).length;

/** The rules for names, said another way. */
function isName(text: string): boolean {
  const bytes = bytesOf(text);
  const fits = bytes >= 1 && bytes <= 255;
  return fits && [...text].every((character) => character !== "!" && !/^[\p{Cc} ]$/u.test(character));
}

/** What must hold of a command whatever line it came from. */
function checkCommand(line: string, command: Command): void {
  switch (command.kind) {
    case "nothing":
      expect(line).toMatch(/^\r?$/);
      break;
    case "ping":
    case "info":
      expect([command.kind, `${command.kind}\r`]).toContain(line);
      break;
    case "subscribe":
    case "unsubscribe":
      expect(isName(command.channel)).toBe(true);
      expect(line.replace(/\r$/, "").split(" ").filter(Boolean).slice(0, 2)).toEqual([
        command.kind,
        command.channel,
      ]);
      expect(`${command.kind} ${command.channel}`).not.toBe("subscribe debug");
      break;
    case "announce":
      expect(isName(command.channel)).toBe(true);
      expect(command.channel).not.toBe("debug");
      expect(command.message).not.toBe("");
      expect(line).toBe(`announce ${command.channel} ${command.message}`);
      break;
    case "refused":
      // It goes out as a line of its own.
      expect(command.why).toMatch(/^[^\n]+$/);
      break;
    default:
      expect.unreachable(`no such command: ${JSON.stringify(command)}`);
  }
}

describe("reading lines", () => {
  test("any string is a command of some kind", () => {
    fc.assert(fc.property(anyLine, (line) => checkCommand(line, parseCommand(line))));
  });

  test("any bytes, decoded, are a command of some kind", () => {
    const decoder = new TextDecoder();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const line = decoder.decode(bytes);
        checkCommand(line, parseCommand(line));
      }),
    );
  });

  test("an announcement gives back its channel and its message as they were", () => {
    const message = fc.oneof(anyLine, fc.constantFrom(" ", "!", "\r", " ! ")).filter((text) => text !== "");
    fc.assert(
      fc.property(goodName, message, (channel, text) => {
        expect(parseCommand(`announce ${channel} ${text}`)).toEqual({
          kind: "announce",
          channel,
          message: text,
        });
      }),
    );
  });

  test("a subscription gives back its channel, however many spaces and words are around it", () => {
    const spaces = fc.integer({ min: 1, max: 4 }).map((n) => " ".repeat(n));
    const after = fc.constantFrom("", " ", " and more", "   words\twith ! in them", "\r", " \r", " words\r");
    const kinds = fc.constantFrom("subscribe" as const, "unsubscribe" as const);
    fc.assert(
      fc.property(kinds, spaces, goodName, after, (kind, gap, channel, rest) => {
        expect(parseCommand(`${kind}${gap}${channel}${rest}`)).toEqual({ kind, channel });
      }),
    );
  });

  const refused = (why: RegExp) => ({ kind: "refused", why: expect.stringMatching(why) });
  const subscribe = (channel: string) => ({ kind: "subscribe", channel });
  const announce = (channel: string, message: string) => ({ kind: "announce", channel, message });
  const longest = "n".repeat(255);

  test.each<[line: string, command: object]>([
    ["ping", { kind: "ping" }],
    ["ping\r", { kind: "ping" }],
    ["ping\r\r", refused(/unknown/)],
    ["ping ", refused(/unknown/)],
    [" ping", refused(/unknown/)],
    ["PING", refused(/unknown/)],
    ["info", { kind: "info" }],
    ["info\r", { kind: "info" }],
    ["Info", refused(/unknown/)],

    ["", { kind: "nothing" }],
    ["\r", { kind: "nothing" }],
    [" ", refused(/unknown/)],
    ["\r\r", refused(/unknown/)],
    ["hello", refused(/unknown/)],
    ["\ufeffping", refused(/unknown/)],
    ["__proto__", refused(/unknown/)],
    ["constructor x", refused(/unknown/)],

    ["subscribe x", subscribe("x")],
    ["subscribe x\r", subscribe("x")],
    ["subscribe    x", subscribe("x")],
    ["subscribe x y z", subscribe("x")],
    ["subscribe x y\r", subscribe("x")],
    ["subscribe x ", subscribe("x")],
    ["subscribe x \r", subscribe("x")],
    ["subscribe a/b", subscribe("a/b")],
    ["subscribe X", subscribe("X")],
    ["subscribe all", subscribe("all")],
    ["subscribe Debug", subscribe("Debug")],
    ["subscribe __proto__", subscribe("__proto__")],
    ["subscribe constructor", subscribe("constructor")],
    ["subscribe toString", subscribe("toString")],
    [`subscribe ${longest}`, subscribe(longest)],
    [`subscribe ${longest}n`, refused(/255/)],
    ["subscribe", refused(/missing/)],
    ["subscribe\r", refused(/missing/)],
    ["subscribe ", refused(/missing/)],
    ["subscribe   \r", refused(/missing/)],
    ["subscribe debug", refused(/debug/)],
    ["subscribe a!b", refused(/'!'/)],
    ["subscribe x\r y", refused(/control/)],
    ["subscribe\tx", refused(/unknown/)],
    ["subscribe x\ty", refused(/control/)],
    ["SUBSCRIBE x", refused(/unknown/)],
    ["subscribed x", refused(/unknown/)],

    ["unsubscribe x", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe   x y\r", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe __proto__", { kind: "unsubscribe", channel: "__proto__" }],
    ["unsubscribe debug", { kind: "unsubscribe", channel: "debug" }],
    ["unsubscribe", refused(/missing/)],
    ["unsubscribe a!b", refused(/'!'/)],

    ["announce x hi", announce("x", "hi")],
    ["announce x  hi", announce("x", " hi")],
    ["announce x hi ", announce("x", "hi ")],
    ["announce x  ", announce("x", " ")],
    ["announce x hi\r", announce("x", "hi\r")],
    ["announce x \r", announce("x", "\r")],
    ["announce x !", announce("x", "!")],
    ["announce x y!z", announce("x", "y!z")],
    ["announce x \u0000", announce("x", "\u0000")],
    ["announce all hi", announce("all", "hi")],
    ["announce __proto__ hi", announce("__proto__", "hi")],
    ["announce constructor hi", announce("constructor", "hi")],
    ["announce toString hi", announce("toString", "hi")],
    ["announce x", refused(/message is missing/)],
    ["announce x ", refused(/message is missing/)],
    ["announce x\r", refused(/control/)],
    ["announce", refused(/takes/)],
    ["announce\r", refused(/takes/)],
    ["announce ", refused(/name is missing/)],
    ["announce  x hi", refused(/name is missing/)],
    ["announce debug hi", refused(/debug/)],
    ["announce a!b hi", refused(/'!'/)],
    ["announce x\r hi", refused(/control/)],
    ["ANNOUNCE x hi", refused(/unknown/)],
  ])("%j", (line, command) => {
    expect(parseCommand(line)).toEqual(command);
  });
});

describe("lengths", () => {
  test("utf8Length is the length that encoding gives", () => {
    fc.assert(fc.property(anyLine, (text) => utf8Length(text) === bytesOf(text)));
  });

  test("isLongerThan agrees with it", () => {
    fc.assert(
      fc.property(anyLine, fc.nat(1000), fc.integer({ min: -2, max: 2 }), (text, limit, near) => {
        expect(isLongerThan(text, limit)).toBe(bytesOf(text) > limit);
        expect(isLongerThan(text, bytesOf(text) + near)).toBe(near < 0);
      }),
    );
  });
});

describe("names", () => {
  test("have 1 to 255 bytes, no '!', no space, no control character", () => {
    fc.assert(fc.property(anyLine, (name) => (nameFault(name) === undefined) === isName(name)));
  });

  test("no character but '!', space and control characters is forbidden", () => {
    const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit));
    expect(units.filter((unit) => (nameFault(unit) === undefined) !== isName(unit))).toEqual([]);
  });

  test.each(["n", "é", "€", "😀"])("end at 255 bytes, of %s as of others", (character) => {
    const most = Math.floor(MAX_NAME_BYTES / bytesOf(character));
    expect(nameFault(character.repeat(most))).toBeUndefined();
    expect(nameFault(character.repeat(most + 1))).toMatch(/255/);
  });

  test("'debug' is a name, but not of a channel", () => {
    expect(nameFault("debug")).toBeUndefined();
    expect(channelFault("debug")).toMatch(/debug/);
    fc.assert(fc.property(anyLine, (name) => name === "debug" || channelFault(name) === nameFault(name)));
  });
});

describe("writing lines", () => {
  test("a message's line divides at its first '!' into channel and message", () => {
    fc.assert(
      fc.property(goodName, anyUnits, (channel, message) => {
        const line = formatMessage(channel, message);
        const at = line.indexOf("!");
        expect([line.slice(0, at), line.slice(at + 1)]).toEqual([channel, `${message}\n`]);
      }),
    );
  });

  test("the greeting, errors and times are what clients look for", () => {
    expect(GREETING).toBe("debug!connected...\n");
    expect(formatError("no such thing")).toBe("debug!error no such thing\n");
    expect(formatTime(1_795_438_800_999)).toBe("1795438800\n");
  });
});
