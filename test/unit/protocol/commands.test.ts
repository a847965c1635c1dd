/** The grammar of client commands. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ClientLine,
  type Command,
  formatCommand,
  parseCommand,
  refuseLine,
} from "../../../src/protocol/commands.ts";
import { formatRefusal, parseRefusal, type Refusal } from "../../../src/protocol/errors.ts";
import { keyFault } from "../../../src/protocol/keys.ts";
import { type From, formatFrom } from "../../../src/protocol/positions.ts";
import { anyFrom, anyLine, anyMessage, anyName, goodKey, goodName, isName } from "./texts.ts";

/** Checks that a refusal of `line` fits one line, and repeats no more than the line's first two words. */
function checkRefusal(line: string, refusal: Refusal): void {
  const { command, argument, why } = refusal;
  expect(why).toMatch(/^[^\n]+$/);
  expect(parseRefusal(formatRefusal(refusal))).toEqual(refusal);
  const [verb, word] = line.replace(/\r$/, "").split(" ").filter(Boolean);
  expect([verb, "line"]).toContain(command);
  expect(command).toMatch(/^[a-z]{1,16}$/);
  if (argument === undefined) return;
  expect(argument).toBe(word);
  expect(["subscribe", "unsubscribe", "announce", "once"]).toContain(command);
  expect(argument.isWellFormed()).toBe(true);
  expect(argument).not.toMatch(/[\p{Cc} ]/u);
  expect([...argument].length).toBeLessThanOrEqual(255);
}

/** Invariants of commands parsed from any line. */
function checkCommand(line: string, command: ClientLine): void {
  switch (command.kind) {
    case "empty":
      expect(line).toMatch(/^\r?$/);
      break;
    case "ping":
    case "info":
    case "keepalive":
      expect([command.kind, `${command.kind}\r`]).toContain(line);
      break;
    case "subscribe":
    case "unsubscribe":
      expect(isName(command.channel)).toBe(true);
      expect(line.replace(/\r$/, "").split(" ").filter(Boolean).slice(0, 2)).toEqual([command.kind, command.channel]);
      expect(`${command.kind} ${command.channel}`).not.toBe("subscribe debug");
      break;
    case "announce":
      expect(isName(command.channel)).toBe(true);
      expect(command.channel).not.toBe("debug");
      expect(command.message).not.toBe("");
      expect(line).toBe(`announce ${command.channel} ${command.message}`);
      break;
    case "once":
      expect(keyFault(command.key)).toBeUndefined();
      expect(isName(command.channel)).toBe(true);
      expect(command.channel).not.toBe("debug");
      expect(command.message).not.toBe("");
      expect(line).toBe(`once ${command.key} ${command.channel} ${command.message}`);
      break;
    case "token":
      expect(command.token).toMatch(/^[^ ]+$/);
      expect(line.replace(/\r$/, "").split(" ").filter(Boolean).slice(0, 2)).toEqual(["token", command.token]);
      break;
    case "refused":
      checkRefusal(line, command.refusal);
      break;
    default:
      expect.unreachable(`no such command: ${JSON.stringify(command)}`);
  }
}

