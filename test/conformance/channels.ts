/** Connecting to channels, and channels in several objects. */

import { type Case, error, TIME } from "./case.ts";
import { alice, bob, carol, dave, each } from "./clients.ts";

/** 255 bytes, the maximum length of a name. */
const LONGEST = "n".repeat(255);
const LONGEST_ACCENTED = `${"é".repeat(127)}n`;

export const channels: Case[] = [
  // --- connecting

  {
    title: "at /, a client is subscribed to 'all' only",
    steps: [
      alice.connects("/"),
      alice.sends("announce / unreceived", "announce x unreceived", "announce all hi"),
      alice.reads("all!hi"),
      alice.sends("unsubscribe all", "announce all unreceived"),
    ],
  },
  {
    title: "at /<channel>, a client is subscribed to the channel as soon as it is greeted",
    steps: [
      alice.connects("/x"),
      bob.connects("/"),
      bob.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.sends("announce /x unreceived", "announce X unreceived", "announce x hi again"),
      alice.reads("x!hi again"),
    ],
  },
  {
    title: "/all is the same as /, and messages don't come twice",
    steps: [
      alice.connects("/all"),
      bob.connects("/"),
      alice.sends("announce all hi"),
      ...each(alice, bob).reads("all!hi"),
    ],
  },
  {
    title: "the name is everything after the first slash, including further slashes",
    steps: [
      alice.connects("/a/b"),
      bob.connects("/a%2Fb"),
      carol.connects("/a"),
      dave.connects("/a/b/"),
      bob.sends("announce a/b hi", "announce a hi", "announce a/b/ hi"),
      ...each(bob, alice).reads("a/b!hi"),
      carol.reads("a!hi"),
      dave.reads("a/b/!hi"),
    ],
  },
  {
    title: "the path is percent-encoded, and the query is not part of the name",
    steps: [
      alice.connects("/50%25%3F%23?x=y"),
      alice.sends("announce 50%?# hi", "announce 50%25%3F%23 unreceived", "announce 50%?#?x=y unreceived"),
      alice.reads("50%?#!hi"),
    ],
  },
  {
    title: "names are UTF-8, and compared byte by byte",
    steps: [
      alice.connects("/caf%C3%A9"),
      bob.connects("/cafe%CC%81"),
      carol.connects("/%F0%9F%98%80"),
      alice.sends("announce café hi", "announce cafe\u0301 hi", "announce 😀 hi", "announce CAFÉ unreceived"),
      alice.reads("café!hi"),
      bob.reads("cafe\u0301!hi"),
      carol.reads("😀!hi"),
      carol.sends("subscribe café", "announce café hi again"),
      ...each(carol, alice).reads("café!hi again"),
    ],
  },
  {
    title: "names have at most 255 bytes, in paths and in commands",
    steps: [
      alice.connects(`/${LONGEST}`),
      bob.connects(`/${encodeURIComponent(LONGEST_ACCENTED)}`),
      alice.sends(`announce ${LONGEST} hi`, `subscribe ${LONGEST_ACCENTED}`, `announce ${LONGEST_ACCENTED} hi`),
      alice.reads(`${LONGEST}!hi`, `${LONGEST_ACCENTED}!hi`),
      bob.reads(`${LONGEST_ACCENTED}!hi`),
      alice.sends(`subscribe ${LONGEST}n`, `announce ${LONGEST_ACCENTED}n hi`, `unsubscribe ${LONGEST}n`),
      alice.reads(
        error("invalid subscribe", /255/),
        error(`invalid announce ${LONGEST_ACCENTED}n`, /255/),
        error("invalid unsubscribe", /255/),
      ),
    ],
  },
  {
    title: "names with a meaning in JavaScript have none here",
    steps: [
      alice.connects("/__proto__"),
      bob.connects("/constructor"),
      alice.sends("announce __proto__ hi", "announce constructor hi", "announce toString unreceived"),
      alice.reads("__proto__!hi"),
      bob.reads("constructor!hi"),
      bob.sends("subscribe __proto__", "subscribe toString", "announce toString hi", "announce __proto__ hi"),
      bob.reads("toString!hi", "__proto__!hi"),
      alice.reads("__proto__!hi"),
      bob.sends("unsubscribe __proto__", "unsubscribe hasOwnProperty", "announce __proto__ bye"),
      alice.reads("__proto__!bye"),
      bob.sends("announce constructor bye"),
      bob.reads("constructor!bye"),
    ],
  },

  // --- several channels in several objects

  {
    title: "clients can subscribe to channels other than the one they connect to",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("subscribe y\nsubscribe z\nsubscribe w"),
      bob.sends("announce y hi"),
      ...each(bob, alice).reads("y!hi"),
      bob.sends("announce z hi"),
      alice.reads("z!hi"),
      bob.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.sends("announce w hi"),
      alice.reads("w!hi"),
    ],
  },
  {
    title: "clients of the same object have separate subscriptions",
    steps: [
      ...each(alice, bob).connects("/x"),
      carol.connects("/y"),
      alice.sends("subscribe y"),
      carol.sends("announce y 1"),
      ...each(carol, alice).reads("y!1"),
      bob.sends("subscribe y"),
      carol.sends("announce y 2"),
      ...each(carol, alice, bob).reads("y!2"),
      alice.sends("unsubscribe y"),
      carol.sends("announce y 3"),
      ...each(carol, bob).reads("y!3"),
      alice.sends("subscribe y"),
      bob.leaves(),
      carol.sends("announce y 4"),
      ...each(carol, alice).reads("y!4"),
    ],
  },
  {
    title: "clients can announce on channels without subscribing to them",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("announce y 1\nannounce y 2", "announce unsubscribed hi", "announce y 3", "announce x 4"),
      alice.reads("x!4"),
      bob.reads("y!1", "y!2", "y!3"),
    ],
  },
  {
    title: "clients receive their own messages on several channels in the order they sent them",
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe y\nsubscribe z"),
      alice.sends("announce y 1\nannounce x 2\nannounce z 3\nannounce all 4\nannounce x 5\nping\nannounce y 6"),
      alice.reads("y!1", "x!2", "z!3", "all!4", "x!5", TIME, "y!6"),
      alice.sends("announce z 7", "announce x 8", "ping", "announce z 9", "unsubscribe z", "announce z -"),
      alice.reads("z!7", "x!8", TIME, "z!9"),
      alice.sends("announce y 10", "announce all 11", "nonsense", "announce y 12", "announce x 13"),
      alice.reads("y!10", "all!11", error("invalid nonsense", /unknown command/), "y!12", "x!13"),
    ],
  },
  {
    title: "all subscribers of a channel receive one order, wherever they and the publishers are connected",
    tags: ["order-shared"],
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      carol.connects("/z"),
      bob.sends("subscribe x"),
      carol.sends("subscribe x"),
      alice.sends("announce x 1\nannounce x 2"),
      ...each(alice, bob).reads("x!1", "x!2"),
      bob.sends("announce x 3", "announce x 4"),
      bob.reads("x!3", "x!4"),
      carol.reads("x!1", "x!2", "x!3", "x!4"),
      carol.sends("announce x 5\nannounce x 6"),
      carol.reads("x!5", "x!6"),
      alice.reads("x!3", "x!4", "x!5", "x!6"),
      bob.reads("x!5", "x!6"),
    ],
  },
  {
    title: "clients that leave don't affect the others, and can return",
    steps: [
      ...each(alice, bob).connects("/x"),
      carol.connects("/y"),
      carol.sends("subscribe x"),
      bob.sends("announce x hi"),
      ...each(bob, alice, carol).reads("x!hi"),
      bob.leaves(),
      carol.leaves(),
      alice.sends("announce x hi again"),
      alice.reads("x!hi again"),
      bob.connects("/x"),
      alice.sends("announce x welcome back"),
      ...each(alice, bob).reads("x!welcome back"),
    ],
  },
];
