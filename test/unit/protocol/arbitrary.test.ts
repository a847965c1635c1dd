/** Arbitrary text and bytes for every function of the protocol: it never throws, and what it formats is one line. */
import { readdir } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../../../src/protocol/errors.ts";
import { formatId } from "../../../src/protocol/events.ts";
import { memberFault } from "../../../src/protocol/members.ts";
import { parseReply } from "../../../src/protocol/replies.ts";
import { anyFrom, anyLine, anyMessage, anyPosition, anyUnits, goodKey, goodName } from "./texts.ts";

const text = anyLine;
const number = fc.oneof(anyPosition, fc.integer(), fc.double(), fc.constantFrom(Number.NaN, -0));
const size = fc.oneof(fc.nat(9), fc.nat(70_000));
const code = fc.constantFrom(...ERROR_CODES);
const frame = fc.oneof(
  text,
  fc.uint8Array().map(({ buffer }) => buffer),
);
const lines = fc.array(anyMessage, { maxLength: 9 }).map((some) => some.map((line) => `${line}\n`).join(""));

// What the checks of names, keys, members and positions let through.
const goodMember = text.filter((name) => memberFault(name) === undefined);
const data = anyMessage;
const member = fc.record({ member: goodMember, data });
const channel = goodName;
const positions = fc.array(fc.option(anyPosition, { nil: undefined }), { minLength: 1, maxLength: 3 });
const time = fc.integer({ min: 0, max: Date.UTC(2180, 0) });
/** A sentence may quote what a token or another server says. */
const refusal = fc.record({
  code,
  command: fc.constant("subscribe"),
  argument: fc.option(channel, { nil: undefined }),
  why: text,
});
const kind = fc.constantFrom;
const command = fc.oneof(
  fc.record({ kind: kind("ping", "info", "keepalive") }),
  fc.record({ kind: kind("unsubscribe", "leave", "members"), channel }),
  fc.record({ kind: kind("subscribe"), channel, from: fc.option(anyFrom, { nil: undefined }) }),
  fc.record({ kind: kind("announce"), channel, message: anyMessage }),
  fc.record({ kind: kind("once"), key: goodKey, channel, message: anyMessage }),
  fc.record({ kind: kind("enter"), channel, member: goodMember, data }),
);
const change = fc.oneof(
  fc.record({ kind: kind("enter", "update"), member: goodMember, data }),
  fc.record({ kind: kind("leave"), member: goodMember }),
);

/** Replies: the arguments of each function, and the kind of line. */
const REPLIES: Record<string, [kind: string, ...words: fc.Arbitrary<unknown>[]]> = {
  formatMessage: ["message", channel.filter((name) => name !== "debug"), anyMessage],
  formatError: ["error", refusal],
  formatAccepted: ["accepted", time],
  formatPosition: ["position", channel, anyPosition],
  formatGap: ["gap", channel, anyPosition, anyPosition],
  formatOnce: ["once", goodKey, anyPosition],
  formatMembers: ["members", channel, anyPosition, anyPosition],
  formatMemberOf: ["member", channel, member],
  formatTime: ["time", time],
  formatFigure: ["figure", fc.constantFrom("total pings", "uptime"), fc.oneof(number, anyMessage)],
};

/** Parts of lines: the arguments of each function. */
const PARTS: Record<string, fc.Arbitrary<unknown>[]> = {
  formatCommand: [command],
  formatRefusal: [refusal.map((each) => ({ ...each, why: each.why.replaceAll("\n", "") }))],
  formatReason: [refusal.map((each) => ({ ...each, why: each.why.replaceAll("\n", "") }))],
  formatId: [positions],
  formatFrom: [anyFrom],
  formatMember: [member],
  formatChange: [change],
  presenceOf: [channel],
};

/** Events: the arguments of each function. A blank line ends an event. */
const EVENTS: Record<string, fc.Arbitrary<unknown>[]> = {
  formatEvent: [fc.constantFrom("message", "gap"), anyMessage, positions.map(formatId)],
  formatEventAround: [
    fc.constant(["event: message\nid: ", "\ndata: "]),
    fc.option(anyPosition, { nil: undefined }),
    anyMessage,
  ],
  formatRetry: [fc.nat()],
};

const limits = fc.record({ maxLineBytes: size, linesPerSecond: fc.nat(9), historyBytes: size });

