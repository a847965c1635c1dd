import { expect, test } from "vitest";
import { Intake } from "../src/intake.ts";
import type { Delivery, LinkAnswer, LinkRequest } from "../src/links.ts";
import { stillWorld } from "./world.ts";

/**
 * An intake that woke with a link to `news` of epoch 7, and one listener.
 * @param hasSlept whether it can be sure that it did not crash
 * @param answers what the root of `news` says to its requests, in turn
 * @param place the newest message's, if it remembers that
 */
function awoken(hasSlept = true, answers: LinkAnswer[] = [], place?: number) {
  const asked: LinkRequest[] = [];
  const rows = new Map<string, unknown>([["want:news", { parent: "news", epoch: 7 }]]);
  const heard: string[] = [];
  const lost: string[] = [];
  const link = (request: LinkRequest): Promise<LinkAnswer> => {
    asked.push(request);
    const answer = answers.shift();
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("asked too often"));
  };
  const intake = new Intake(
    stillWorld("home", rows, () => ({ link })),
    {
      listens: () => true,
      hear: (_, lines, count) => void heard.push(`${count}: ${lines}`),
      lose: (channel) => void lost.push(channel),
      farewell: () => undefined,
      region: undefined,
      ended: () => {},
      farewellKept: () => {},
      linked: () => {},
      placeOf: () => place,
      hasSlept,
    },
  );
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
  return { intake, deliver, heard, lost, rows, asked };
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

test("an object that slept relies on its link, one that may have crashed asks first", async () => {
  expect(awoken().intake.isLinked("news")).toBe(true);
  const { intake, asked } = awoken(false, [{ after: 40 }], 40);
  expect(intake.isLinked("news")).toBe(false);
  await intake.join("news");
  expect(intake.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7, still: { last: 40 } }]);
});

test("a link that turns out to be lost is lost for those who had it, before anyone new has one", async () => {
  const { intake, asked, lost } = awoken(false, [{ newer: 7 }, { after: 50 }], 40);
  await intake.join("news");
  expect({ lost, linked: intake.isLinked("news") }).toEqual({ lost: ["news"], linked: false });
  await intake.join("news");
  expect(intake.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7 }, { epoch: 100, still: undefined }]);
});

test("the parent's word for a link's epoch spares the question, another epoch asks for it", async () => {
  const { intake, asked } = awoken(false, [{ after: 40 }, { after: 40 }], 40);
  intake.doubt("news", 7);
  expect({ linked: intake.isLinked("news"), asked }).toEqual({ linked: true, asked: [] });
  intake.doubt("news", undefined);
  expect(intake.isLinked("news")).toBe(false);
  const joining = intake.join("news");
  // Called into question once more while the answer is on its way: that answer does not count.
  intake.doubt("news", 6);
  await joining;
  expect({ linked: intake.isLinked("news"), asked: asked.length }).toEqual({ linked: true, asked: 2 });
});
