import { expect, test } from "vitest";
import { isTemporary, sentenceOf } from "../../../src/protocol/refusals.ts";

test("what may be granted later says so", () => {
  for (const why of [
    "cannot announce: too much is under way; try again",
    "an announcement may be lost: its channel's object does not answer",
    "more than 10000 lines a second; this one was ignored",
    "cannot subscribe: more than 4000000 characters of what was missed in a second; try again",
  ])
    expect(isTemporary(why), why).toBe(true);
  for (const why of [
    "cannot announce: your token does not allow this channel",
    "a line has at most 300 bytes",
  ]) {
    expect(isTemporary(why), why).toBe(false);
  }
});

test("a refusal is a sentence", () => {
  expect(sentenceOf("cannot connect: it is too late")).toBe("Cannot connect: it is too late.");
});