/** All others: the arguments of each function. They return something for any text, bytes and numbers. */
const OTHERS: Record<string, fc.Arbitrary<unknown>[]> = {
  linesOfBody: [text, fc.nat(9)],
  parseMessages: [text, fc.array(text), fc.option(text, { nil: undefined }), limits],
  nameFault: [text],
  channelFault: [text],
  matchesAny: [fc.array(text), text],
  isClosingCause: [text],
  parseCommand: [text],
  refuseLine: [text, code, text],
  isErrorCode: [text],
  isTemporary: [code],
  parseRefusal: [text],
  parseReason: [text],
  faultIn: [text],
  sentenceOf: [text],
  clauseOf: [text],
  parseId: [text, fc.nat(9)],
  aroundPosition: [text, positions, fc.nat(2)],
  sizeOf: [frame],
  lengthOf: [frame],
  isTooBig: [frame, number],
  countLines: [frame],
  textOf: [frame],
  framesOf: [lines],
  countEnds: [text],
  linesWithin: [lines, number],
  firstLines: [lines, fc.nat(9)],
  dropLines: [lines, fc.nat(9)],
  insertLine: [lines, anyMessage, text, fc.nat(9)],
  skipLines: [lines, fc.nat(9)],
  invalid: [text],
  sizeOfKeyed: [text, text],
  canDeduplicate: [text, text, number],
  keyFault: [text],
  subjectOf: [text],
  presenceFault: [text],
  memberFault: [text],
  dataFault: [text],
  parseMember: [text],
  parseChange: [text],
  listMembers: [fc.array(fc.tuple(text, text)).map((entries) => new Map(entries))],
  parsePosition: [text],
  parseFromWords: [fc.oneof(fc.constantFrom("since", "last"), text), text],
  parseFrom: [fc.option(text), fc.option(text)],
  parseReply: [
    fc.oneof(
      text.map((rest) => `debug!${rest}`),
      text,
    ),
  ],
  utf8Length: [anyUnits],
  isLongerThan: [anyUnits, number],
  // Sentences that are part of one line.
  notGranted: [fc.constantFrom("subscribe", "announce", "enter"), channel],
  notSubject: [text],
  ...Object.fromEntries(
    ["keyedTooLong", "lineTooLong", "tooManyLines", "tooManyMembers", "tooManyChannels"].map((name) => [
      name,
      [number],
    ]),
  ),
};

const functions = await functionsOf(new URL("../../../src/protocol", import.meta.url));

/** Returns all functions that the modules of a folder export. */
async function functionsOf(folder: URL): Promise<Map<string, (...words: unknown[]) => unknown>> {
  const names = (await readdir(folder)).map((file) => file.replace(/\.ts$/, ""));
  const modules = await Promise.all(names.map((name) => import(`../../../src/protocol/${name}.ts`)));
  return new Map(
    modules
      .flatMap((module) => Object.entries<(...words: unknown[]) => unknown>(module))
      .filter(([, value]) => typeof value === "function"),
  );
}

/** Calls a function with the same values each time, and with new ones, whose seed a failure prints. */
function forAll(name: string, words: fc.Arbitrary<unknown>[], check: (result: unknown) => void): void {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    fc.assert(
      fc.property(fc.tuple(...words), (given) => check(functions.get(name)?.(...given))),
      { seed, numRuns: 50 },
    );
  }
}

test.each(Object.entries(REPLIES))("%s returns one line, which parses as such", (name, [expected, ...words]) => {
  forAll(name, words, (line) => {
    expect(line).toMatch(/^[^\n]+\n$/);
    expect(parseReply(String(line).slice(0, -1)).kind).toBe(expected);
  });
});

test.each(Object.entries(PARTS))("%s returns part of a line", (name, words) => {
  forAll(name, words, (part) => {
    expect(part).toMatch(/^[^\n]+$/);
  });
});

test.each(Object.entries(EVENTS))("%s returns one event", (name, words) => {
  forAll(name, words, (event) => {
    expect(event).toMatch(/^([a-z]+:.*\n|:\n)+\n$/);
  });
});

test.each(Object.entries(OTHERS))("%s takes anything", (name, words) => {
  forAll(name, words, () => {});
});

test("no function of the protocol is left out", () => {
  const tested = [REPLIES, PARTS, EVENTS, OTHERS].flatMap((table) => Object.keys(table));
  expect([...functions.keys()].sort()).toEqual(tested.sort());
});