describe("parsing lines", () => {
  test("any string parses to a command, a refusal or an empty line", () => {
    fc.assert(fc.property(anyLine, (line) => checkCommand(line, parseCommand(line))));
  });

  test("any decoded bytes parse to a command, a refusal or an empty line", () => {
    const decoder = new TextDecoder();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const line = decoder.decode(bytes);
        checkCommand(line, parseCommand(line));
      }),
    );
  });

  test("an announcement yields its channel and its message unchanged", () => {
    fc.assert(
      fc.property(goodName, anyMessage, (channel, text) => {
        expect(parseCommand(`announce ${channel} ${text}`)).toEqual({
          kind: "announce",
          channel,
          message: text,
        });
      }),
    );
  });

  test("a subscription yields its channel despite extra spaces and words", () => {
    const spaces = fc.integer({ min: 1, max: 4 }).map((n) => " ".repeat(n));
    const after = fc.constantFrom("", " ", " and more", "   words\twith ! in them", "\r", " \r", " words\r");
    const kinds = fc.constantFrom("subscribe" as const, "unsubscribe" as const);
    fc.assert(
      fc.property(kinds, spaces, goodName, after, (kind, gap, channel, rest) => {
        expect(parseCommand(`${kind}${gap}${channel}${rest}`)).toEqual({ kind, channel });
      }),
    );
  });

  test("a subscription yields its start despite extra spaces and words", () => {
    const spaces = fc.integer({ min: 1, max: 4 }).map((n) => " ".repeat(n));
    const after = fc.constantFrom("", " ", " and more", " last 1", "\r", " \r");
    fc.assert(
      fc.property(spaces, goodName, anyFrom, after, (gap, channel, from, rest) => {
        const words = formatFrom(from).replace(" ", gap);
        const line = `subscribe${gap}${channel}${gap}${words}${rest}`;
        expect(parseCommand(line)).toEqual({ kind: "subscribe", channel, from });
        expect(parseCommand(`un${line}`)).toEqual({ kind: "unsubscribe", channel });
      }),
    );
  });

  test("`once` yields its key, channel and message unchanged", () => {
    fc.assert(
      fc.property(goodKey, goodName, anyMessage, (key, channel, message) => {
        const command = { kind: "once", key, channel, message };
        expect(parseCommand(`once ${key} ${channel} ${message}`)).toEqual(command);
      }),
    );
  });

  /** Builds a refusal of the command and argument in `head`. */
  const invalid = (head: string, why: RegExp) => {
    const [command, argument] = head.split(" ");
    return {
      kind: "refused",
      refusal: { code: "invalid", command, argument, why: expect.stringMatching(why) },
    };
  };
  const subscribe = (channel: string) => ({ kind: "subscribe", channel });
  const once = (key: string, channel: string, message: string) => ({ kind: "once", key, channel, message });
  const subscribeFrom = (channel: string, from: From) => ({ kind: "subscribe", channel, from });
  const announce = (channel: string, message: string) => ({ kind: "announce", channel, message });
  const longest = "n".repeat(255);

  test.each<[line: string, command: object]>([
    ["ping", { kind: "ping" }],
    ["ping\r", { kind: "ping" }],
    ["ping\r\r", invalid("line", /unknown/)],
    ["ping ", invalid("ping", /takes no argument/)],
    [" ping", invalid("line", /unknown/)],
    ["PING", invalid("line", /unknown/)],
    ["info", { kind: "info" }],
    ["info\r", { kind: "info" }],
    ["Info", invalid("line", /unknown/)],
    ["keepalive", { kind: "keepalive" }],
    ["keepalive\r", { kind: "keepalive" }],
    ["keepalive ", invalid("keepalive", /takes no argument/)],
    ["keepalives", invalid("keepalives", /unknown/)],

    ["", { kind: "empty" }],
    ["\r", { kind: "empty" }],
    [" ", invalid("line", /unknown/)],
    ["\r\r", invalid("line", /unknown/)],
    ["hello", invalid("hello", /unknown/)],
    ["\ufeffping", invalid("line", /unknown/)],
    ["__proto__", invalid("line", /unknown/)],
    ["constructor x", invalid("constructor", /unknown/)],

    ["subscribe Debug", subscribe("Debug")],
    ["subscribe constructor", subscribe("constructor")],
    [`subscribe ${longest}`, subscribe(longest)],
    [`subscribe ${longest}n`, invalid("subscribe", /255/)],
    ["subscribe", invalid("subscribe", /missing/)],
    ["subscribe\r", invalid("subscribe", /missing/)],
    ["subscribe ", invalid("subscribe", /missing/)],
    ["subscribe   \r", invalid("subscribe", /missing/)],
    ["subscribe debug", invalid("subscribe debug", /debug/)],
    ["subscribe a!b", invalid("subscribe a!b", /'!'/)],
    ["subscribe x\r y", invalid("subscribe", /control/)],
    ["subscribe\tx", invalid("line", /unknown/)],
    ["subscribe x\ty", invalid("subscribe", /control/)],
    ["SUBSCRIBE x", invalid("line", /unknown/)],
    ["subscribed x", invalid("subscribed", /unknown/)],

    ["subscribe x since 9007199254740991", subscribeFrom("x", { since: Number.MAX_SAFE_INTEGER })],
    ["subscribe since since 1", subscribeFrom("since", { since: 1 })],
    ["subscribe since", subscribe("since")],
    ["subscribe last 1", subscribe("last")],
    ["subscribe x y since 1", subscribe("x")],
    ["subscribe x sincerely", subscribe("x")],
    ["subscribe x lasting 1", subscribe("x")],
    ["subscribe x Since 1", subscribe("x")],
    ["subscribe x since", invalid("subscribe x", /^'since' takes .*'now'$/)],
    ["subscribe x since \r", invalid("subscribe x", /'since' takes/)],
    ["subscribe x since -1", invalid("subscribe x", /'since' takes/)],
    ["subscribe x since 9007199254740992", invalid("subscribe x", /'since' takes/)],
    ["subscribe x since then", invalid("subscribe x", /'since' takes/)],
    ["subscribe x last", invalid("subscribe x", /^'last' takes/)],
    ["subscribe x last 0", invalid("subscribe x", /'last' takes/)],
    ["subscribe x last now", invalid("subscribe x", /'last' takes/)],
    ["subscribe debug since 1", invalid("subscribe debug", /debug/)],
    ["subscribe a!b last x", invalid("subscribe a!b", /'!'/)],

    ["unsubscribe x since", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe debug", { kind: "unsubscribe", channel: "debug" }],
    ["unsubscribe", invalid("unsubscribe", /missing/)],
    ["unsubscribe a!b", invalid("unsubscribe a!b", /'!'/)],

    ["token x", { kind: "token", token: "x" }],
    ["token   x.y-z_ and more\r", { kind: "token", token: "x.y-z_" }],
    ["token x\r", { kind: "token", token: "x" }],
    ["token", invalid("token", /token is missing/)],
    ["token ", invalid("token", /token is missing/)],
    ["token  \r", invalid("token", /token is missing/)],
    ["Token x", invalid("line", /unknown/)],
    ["tokens x", invalid("tokens", /unknown/)],

    ["announce constructor hi", announce("constructor", "hi")],
    ["announce x", invalid("announce x", /message is missing/)],
    ["announce x ", invalid("announce x", /message is missing/)],
    ["announce x\r", invalid("announce", /control/)],
    ["announce", invalid("announce", /takes/)],
    ["announce\r", invalid("announce", /takes/)],
    ["announce ", invalid("announce", /name is missing/)],
    ["announce  x hi", invalid("announce", /name is missing/)],
    ["announce debug hi", invalid("announce debug", /debug/)],
    ["announce a!b hi", invalid("announce a!b", /'!'/)],
    ["announce x\r hi", invalid("announce", /control/)],
    ["once once once once", once("once", "once", "once")],
    [`once ${"k".repeat(64)} x hi`, once("k".repeat(64), "x", "hi")],
    [
      `once ${"k".repeat(65)} x hi`,
      invalid("once kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", /^.*64/),
    ],
    ["once k\tl x hi", invalid("once", /control/)],
    ["once", invalid("once", /takes/)],
    ["once\r", invalid("once", /takes/)],
    ["once ", invalid("once", /key is missing/)],
    ["once  x hi", invalid("once", /key is missing/)],
    ["once k", invalid("once k", /^.*name is missing/)],
    ["once k ", invalid("once k", /name is missing/)],
    ["once k  x hi", invalid("once k", /name is missing/)],
    ["once k x", invalid("once k", /message is missing/)],
    ["once k x ", invalid("once k", /message is missing/)],
    ["once k x\r", invalid("once k", /control/)],
    ["once k debug hi", invalid("once k", /debug/)],
    ["Once k x hi", invalid("line", /unknown.* once <key> <channel> <message>,.* keepalive/)],
    ["ANNOUNCE x hi", invalid("line", /unknown/)],
  ])("%j", (line, command) => {
    expect(parseCommand(line)).toEqual(command);
  });
});

