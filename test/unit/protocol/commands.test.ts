/** The grammar of what clients say. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ClientLine,
  type Command,
  formatCommand,
  parseCommand,
} from "../../../src/protocol/commands.ts";
import { keyFault } from "../../../src/protocol/keys.ts";
import { type From, formatFrom } from "../../../src/protocol/positions.ts";
import { anyFrom, anyLine, anyMessage, anyName, goodKey, goodName, isName } from "./texts.ts";

/** What must hold of a command whatever line it came from. */
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
    case "once":
      expect(keyFault(command.key)).toBeUndefined();
      expect(isName(command.channel)).toBe(true);
      expect(command.channel).not.toBe("debug");
      expect(command.message).not.toBe("");
      expect(line).toBe(`once ${command.key} ${command.channel} ${command.message}`);
      break;
    case "token":
      expect(command.token).toMatch(/^[^ ]+$/);
      expect(line.replace(/\r$/, "").split(" ").filter(Boolean).slice(0, 2)).toEqual([
        "token",
        command.token,
      ]);
      break;
    case "invalid":
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

  test("a subscription gives back from where on, however many spaces and words are around it", () => {
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

  test("what is announced once gives back its key, its channel and its message as they were", () => {
    fc.assert(
      fc.property(goodKey, goodName, anyMessage, (key, channel, message) => {
        const command = { kind: "once", key, channel, message };
        expect(parseCommand(`once ${key} ${channel} ${message}`)).toEqual(command);
      }),
    );
  });

  const invalid = (why: RegExp) => ({ kind: "invalid", why: expect.stringMatching(why) });
  const subscribe = (channel: string) => ({ kind: "subscribe", channel });
  const once = (key: string, channel: string, message: string) => ({ kind: "once", key, channel, message });
  const subscribeFrom = (channel: string, from: From) => ({ kind: "subscribe", channel, from });
  const announce = (channel: string, message: string) => ({ kind: "announce", channel, message });
  const longest = "n".repeat(255);

  test.each<[line: string, command: object]>([
    ["ping", { kind: "ping" }],
    ["ping\r", { kind: "ping" }],
    ["ping\r\r", invalid(/unknown/)],
    ["ping ", invalid(/unknown/)],
    [" ping", invalid(/unknown/)],
    ["PING", invalid(/unknown/)],
    ["info", { kind: "info" }],
    ["info\r", { kind: "info" }],
    ["Info", invalid(/unknown/)],
    ["keepalive", { kind: "keepalive" }],
    ["keepalive\r", { kind: "keepalive" }],
    ["keepalive ", invalid(/unknown/)],
    ["keepalives", invalid(/unknown/)],

    ["", { kind: "empty" }],
    ["\r", { kind: "empty" }],
    [" ", invalid(/unknown/)],
    ["\r\r", invalid(/unknown/)],
    ["hello", invalid(/unknown/)],
    ["\ufeffping", invalid(/unknown/)],
    ["__proto__", invalid(/unknown/)],
    ["constructor x", invalid(/unknown/)],

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
    [`subscribe ${longest}n`, invalid(/255/)],
    ["subscribe", invalid(/missing/)],
    ["subscribe\r", invalid(/missing/)],
    ["subscribe ", invalid(/missing/)],
    ["subscribe   \r", invalid(/missing/)],
    ["subscribe debug", invalid(/debug/)],
    ["subscribe a!b", invalid(/'!'/)],
    ["subscribe x\r y", invalid(/control/)],
    ["subscribe\tx", invalid(/unknown/)],
    ["subscribe x\ty", invalid(/control/)],
    ["SUBSCRIBE x", invalid(/unknown/)],
    ["subscribed x", invalid(/unknown/)],

    ["subscribe x since 0", subscribeFrom("x", { since: 0 })],
    ["subscribe x since 9007199254740991", subscribeFrom("x", { since: Number.MAX_SAFE_INTEGER })],
    ["subscribe  x  since  7  and more\r", subscribeFrom("x", { since: 7 })],
    ["subscribe x since now", subscribeFrom("x", { since: "now" })],
    ["subscribe x since now\r", subscribeFrom("x", { since: "now" })],
    ["subscribe x last 1", subscribeFrom("x", { last: 1 })],
    ["subscribe since since 1", subscribeFrom("since", { since: 1 })],
    ["subscribe since", subscribe("since")],
    ["subscribe last 1", subscribe("last")],
    ["subscribe x y since 1", subscribe("x")],
    ["subscribe x sincerely", subscribe("x")],
    ["subscribe x lasting 1", subscribe("x")],
    ["subscribe x Since 1", subscribe("x")],
    ["subscribe x since", invalid(/^cannot subscribe: 'since' takes .*'now'$/)],
    ["subscribe x since \r", invalid(/'since' takes/)],
    ["subscribe x since -1", invalid(/'since' takes/)],
    ["subscribe x since 9007199254740992", invalid(/'since' takes/)],
    ["subscribe x since then", invalid(/'since' takes/)],
    ["subscribe x last", invalid(/^cannot subscribe: 'last' takes/)],
    ["subscribe x last 0", invalid(/'last' takes/)],
    ["subscribe x last now", invalid(/'last' takes/)],
    ["subscribe debug since 1", invalid(/debug/)],
    ["subscribe a!b last x", invalid(/'!'/)],

    ["unsubscribe x since", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe x", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe   x y\r", { kind: "unsubscribe", channel: "x" }],
    ["unsubscribe __proto__", { kind: "unsubscribe", channel: "__proto__" }],
    ["unsubscribe debug", { kind: "unsubscribe", channel: "debug" }],
    ["unsubscribe", invalid(/missing/)],
    ["unsubscribe a!b", invalid(/'!'/)],

    ["token x", { kind: "token", token: "x" }],
    ["token   x.y-z_ and more\r", { kind: "token", token: "x.y-z_" }],
    ["token x\r", { kind: "token", token: "x" }],
    ["token", invalid(/token is missing/)],
    ["token ", invalid(/token is missing/)],
    ["token  \r", invalid(/token is missing/)],
    ["Token x", invalid(/unknown/)],
    ["tokens x", invalid(/unknown/)],

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
    ["announce x", invalid(/message is missing/)],
    ["announce x ", invalid(/message is missing/)],
    ["announce x\r", invalid(/control/)],
    ["announce", invalid(/takes/)],
    ["announce\r", invalid(/takes/)],
    ["announce ", invalid(/name is missing/)],
    ["announce  x hi", invalid(/name is missing/)],
    ["announce debug hi", invalid(/debug/)],
    ["announce a!b hi", invalid(/'!'/)],
    ["announce x\r hi", invalid(/control/)],
    ["once k x hi", once("k", "x", "hi")],
    ["once k x  hi \r", once("k", "x", " hi \r")],
    ["once k! all !", once("k!", "all", "!")],
    ["once once once once", once("once", "once", "once")],
    [`once ${"k".repeat(64)} x hi`, once("k".repeat(64), "x", "hi")],
    [`once ${"k".repeat(65)} x hi`, invalid(/^cannot announce once: .*64/)],
    ["once k\tl x hi", invalid(/control/)],
    ["once", invalid(/takes/)],
    ["once\r", invalid(/takes/)],
    ["once ", invalid(/key is missing/)],
    ["once  x hi", invalid(/key is missing/)],
    ["once k", invalid(/^cannot announce once: .*name is missing/)],
    ["once k ", invalid(/name is missing/)],
    ["once k  x hi", invalid(/name is missing/)],
    ["once k x", invalid(/message is missing/)],
    ["once k x ", invalid(/message is missing/)],
    ["once k x\r", invalid(/control/)],
    ["once k debug hi", invalid(/debug/)],
    ["Once k x hi", invalid(/unknown.* once <key> <channel> <message>,.* keepalive/)],
    ["ANNOUNCE x hi", invalid(/unknown/)],
  ])("%j", (line, command) => {
    expect(parseCommand(line)).toEqual(command);
  });
});

describe("writing lines", () => {
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

  test("every command is read as what was written, from one line", () => {
    fc.assert(
      fc.property(command, (written) => {
        const line = formatCommand(written);
        expect(line).not.toContain("\n");
        expect(parseCommand(line)).toEqual(written);
      }),
    );
  });
});
