/** Commands, the channel that everyone hears, and the one that is nobody's. */

import { error, type Line, type Play, TIME } from "./case.ts";
import { alice, bob, carol, dave } from "./clients.ts";

const INFO: Line[] = [
  /^uptime: \d+d ([01]?\d|2[0-3])h [1-5]?\dm [1-5]?\ds$/,
  /^client-limit: \d+$/,
  /^limit rejected connections: \d+$/,
  /^rlimits: Soft=\d+ Hard=\d+$/,
  /^max connections: \d+$/,
  /^current connections: \d+$/,
  /^current channels: \d+$/,
  /^current subscriptions: \d+$/,
  /^user-requested subscriptions: \d+$/,
  /^total connections: \d+$/,
  /^total announcements: \d+$/,
  /^total messages: \d+$/,
  /^total subscribes: \d+$/,
  /^total unsubscribes: \d+$/,
  /^total pings: \d+$/,
  /^objects: \d+$/,
  /^unreachable objects: \d+$/,
];

export const commands: Play[] = [
  // --- commands

  {
    title: "ping is answered with the time, and nothing else",
    steps: [alice.connects("/"), alice.sends("ping"), alice.reads(TIME)],
  },
  {
    title: "keepalive is answered, by the runtime where it is a frame with nothing else, and here where not",
    steps: [
      alice.connects("/"),
      alice.sends("keepalive\n"),
      alice.reads("debug!alive"),
      alice.sends("keepalive", "ping\nkeepalive\r\n"),
      alice.reads("debug!alive", TIME, "debug!alive"),
    ],
  },
  {
    title: "from where on a channel is to be heard is a number, or an error",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x since yesterday\nsubscribe x last 0\nannounce x 1\nsubscribe x"),
      alice.reads(
        error("invalid subscribe x", /'since' takes/),
        error("invalid subscribe x", /'last' takes/),
      ),
      alice.sends("announce x 2"),
      alice.reads("x!2"),
    ],
  },
  {
    title: "info gives the original's keys in the original's order, then our own",
    steps: [
      alice.connects("/x"),
      alice.sends("info"),
      alice.reads(...INFO),
      bob.connects("/"),
      bob.sends("ping\ninfo\r\nping"),
      bob.reads(TIME, ...INFO, TIME),
    ],
  },
  {
    title: "subscribers read what is announced, the announcer too if subscribed",
    steps: [
      alice.connects("/"),
      bob.connects("/"),
      carol.connects("/"),
      alice.sends("subscribe x"),
      carol.sends("subscribe x"),
      bob.sends("announce x from bob"),
      alice.reads("x!from bob"),
      carol.reads("x!from bob"),
      alice.sends("announce x from alice"),
      alice.reads("x!from alice"),
      carol.reads("x!from alice"),
    ],
  },
  {
    title: "unsubscribing ends it, and subscribing begins it again",
    steps: [
      alice.connects("/"),
      bob.connects("/x"),
      alice.sends("subscribe x"),
      bob.sends("announce x 1"),
      bob.reads("x!1"),
      alice.reads("x!1"),
      alice.sends("unsubscribe x"),
      bob.sends("announce x 2"),
      bob.reads("x!2"),
      alice.sends("subscribe x"),
      bob.sends("announce x 3"),
      bob.reads("x!3"),
      alice.reads("x!3"),
    ],
  },
  {
    title: "subscribing twice is harmless: each message comes once, and one unsubscribe ends it",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x", "subscribe x", "announce x once"),
      alice.reads("x!once"),
      alice.sends("unsubscribe x", "announce x unheard", "subscribe x", "announce x heard"),
      alice.reads("x!heard"),
    ],
  },
  {
    title: "subscribing to the channel one is connected at changes nothing",
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe x", "subscribe all", "announce x once", "announce all once"),
      alice.reads("x!once", "all!once"),
    ],
  },
  {
    title: "unsubscribing without a subscription is harmless",
    steps: [
      alice.connects("/x"),
      alice.sends("unsubscribe y", "unsubscribe debug", "unsubscribe y", "announce x hi"),
      alice.reads("x!hi"),
    ],
  },
  {
    title: "one's channel by path can be left and joined again",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      alice.sends("unsubscribe x"),
      bob.sends("announce x 1"),
      bob.reads("x!1"),
      alice.sends("announce x 2"),
      bob.reads("x!2"),
      alice.sends("subscribe x"),
      bob.sends("announce x 3"),
      bob.reads("x!3"),
      alice.reads("x!3"),
    ],
  },
  {
    title: "several spaces before a channel count as one, and words after it as none",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe    x", "subscribe y and other words", "subscribe z "),
      alice.sends("announce x 1", "announce y 1", "announce z 1", "announce and 1"),
      alice.reads("x!1", "y!1", "z!1"),
      alice.sends("unsubscribe   x  y", "announce x 2", "announce y 2"),
      alice.reads("y!2"),
    ],
  },
  {
    title: "a message arrives byte for byte",
    steps: [
      alice.connects("/x"),
      alice.sends("announce x  two spaces", "announce x trailing  ", "announce x  "),
      alice.reads("x! two spaces", "x!trailing  ", "x! "),
      alice.sends("announce x !", "announce x y!z", "announce x x!x", "announce x announce x hi"),
      alice.reads("x!!", "x!y!z", "x!x!x", "x!announce x hi"),
      alice.sends(
        "announce x \t\u0000\u0001\u007f",
        "announce x naïve € 😀 e\u0301",
        "announce x \ufeffmark",
      ),
      alice.reads("x!\t\u0000\u0001\u007f", "x!naïve € 😀 e\u0301", "x!\ufeffmark"),
    ],
  },
  {
    title: "a carriage return ends a command, but belongs to a message",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x\r\nannounce x hi\r\nping\r\nunsubscribe x\r\n\r\nannounce x unheard\r\n"),
      alice.reads("x!hi\r", TIME),
    ],
  },

  // --- the channel of everyone, and the one of nobody

  {
    title: "everyone hears 'all', wherever they are connected",
    steps: [
      alice.connects("/"),
      bob.connects("/x"),
      carol.connects("/all"),
      dave.connects("/y"),
      alice.sends("announce all from alice"),
      alice.reads("all!from alice"),
      bob.reads("all!from alice"),
      carol.reads("all!from alice"),
      dave.reads("all!from alice"),
      bob.sends("announce all from bob"),
      bob.reads("all!from bob"),
      alice.reads("all!from bob"),
      carol.reads("all!from bob"),
      dave.reads("all!from bob"),
    ],
  },
  {
    title: "'all' can be left and joined again",
    steps: [
      alice.connects("/"),
      bob.connects("/x"),
      carol.connects("/x"),
      bob.sends("unsubscribe all"),
      alice.sends("announce all 1"),
      alice.reads("all!1"),
      carol.reads("all!1"),
      // What he announces there comes after that, and passes his object before he joins it again.
      bob.sends("announce all 2", "subscribe all"),
      alice.reads("all!2"),
      carol.reads("all!2"),
      alice.sends("announce all 3"),
      alice.reads("all!3"),
      carol.reads("all!3"),
      bob.reads("all!3"),
    ],
  },
  {
    title: "who has left 'all' can still announce on it",
    steps: [
      alice.connects("/x"),
      bob.connects("/"),
      alice.sends("unsubscribe all", "announce all hi", "subscribe all", "announce all hi again"),
      alice.reads("all!hi again"),
      bob.reads("all!hi", "all!hi again"),
    ],
  },
  {
    title: "'debug' is the server's own: nobody joins it or announces on it",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      alice.sends("subscribe debug", "announce debug hi", "announce x hi"),
      alice.reads(
        error("invalid subscribe debug", /reserved/),
        error("invalid announce debug", /reserved/),
        "x!hi",
      ),
      bob.reads("x!hi"),
    ],
  },
  {
    title: "an error is told to nobody but the one whose command it was",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      alice.sends("nonsense"),
      alice.reads(error("invalid nonsense", /unknown command/)),
      alice.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.reads("x!hi"),
    ],
  },
];