describe("refusing lines", () => {
  const beginning = fc.constantFrom(
    ...["announce ", "announce  ", "once ", "once k ", "subscribe ", "subscribe   ", "unsubscribe "],
    ...["token ", "tokens ", "ping ", "info\r", "", " ", "Announce "],
  );
  const rest = fc.oneof(
    anyLine,
    fc.stringMatching(/^[a-z\u{1f600} :!]{0,600}$/u),
    fc.string({ unit: fc.constantFrom("\ud83d", "\ude00", "x", " ", "\r", "\u0085", "\u00a0", "\u3000") }),
  );

  test("names the command and its argument, and nothing else of the line", () => {
    fc.assert(
      fc.property(beginning, rest, (start, more) => {
        const line = start + more;
        const { refusal } = refuseLine(line, "rate", "too fast");
        checkRefusal(line, refusal);
        expect(refusal).toMatchObject({ code: "rate", why: "too fast" });
      }),
    );
  });

  const x255 = "x".repeat(255);

  test.each([
    ["announce x hi", "announce x"],
    ["announce  x hi", "announce"],
    ["announce x\r", "announce"],
    ["announce", "announce"],
    ["announce a!b hi", "announce a!b"],
    ["announce a:b: hi", "announce a:b:"],
    ["once k x hi", "once k"],
    ["once  k x", "once"],
    ["subscribe   x since 7\r", "subscribe x"],
    ["subscribe x\r", "subscribe x"],
    ["subscribe x\r y", "subscribe"],
    ["unsubscribe x", "unsubscribe x"],
    [`subscribe ${x255}`, `subscribe ${x255}`],
    [`subscribe ${x255}x`, "subscribe"],
    [`subscribe${" ".repeat(1_000)}x`, "subscribe x"],
    [`announce ${x255}x hi`, "announce"],
    ["announce \ud83d hi", "announce"],
    ["announce \u{1f600} hi", "announce \u{1f600}"],
    ["announce a\u0085b hi", "announce"],
    ["announce a\u00a0b hi", "announce a\u00a0b"],
    ["token secret", "token"],
    ["token", "token"],
    ["secret.of.mine", "line"],
    ["ping\r", "ping"],
    ["ping\r\r", "line"],
    ["abcdefghijklmnop", "abcdefghijklmnop"],
    ["abcdefghijklmnopq", "line"],
    ["", "line"],
    [" ping", "line"],
  ])("%j is refused as %j", (line, head) => {
    const [command = "", argument] = head.split(" ");
    const refusal = { code: "rate", command, ...(argument === undefined ? {} : { argument }), why: "w" };
    expect(refuseLine(line, "rate", "w").refusal).toStrictEqual(refusal);
  });
});

describe("formatting lines", () => {
  const token = fc.stringMatching(/^[\w.-]+$/);
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.record({ kind: fc.constantFrom("ping" as const, "info" as const, "keepalive" as const) }),
    fc.record({ kind: fc.constant("subscribe" as const), channel: goodName }),
    fc.record({ kind: fc.constant("subscribe" as const), channel: goodName, from: anyFrom }),
    fc.record({
      kind: fc.constant("once" as const),
      key: goodKey,
      channel: goodName,
      message: anyMessage,
    }),
    fc.record({ kind: fc.constant("unsubscribe" as const), channel: anyName }),
    fc.record({ kind: fc.constant("announce" as const), channel: goodName, message: anyMessage }),
    fc.record({ kind: fc.constant("token" as const), token }),
  );

  test("every command is parsed back from its one line", () => {
    fc.assert(
      fc.property(command, (written) => {
        const line = formatCommand(written);
        expect(line).not.toContain("\n");
        expect(parseCommand(line)).toEqual(written);
      }),
    );
  });
});

test.each(["enter news", "enter news a\u0001", "enter news ann a\nb"])(
  "'%s' names no member, or wrong data",
  (line) => {
    expect(parseCommand(line)).toMatchObject({ kind: "refused" });
  },
);
