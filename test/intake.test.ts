import { expect, test } from "vitest";
import { Intake } from "../src/intake.ts";
import type { Delivery } from "../src/links.ts";
import { stillWorld } from "./world.ts";

/** An intake that woke with a link to `news` of epoch 7, one listener, and no memory of what it got. */
function awoken() {
  const rows = new Map<string, unknown>([["want:news", { parent: "news", epoch: 7 }]]);
  const heard: string[] = [];
  const lost: string[] = [];
  const intake = new Intake(stillWorld("home", rows), {
    listens: () => true,
    hear: (_, lines, count) => void heard.push(`${count}: ${lines}`),
    lose: (channel) => void lost.push(channel),
    farewell: () => undefined,
    region: undefined,
    ended: () => {},
    farewellKept: () => {},
    linked: () => {},
  });
  const deliver = (delivery: Partial<Delivery>) =>
    intake.deliver({
      channel: "news",
      from: "news",
      epoch: 7,
      after: 40,
      count: 2,
      lines: "a\nb\n",
      again: false,
      lost: false,
      ...delivery,
    });
  return { deliver, heard, lost, rows };
}

test("a delivery is taken at its sender's word when nothing is remembered", () => {
  const { deliver, heard } = awoken();
  expect(deliver({})).toEqual({ gone: false });
  expect(heard).toEqual(["2: a\nb\n"]);
});

test("a repeated delivery ends the link when nothing is remembered, as it may have come before", () => {
  const { deliver, heard, lost, rows } = awoken();
  expect(deliver({ again: true })).toEqual({ gone: true });
  expect({ heard, lost, rows: rows.size }).toEqual({ heard: [], lost: ["news"], rows: 0 });
});

test("of a repeated delivery only what is new is handed on", () => {
  const { deliver, heard } = awoken();
  deliver({});
  expect(deliver({ again: true })).toEqual({ gone: false });
  expect(deliver({ again: true, count: 3, lines: "a\nb\nc\n" })).toEqual({ gone: false });
  expect(heard).toEqual(["2: a\nb\n", "1: c\n"]);
});

test("a gap ends the link", () => {
  const { deliver, heard, lost } = awoken();
  deliver({});
  expect(deliver({ after: 43 })).toEqual({ gone: true });
  expect({ heard, lost }).toEqual({ heard: ["2: a\nb\n"], lost: ["news"] });
});

test("a delivery of another epoch is not for those who listen now", () => {
  const { deliver, heard, lost, rows } = awoken();
  expect(deliver({ epoch: 6 })).toEqual({ gone: true });
  expect({ heard, lost, rows: rows.size }).toEqual({ heard: [], lost: [], rows: 1 });
});
