/** Lines, and the frames that contain them. */

import { type Case, error, TIME } from "./case.ts";
import { alice, bob, bytes, each, numbers, utf8 } from "./clients.ts";

/** 65,536 bytes, the maximum length of a line, in characters of one byte and of two. */
const LONGEST_MESSAGE = "m".repeat(65_536 - "announce x ".length);
const LONGEST_ACCENTED_MESSAGE = `${"é".repeat(LONGEST_MESSAGE.length >> 1)}m`;

export const frames: Case[] = [
  {
    title: "a frame carries several lines, and its end also ends its last line",
    tags: ["frame-boundaries"],
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nannounce x 2\n", "announce x 3", "announce x 4\nannounce x 5"),
      alice.reads("x!1", "x!2", "x!3", "x!4", "x!5"),
      alice.sends("announce x ha", "lf"),
      alice.reads("x!ha", error("invalid lf", /unknown command/)),
    ],
  },
  {
    title: "a hundred commands in one frame are executed in order",
    tags: ["command-order"],
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("subscribe y"),
      alice.sends(
        numbers(50)
          .map((n) => `announce x ${n}\nannounce y ${n}`)
          .join("\n"),
      ),
      alice.reads(...numbers(50).flatMap((n) => [`x!${n}`, `y!${n}`])),
      bob.reads(...numbers(50).map((n) => `y!${n}`)),
    ],
  },
  {
    title: "a hundred frames are executed in order",
    steps: [
      alice.connects("/x"),
      alice.sends(...numbers(100).map((n) => (n % 10 === 0 ? "ping" : `announce ${n % 3 ? "all" : "x"} ${n}`))),
      alice.reads(...numbers(100).map((n) => (n % 10 === 0 ? TIME : `${n % 3 ? "all" : "x"}!${n}`))),
    ],
  },
  {
    title: "empty lines and empty frames are ignored",
    tags: ["lines-lenient"],
    steps: [
      alice.connects("/x"),
      alice.sends("", "\n", "\r\n", "\n\n\nannounce x hi\n\n\r\n\nping\n\n", bytes()),
      alice.reads("x!hi", TIME),
    ],
  },
  {
    title: "binary frames are read as UTF-8",
    tags: ["frame-types"],
    steps: [
      alice.connects("/x"),
      alice.sends(utf8("subscribe é\nannounce é naïve 😀\n"), utf8("announce x \ufeffhi\r\nping"), "announce x ok"),
      alice.reads("é!naïve 😀", "x!\ufeffhi\r", TIME, "x!ok"),
      // A byte order mark is not stripped from either kind of frame.
      alice.sends("\ufeffping", utf8("\ufeffping")),
      alice.reads(error("invalid line", /unknown command/), error("invalid line", /unknown command/)),
    ],
  },
  {
    title: "a binary frame that is not UTF-8 is one error, and the connection stays open",
    steps: [
      alice.connects("/x"),
      alice.sends(bytes(0xff, 0xfe, 0x0a, 0x00, 0x0a, 0x80), utf8("announce x hi")),
      alice.reads(error("invalid frame", /UTF-8/), "x!hi"),
      // The error comes in the order of the frames.
      alice.sends("subscribe y\nannounce y 1\nannounce x 2", bytes(0xff), "announce y 3"),
      alice.reads("y!1", "x!2", error("invalid frame", /UTF-8/), "y!3"),
      // A character that the end of a frame cuts in two.
      alice.sends("announce x 1", utf8("announce x é").slice(0, -1), bytes(0xa9), "announce x 2"),
      alice.reads("x!1", error("invalid frame", /UTF-8/), error("invalid frame", /UTF-8/), "x!2"),
      // No line of such a frame is executed, not even the valid ones.
      alice.sends(new Uint8Array([...utf8("announce x 3\n"), 0xc3, 0x28]), "announce x 4"),
      alice.reads(error("invalid frame", /UTF-8/), "x!4"),
    ],
  },
  {
    title: "messages of 60 kilobytes arrive whole, in this object and in others",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("subscribe y"),
      alice.sends(`announce x ${"a".repeat(60_000)}\nannounce y ${"é".repeat(30_000)}\nannounce x after`),
      alice.reads(`x!${"a".repeat(60_000)}`, `y!${"é".repeat(30_000)}`, "x!after"),
      bob.reads(`y!${"é".repeat(30_000)}`),
      bob.sends(utf8(`announce y ${"😀".repeat(15_000)}\nannounce y after`)),
      ...each(bob, alice).reads(`y!${"😀".repeat(15_000)}`, "y!after"),
    ],
  },
  {
    title: "lines have at most 65,536 bytes; a longer one is an error, and the lines around it are executed",
    steps: [
      alice.connects("/x"),
      alice.sends(`announce x ${LONGEST_MESSAGE}`, `announce x ${LONGEST_ACCENTED_MESSAGE}`),
      alice.reads(`x!${LONGEST_MESSAGE}`, `x!${LONGEST_ACCENTED_MESSAGE}`),
      alice.sends(`announce x 1\nannounce x ${LONGEST_MESSAGE}m\nannounce x 2`),
      alice.reads("x!1", error("limit announce x", /65536 bytes/), "x!2"),
      alice.sends(`announce x 3\nannounce x ${LONGEST_ACCENTED_MESSAGE}m`, "announce x 4"),
      alice.reads("x!3", error("limit announce x", /65536 bytes/), "x!4"),
      alice.sends("n".repeat(200_000), utf8("n".repeat(200_000)), "announce x 5"),
      alice.reads(error("limit line", /65536 bytes/), error("limit line", /65536 bytes/), "x!5"),
    ],
  },
];
