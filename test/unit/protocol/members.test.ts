import { expect, test } from "vitest";
import {
  dataFault,
  formatChange,
  listMembers,
  MAX_DATA_BYTES,
  memberFault,
  parseChange,
} from "../../../src/protocol/members.ts";

test("members are listed by name, in the order of UTF-16", () => {
  const members = new Map([
    ["zoe", ""],
    ["ann", '{"x":1}'],
    ["Bob", "b"],
    ["\u{1f469}", ""],
    ["\uff5e", ""],
    ["10", ""],
    ["9", ""],
  ]);
  const names = ["10", "9", "Bob", "ann", "zoe", "\u{1f469}", "\uff5e"];
  expect(listMembers(members)).toEqual(names.map((member) => ({ member, data: members.get(member) })));
  expect(listMembers(new Map())).toEqual([]);
});

test.each([
  ["enter ann", { kind: "enter", member: "ann", data: "" }],
  ['update ann {"x": 1}', { kind: "update", member: "ann", data: '{"x": 1}' }],
  ["enter ann  two ", { kind: "enter", member: "ann", data: " two " }],
  ["leave ann", { kind: "leave", member: "ann" }],
] as const)("the change '%s' is parsed, and formatted as before", (message, change) => {
  expect(parseChange(message)).toEqual(change);
  expect(formatChange(change)).toBe(message);
});

test.each(["", "enter", "enter ", "vanish ann", "Enter ann", " enter ann"])("'%s' is no change", (message) => {
  expect(parseChange(message)).toBeUndefined();
});

test.each<[string, string | undefined]>([
  ["ann", undefined],
  ["", "the name of a member is missing"],
  ["a b", "the name of a member has no space or control character"],
])("the name '%s' of a member is valid, or not", (member, fault) => {
  expect(memberFault(member)).toBe(fault);
});

test("the data of a member is one line of limited size", () => {
  expect(dataFault("x".repeat(MAX_DATA_BYTES))).toBeUndefined();
  expect(dataFault("x".repeat(MAX_DATA_BYTES + 1))).toMatch(/at most/);
  expect(dataFault("a\nb")).toMatch(/one line/);
});
