/** Which object takes the next connection or link, when one is full. */
import { expect, test } from "vitest";
import type { CapacityReport } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { Capacity } from "../../../src/tree/capacity.ts";
import { stillWorld } from "./fake-runtime.ts";

interface Options {
  name?: string;
  sockets?: number;
  links?: number;
  /** What chance says, from 0 to less than 1. */
  random?: number;
}

/** The room of an object that holds as much as the test says in `held`. */
function roomOf({ name = "news", sockets = 8, links = 2, random = 0 }: Options = {}) {
  const told: [string, CapacityReport][] = [];
  const runtime = stillWorld(name, new Map(), {
    fill: async (object, filling) => {
      told.push([object, filling]);
      return undefined;
    },
  });
  const held = { sockets: 0, links: 0 };
  const limits = { ...readLimits({}), socketsPerObject: sockets, linksPerObject: links };
  const connections = {
    isCrowded: false,
    get size() {
      return held.sockets;
    },
  };
  const downstream = {
    get objects() {
      return Array.from({ length: held.links }, (_, i) => `home${i}`);
    },
  };
  const room = new Capacity({ ...runtime, random: () => random }, limits, connections, downstream);
  /** The object that a connection is sent to; undefined for this one. */
  const place = (region: string, full = "") => room.placementFor(region, full, false)?.object;
  return { room, held, told, place };
}

test("an object takes connections until it is full, and links are counted apart", () => {
  const { room, held, place } = roomOf();
  for (const sockets of [0, 7]) {
    Object.assign(held, { sockets, links: 2 });
    expect(place("weur")).toBeUndefined();
  }
  Object.assign(held, { sockets: 8, links: 1 });
  expect(place("weur")).toBe("news!1");
  expect([room.isFull("sockets"), room.isFull("links")]).toEqual([true, false]);
});

test("a child that is full sends back to its parent, which takes its word", () => {
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
  // Where nobody knows where a connection comes from, any child with room is near.
  expect(place("")).toBe("news!1");
});

test("the number of a child that has gone is free again, and so is its region", () => {
  const { room, held, place } = roomOf();
  held.sockets = 8;
  for (const region of ["weur", "apac"]) place(region);
  room.remove("news!1");
  expect(place("apac")).toBe("news!2");
  expect(place("weur")).toBe("news!1");
  // Whoever is known keeps the region that it is known for.
  room.add("news!1", "enam");
  expect(place("weur")).toBe("news!1");
});

test("there are no more children for links than links, and when all are full any passes it on", () => {
  const { room } = roomOf({ random: 0.6 });
  expect(room.childForLink()).toBe("news!1");
  room.note({ child: "news!1", load: "links", full: true });
  expect(room.childForLink()).toBe("news!2");
  room.note({ child: "news!2", load: "links", full: true });
  expect(room.childForLink()).toBe("news!2");
  room.note({ child: "news!1", load: "links", full: false });
  expect(room.childForLink()).toBe("news!1");
  // What is full of links may have room for connections.
  room.note({ child: "news!1", load: "sockets", full: true });
  expect(room.childForLink()).toBe("news!1");
});

test("when all children that there may be are full, one of them places connections below itself", () => {
  const { room, held } = roomOf({ links: 2, random: 0.6 });
  held.sockets = 8;
  expect(room.placementFor("", "", false)).toEqual({ object: "news!1", below: false });
  expect(room.placementFor("", "news!1", false)).toEqual({ object: "news!2", below: false });
  expect(room.placementFor("", "news!2", false)).toEqual({ object: "news!2", below: true });
  const child = roomOf({ name: "news!2", sockets: 1, links: 2 });
  expect(child.room.placementFor("", "", true)).toBeUndefined();
  child.held.sockets = 1;
  expect(child.room.placementFor("", "", true)).toEqual({ object: "news!2!1", below: false });
  // Whoever comes there directly may find room nearer to the root.
  expect(child.room.placementFor("", "", false)).toEqual({ object: "", below: true });
});

test("a child says when it is full, once, and again when an eighth is free", () => {
  const { room, held, told } = roomOf({ name: "news!1", sockets: 16, links: 2 });
  const steps = [15, 16, 17, 15, 14, 15, 16];
  const heard = steps.map((sockets) => {
    held.sockets = sockets;
    room.report("sockets");
    return told.splice(0).map(([object, { child, load, full }]) => `${object} ${child} ${load} ${full}`);
  });
  const [full, free] = [["news news!1 sockets true"], ["news news!1 sockets false"]];
  expect(heard).toEqual([[], full, [], [], free, [], full]);
  for (const links of [2, 1]) {
    held.links = links;
    room.report("links");
  }
  expect(told.map(([, { load, full }]) => [load, full])).toEqual([
    ["links", true],
    ["links", false],
  ]);
});

test("a root tells nobody, and children are those one level below", () => {
  const { room, held, told } = roomOf();
  held.sockets = 8;
  room.report("sockets");
  expect(told).toEqual([]);
  const isChild = ["news!1", "news!1!1", "news", "other!1"].map((object) => room.isChild(object));
  expect(isChild).toEqual([true, false, false, false]);
});
