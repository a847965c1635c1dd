/** Commands that fail. */

import { type Case, error } from "./case.ts";
import { alice } from "./clients.ts";

export const faults: Case[] = [
  {
    title: "each invalid line is an error of its own, and the lines around it are executed",
    tags: ["error-invalid", "command-order"],
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nhello\nannounce x 2\nPING\nping \n ping\nannounce x 3"),
      alice.reads(
        "x!1",
        error("invalid hello", /unknown command/),
        "x!2",
        error("invalid line", /unknown command/),
        error("invalid ping", /takes no argument/),
        error("invalid line", /unknown command/),
        "x!3",
      ),
      alice.sends("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "{}", " ", "!", "x!hi", "\u0000", "😀", "announce x 4"),
      alice.reads(...Array(8).fill(error("invalid line", /unknown command/)), "x!4"),
      alice.sends("Subscribe y", "ANNOUNCE x hi", "subscribed y", "__proto__", "constructor y", "toString"),
      alice.reads(
        ...["line", "line", "subscribed", "line", "constructor", "line"].map((command) =>
          error(`invalid ${command}`, /unknown command/),
        ),
      ),
    ],
  },
  {
    title: "a command with a missing part is an error, and the lines around it are executed",
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nannounce x\nannounce x \nannounce\nannounce \nannounce  x hi\nannounce x 2"),
      alice.reads(
        "x!1",
        error("invalid announce x", /message is missing/),
        error("invalid announce x", /message is missing/),
        error("invalid announce", /takes a channel and a message/),
        error("invalid announce", /name is missing/),
        error("invalid announce", /name is missing/),
        "x!2",
      ),
      alice.sends("subscribe", "subscribe ", "unsubscribe", "unsubscribe  \r", "announce x 3"),
      alice.reads(
        error("invalid subscribe", /name is missing/),
        error("invalid subscribe", /name is missing/),
        error("invalid unsubscribe", /name is missing/),
        error("invalid unsubscribe", /name is missing/),
        "x!3",
      ),
    ],
  },
  {
    title: "a name with '!' or a control character is an error, and changes no subscription",
    tags: ["channel-syntax"],
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe x!y\nannounce x!y hi\nunsubscribe x!\nannounce x 1"),
      alice.reads(
        error("invalid subscribe x!y", /'!'/),
        error("invalid announce x!y", /'!'/),
        error("invalid unsubscribe x!", /'!'/),
        "x!1",
      ),
      alice.sends("subscribe \ty", "announce \u0000 hi", "unsubscribe x\u007f", "announce x\r hi", "announce x 2"),
      alice.reads(
        error("invalid subscribe", /control character/),
        error("invalid announce", /control character/),
        error("invalid unsubscribe", /control character/),
        error("invalid announce", /control character/),
        "x!2",
      ),
    ],
  },
];
