/** Commands, the channel `all`, and the reserved channel `debug`. */

import { type Case, error, type Line, TIME } from "./case.ts";
import { alice, bob, carol, dave, each } from "./clients.ts";

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

export const commands: Case[] = [
  // --- commands

  {
    title: "the reply to ping is the time, and nothing else",
    steps: [alice.connects("/"), alice.sends("ping"), alice.reads(TIME)],
  },
  {
    title: "keepalive gets a reply, from the runtime if it is a whole frame, and from the object otherwise",
    steps: [
      alice.connects("/"),
      alice.sends("keepalive\n"),
      alice.reads("debug!alive"),
      alice.sends("keepalive", "ping\nkeepalive\r\n"),
      alice.reads("debug!alive", TIME, "debug!alive"),
    ],
  },
  {
    title: "'since' and 'last' take a number, and anything else is an error",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x since yesterday\nsubscribe x last 0\nannounce x 1\nsubscribe x"),
      alice.reads(error("invalid subscribe x", /'since' takes/), error("invalid subscribe x", /'last' takes/)),
      alice.sends("announce x 2"),
      alice.reads("x!2"),
    ],
  },
  {
    title: "info lists the original server's keys in the original order, then Fanout's own",
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
    title: "all subscribers receive a message, including its publisher if subscribed",
    steps: [
      ...each(alice, bob, carol).connects("/"),
      alice.sends("subscribe x"),
      carol.sends("subscribe x"),
      bob.sends("announce x from bob"),
      ...each(alice, carol).reads("x!from bob"),
      alice.sends("announce x from alice"),
      ...each(alice, carol).reads("x!from alice"),
    ],
  },
  {
    title: "clients can unsubscribe and subscribe again",
    steps: [
      alice.connects("/"),
      bob.connects("/x"),
      alice.sends("subscribe x"),
      bob.sends("announce x 1"),
      ...each(bob, alice).reads("x!1"),
      alice.sends("unsubscribe x"),
      bob.sends("announce x 2"),
      bob.reads("x!2"),
      alice.sends("subscribe x"),
      bob.sends("announce x 3"),
      ...each(bob, alice).reads("x!3"),
    ],
  },
  {
    title: "subscribing twice has no effect: each message comes once, and one unsubscribe ends the subscription",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x", "subscribe x", "announce x once"),
      alice.reads("x!once"),
      alice.sends("unsubscribe x", "announce x unreceived", "subscribe x", "announce x received"),
      alice.reads("x!received"),
    ],
  },
  {
    title: "subscribing to the channel of the path changes nothing",
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe x", "subscribe all", "announce x once", "announce all once"),
      alice.reads("x!once", "all!once"),
    ],
  },
  {
    title: "unsubscribing without a subscription has no effect",
    steps: [
      alice.connects("/x"),
      alice.sends("unsubscribe y", "unsubscribe debug", "unsubscribe y", "announce x hi"),
      alice.reads("x!hi"),
    ],
  },
  {
    title: "clients can unsubscribe from the channel of the path, and subscribe again",
    steps: [
      ...each(alice, bob).connects("/x"),
      alice.sends("unsubscribe x"),
      bob.sends("announce x 1"),
      bob.reads("x!1"),
      alice.sends("announce x 2"),
      bob.reads("x!2"),
      alice.sends("subscribe x"),
      bob.sends("announce x 3"),
      ...each(bob, alice).reads("x!3"),
    ],
  },
  {
    title: "several spaces before a channel count as one, and words after it are ignored",
    tags: ["lines-lenient"],
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
    title: "messages arrive byte for byte",
    tags: ["message-bytes"],
    steps: [
      alice.connects("/x"),
      alice.sends("announce x  two spaces", "announce x trailing  ", "announce x  "),
      alice.reads("x! two spaces", "x!trailing  ", "x! "),
      alice.sends("announce x !", "announce x y!z", "announce x x!x", "announce x announce x hi"),
      alice.reads("x!!", "x!y!z", "x!x!x", "x!announce x hi"),
      alice.sends("announce x \t\u0000\u0001\u007f", "announce x naïve € 😀 e\u0301", "announce x \ufeffmark"),
      alice.reads("x!\t\u0000\u0001\u007f", "x!naïve € 😀 e\u0301", "x!\ufeffmark"),
    ],
  },
  {
    title: "a carriage return ends a command, but is part of a message",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe x\r\nannounce x hi\r\nping\r\nunsubscribe x\r\n\r\nannounce x unreceived\r\n"),
      alice.reads("x!hi\r", TIME),
    ],
  },

  // --- the channels `all` and `debug`

  {
    title: "every client receives 'all', wherever it is connected",
    steps: [
      alice.connects("/"),
      bob.connects("/x"),
      carol.connects("/all"),
      dave.connects("/y"),
      alice.sends("announce all from alice"),
      ...each(alice, bob, carol, dave).reads("all!from alice"),
      bob.sends("announce all from bob"),
      ...each(bob, alice, carol, dave).reads("all!from bob"),
    ],
  },
  {
    title: "clients can unsubscribe from 'all', and subscribe again",
    steps: [
      alice.connects("/"),
      ...each(bob, carol).connects("/x"),
      bob.sends("unsubscribe all"),
      alice.sends("announce all 1"),
      ...each(alice, carol).reads("all!1"),
      // Bob's announcement comes after that, and passes his object before he subscribes again.
      bob.sends("announce all 2", "subscribe all"),
      ...each(alice, carol).reads("all!2"),
      alice.sends("announce all 3"),
      ...each(alice, carol, bob).reads("all!3"),
    ],
  },
  {
    title: "clients that have unsubscribed from 'all' can still announce on it",
    steps: [
      alice.connects("/x"),
      bob.connects("/"),
      alice.sends("unsubscribe all", "announce all hi", "subscribe all", "announce all hi again"),
      alice.reads("all!hi again"),
      bob.reads("all!hi", "all!hi again"),
    ],
  },
  {
    title: "'debug' is reserved: clients can't subscribe to it or announce on it",
    steps: [
      ...each(alice, bob).connects("/x"),
      alice.sends("subscribe debug", "announce debug hi", "announce x hi"),
      alice.reads(error("invalid subscribe debug", /reserved/), error("invalid announce debug", /reserved/), "x!hi"),
      bob.reads("x!hi"),
    ],
  },
  {
    title: "an error goes only to the client whose command failed",
    steps: [
      ...each(alice, bob).connects("/x"),
      alice.sends("nonsense"),
      alice.reads(error("invalid nonsense", /unknown command/)),
      alice.sends("announce x hi"),
      ...each(alice, bob).reads("x!hi"),
    ],
  },
];
