/** The object that gets the next connection or link, once this one is full. */
import { expect, test } from "vitest";
import type { CapacityReport } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { Capacity } from "../../../src/tree/capacity.ts";
import { fakeRuntime } from "./fake-runtime.ts";

interface Options {
  name?: string;
  sockets?: number;
  links?: number;
  /** The random number, from 0 to less than 1. */
  random?: number;
}

/** The capacity of an object that holds as many connections and links as the test sets in `held`. */
function roomOf({ name = "news", sockets = 8, links = 2, random = 0 }: Options = {}) {
  const reported: [string, CapacityReport][] = [];
  const runtime = fakeRuntime(name, new Map(), {
    fill: async (object, filling) => {
      reported.push([object, filling]);
      return undefined;
    },
  });
  const held: { sockets: number; links: number; children: string[] } = { sockets: 0, links: 0, children: [] };
  const limits = { ...readLimits({}), socketsPerObject: sockets, linksPerObject: links };
  const connections = {
    isCrowded: false,
    get size() {
      return held.sockets;
    },
  };
  const downstream = {
    get objects() {
      return [...Array.from({ length: held.links }, (_, i) => `home${i}`), ...held.children];
    },
  };
  const room = new Capacity({ runtime: { ...runtime, random: () => random }, limits, connections }, downstream);
  /** Returns the object that gets a connection; undefined for this one. */
  const place = (region: string, full = "") => room.placementFor(region, full, false)?.object;
  return { room, held, reported, place };
}

test("an object accepts connections until it is full, and counts links separately", () => {
  const { room, held, place } = roomOf();
  for (const sockets of [0, 7]) {
    Object.assign(held, { sockets, links: 2 });
    expect(place("weur")).toBeUndefined();
  }
  Object.assign(held, { sockets: 8, links: 1 });
  expect(place("weur")).toBe("news!1");
  expect([room.isFull("sockets"), room.isFull("links")]).toEqual([true, false]);
});

test("linked children don't count as links, and are known when the object wakes", () => {
  const { room, held, place } = roomOf({ links: 4 });
  Object.assign(held, { sockets: 8, links: 3, children: ["news!1", "news!2"] });
  expect(room.isFull("links")).toBe(false);
  held.links = 4;
  expect(room.isFull("links")).toBe(true);
  room.start();
  expect([place(""), place("weur")]).toEqual(["news!1", "news!3"]);
});

test("a full child sends connections back to its parent, which then uses other children", () => {
  const child = roomOf({ name: "news!1", sockets: 1 });
  expect(child.place("")).toBeUndefined();
  child.held.sockets = 1;
  expect(child.place("")).toBe("");
  const { room, held, place } = roomOf();
  held.sockets = 8;
  expect(place("")).toBe("news!1");
  expect(place("", "news!1")).toBe("news!2");
  expect(place("")).toBe("news!2");
  room.note({ child: "news!1", load: "sockets", full: false });
  expect(place("")).toBe("news!1");
});

test("connections of one region share children, until those are full", () => {
  const { held, place } = roomOf({ links: 4 });
  held.sockets = 8;
  const places = ["weur", "apac", "weur", "apac", "enam"].map((region) => place(region));
  expect(places).toEqual(["news!1", "news!2", "news!1", "news!2", "news!3"]);
  expect(place("apac", "news!2")).toBe("news!4");
  // A connection without a region may go to any child with room.
  expect(place("")).toBe("news!1");
});

test("the number of a removed child is reused, and its region is free again", () => {
  const { room, held, place } = roomOf();
  held.sockets = 8;
  for (const region of ["weur", "apac"]) place(region);
  room.remove("news!1");
  expect(place("apac")).toBe("news!2");
  expect(place("weur")).toBe("news!1");
  // A known child keeps its region.
  room.add("news!1", "enam");
  expect(place("weur")).toBe("news!1");
});

test("there are at most as many children for links as links; if all are full, any of them passes links on", () => {
  const { room } = roomOf({ random: 0.6 });
  expect(room.choose("links").object).toBe("news!1");
  room.note({ child: "news!1", load: "links", full: true });
  expect(room.choose("links").object).toBe("news!2");
  room.note({ child: "news!2", load: "links", full: true });
  expect(room.choose("links").object).toBe("news!2");
  room.note({ child: "news!1", load: "links", full: false });
  expect(room.choose("links").object).toBe("news!1");
  // A child that is full of links may have room for connections.
  room.note({ child: "news!1", load: "sockets", full: true });
  expect(room.choose("links").object).toBe("news!1");
});

test("when all possible children are full, one of them places connections below itself", () => {
  const { room, held } = roomOf({ links: 2, random: 0.6 });
  held.sockets = 8;
  expect(room.placementFor("", "", false)).toEqual({ object: "news!1", below: false });
  expect(room.placementFor("", "news!1", false)).toEqual({ object: "news!2", below: false });
  expect(room.placementFor("", "news!2", false)).toEqual({ object: "news!2", below: true });
  const child = roomOf({ name: "news!2", sockets: 1, links: 2 });
  expect(child.room.placementFor("", "", true)).toBeUndefined();
  child.held.sockets = 1;
  expect(child.room.placementFor("", "", true)).toEqual({ object: "news!2!1", below: false });
  // A connection that comes there directly may find room closer to the root.
  expect(child.room.placementFor("", "", false)).toEqual({ object: "", below: true });
});

test("a child reports once that it is full, and again when an eighth is free", () => {
  const { room, held, reported } = roomOf({ name: "news!1", sockets: 16, links: 2 });
  const steps = [15, 16, 17, 15, 14, 15, 16];
  const reports = steps.map((sockets) => {
    held.sockets = sockets;
    room.report("sockets");
    return reported.splice(0).map(([object, { child, load, full }]) => `${object} ${child} ${load} ${full}`);
  });
  const [full, free] = [["news news!1 sockets true"], ["news news!1 sockets false"]];
  expect(reports).toEqual([[], full, [], [], free, [], full]);
  for (const links of [2, 1]) {
    held.links = links;
    room.report("links");
  }
  expect(reported.map(([, { load, full }]) => [load, full])).toEqual([
    ["links", true],
    ["links", false],
  ]);
});

test("a root reports to no object, and its children are the objects one level below", () => {
  const { room, held, reported } = roomOf();
  held.sockets = 8;
  room.report("sockets");
  expect(reported).toEqual([]);
  const isChild = ["news!1", "news!1!1", "news", "other!1"].map((object) => room.isChild(object));
  expect(isChild).toEqual([true, false, false, false]);
});
