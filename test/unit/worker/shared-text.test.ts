/** Text that many streams write is encoded once. */
import { expect, test } from "vitest";
import { encodeShared } from "../../../src/worker/http/shared-text.ts";

test("the same text is encoded once, also while a few other texts are written", () => {
  const texts = ["news!ü\n", "sport!b\n", "art!c\n", "all!d\n"];
  const first = texts.map(encodeShared);
  expect(
    texts.map((text) => encodeShared(`${text.slice(0, 2)}${text.slice(2)}`)).every((bytes, i) => bytes === first[i]),
  ).toBe(true);
  expect(first.map((bytes) => new TextDecoder().decode(bytes))).toEqual(texts);
});

test("texts that were written long ago are forgotten", () => {
  const bytes = encodeShared("old\n");
  for (let i = 0; i < 10; i++) encodeShared(`${i}\n`);
  expect(encodeShared("old\n")).not.toBe(bytes);
});
