/**
 * What the server does, as plays; `play.ts` says how to read them. They are performed in the bare
 * runtime and through `wrangler dev`, one after another on one server, each with nobody else there.
 */
import { client, error, type Line, type Play, TIME } from "./play.ts";

const alice = client("alice");
const bob = client("bob");
const carol = client("carol");
const dave = client("dave");

const encoder = new TextEncoder();
const utf8 = (text: string) => encoder.encode(text);
const bytes = (...values: number[]) => Uint8Array.from(values);
const numbers = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** 255 bytes: as long as a name may be. */
const LONGEST = "n".repeat(255);
const LONGEST_ACCENTED = `${"é".repeat(127)}n`;

/** 65,536 bytes: as long as a line may be, in letters of one byte and of two. */
const LONGEST_MESSAGE = "m".repeat(65_536 - "announce x ".length);
const LONGEST_ACCENTED_MESSAGE = `${"é".repeat(LONGEST_MESSAGE.length >> 1)}m`;

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

export const plays: Play[] = [
  // --- commands

  {
    title: "ping is answered with the time, and nothing else",
    steps: [alice.connects("/"), alice.sends("ping"), alice.reads(TIME)],
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
      // What carol has read has passed bob, who shares her object.
      carol.reads("all!1"),
      bob.sends("subscribe all"),
      alice.sends("announce all 2"),
      alice.reads("all!2"),
      carol.reads("all!2"),
      bob.reads("all!2"),
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
      alice.reads(error(/subscribe.*debug/), error(/announce.*debug/), "x!hi"),
      bob.reads("x!hi"),
    ],
  },
  {
    title: "an error is told to nobody but the one whose command it was",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      alice.sends("nonsense"),
      alice.reads(error(/unknown command/)),
      alice.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.reads("x!hi"),
    ],
  },

  // --- where to connect

  {
    title: "at / one is subscribed to 'all' only",
    steps: [
      alice.connects("/"),
      alice.sends("announce / unheard", "announce x unheard", "announce all hi"),
      alice.reads("all!hi"),
      alice.sends("unsubscribe all", "announce all unheard"),
    ],
  },
  {
    title: "at /<channel> one is subscribed to it from the greeting on",
    steps: [
      alice.connects("/x"),
      bob.connects("/"),
      bob.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.sends("announce /x unheard", "announce X unheard", "announce x hi again"),
      alice.reads("x!hi again"),
    ],
  },
  {
    title: "/all is the same as /, and nothing comes twice there",
    steps: [
      alice.connects("/all"),
      bob.connects("/"),
      alice.sends("announce all hi"),
      alice.reads("all!hi"),
      bob.reads("all!hi"),
    ],
  },
  {
    title: "everything after the first slash is the name, slashes included",
    steps: [
      alice.connects("/a/b"),
      bob.connects("/a%2Fb"),
      carol.connects("/a"),
      dave.connects("/a/b/"),
      bob.sends("announce a/b hi", "announce a hi", "announce a/b/ hi"),
      bob.reads("a/b!hi"),
      alice.reads("a/b!hi"),
      carol.reads("a!hi"),
      dave.reads("a/b/!hi"),
    ],
  },
  {
    title: "a path is percent-encoded, and a query is no part of it",
    steps: [
      alice.connects("/50%25%3F%23?x=y"),
      alice.sends("announce 50%?# hi", "announce 50%25%3F%23 unheard", "announce 50%?#?x=y unheard"),
      alice.reads("50%?#!hi"),
    ],
  },
  {
    title: "names are UTF-8, and compared byte for byte",
    steps: [
      alice.connects("/caf%C3%A9"),
      bob.connects("/cafe%CC%81"),
      carol.connects("/%F0%9F%98%80"),
      alice.sends("announce café hi", "announce cafe\u0301 hi", "announce 😀 hi", "announce CAFÉ unheard"),
      alice.reads("café!hi"),
      bob.reads("cafe\u0301!hi"),
      carol.reads("😀!hi"),
      carol.sends("subscribe café", "announce café hi again"),
      carol.reads("café!hi again"),
      alice.reads("café!hi again"),
    ],
  },
  {
    title: "a name may have 255 bytes, in the path and in commands, and no more",
    steps: [
      alice.connects(`/${LONGEST}`),
      bob.connects(`/${encodeURIComponent(LONGEST_ACCENTED)}`),
      alice.sends(
        `announce ${LONGEST} hi`,
        `subscribe ${LONGEST_ACCENTED}`,
        `announce ${LONGEST_ACCENTED} hi`,
      ),
      alice.reads(`${LONGEST}!hi`, `${LONGEST_ACCENTED}!hi`),
      bob.reads(`${LONGEST_ACCENTED}!hi`),
      alice.sends(`subscribe ${LONGEST}n`, `announce ${LONGEST_ACCENTED}n hi`, `unsubscribe ${LONGEST}n`),
      alice.reads(error(/255/), error(/255/), error(/255/)),
    ],
  },
  {
    title: "names that mean something to JavaScript mean nothing here",
    steps: [
      alice.connects("/__proto__"),
      bob.connects("/constructor"),
      alice.sends("announce __proto__ hi", "announce constructor hi", "announce toString unheard"),
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

  // --- several channels, several objects

  {
    title: "a connection can be subscribed to channels other than the one it is connected at",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("subscribe y\nsubscribe z\nsubscribe w"),
      bob.sends("announce y hi"),
      bob.reads("y!hi"),
      alice.reads("y!hi"),
      bob.sends("announce z hi"),
      alice.reads("z!hi"),
      bob.sends("announce x hi"),
      alice.reads("x!hi"),
      bob.sends("announce w hi"),
      alice.reads("w!hi"),
    ],
  },
  {
    title: "neighbours in one object have subscriptions of their own",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      carol.connects("/y"),
      alice.sends("subscribe y"),
      carol.sends("announce y 1"),
      carol.reads("y!1"),
      alice.reads("y!1"),
      bob.sends("subscribe y"),
      carol.sends("announce y 2"),
      carol.reads("y!2"),
      alice.reads("y!2"),
      bob.reads("y!2"),
      alice.sends("unsubscribe y"),
      carol.sends("announce y 3"),
      carol.reads("y!3"),
      bob.reads("y!3"),
      alice.sends("subscribe y"),
      bob.leaves(),
      carol.sends("announce y 4"),
      carol.reads("y!4"),
      alice.reads("y!4"),
    ],
  },
  {
    title: "one can announce on channels elsewhere without being subscribed to them",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("announce y 1\nannounce y 2", "announce nobody-there hi", "announce y 3", "announce x 4"),
      alice.reads("x!4"),
      bob.reads("y!1", "y!2", "y!3"),
    ],
  },
  {
    title: "what one announces here and elsewhere, one reads in the order of announcing",
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe y\nsubscribe z"),
      alice.sends(
        "announce y 1\nannounce x 2\nannounce z 3\nannounce all 4\nannounce x 5\nping\nannounce y 6",
      ),
      alice.reads("y!1", "x!2", "z!3", "all!4", "x!5", TIME, "y!6"),
      alice.sends("announce z 7", "announce x 8", "ping", "announce z 9", "unsubscribe z", "announce z -"),
      alice.reads("z!7", "x!8", TIME, "z!9"),
      alice.sends("announce y 10", "announce all 11", "nonsense", "announce y 12", "announce x 13"),
      alice.reads("y!10", "all!11", error(/unknown/), "y!12", "x!13"),
    ],
  },
  {
    title: "all readers of a channel see one order, wherever they and the announcers are",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      carol.connects("/z"),
      bob.sends("subscribe x"),
      carol.sends("subscribe x"),
      alice.sends("announce x 1\nannounce x 2"),
      alice.reads("x!1", "x!2"),
      bob.reads("x!1", "x!2"),
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
    title: "who leaves is missed by nobody",
    steps: [
      alice.connects("/x"),
      bob.connects("/x"),
      carol.connects("/y"),
      carol.sends("subscribe x"),
      bob.sends("announce x hi"),
      bob.reads("x!hi"),
      alice.reads("x!hi"),
      carol.reads("x!hi"),
      bob.leaves(),
      carol.leaves(),
      alice.sends("announce x hi again"),
      alice.reads("x!hi again"),
      bob.connects("/x"),
      alice.sends("announce x welcome back"),
      alice.reads("x!welcome back"),
      bob.reads("x!welcome back"),
    ],
  },

  // --- lines and frames

  {
    title: "a frame carries several lines, and its end ends its last line",
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nannounce x 2\n", "announce x 3", "announce x 4\nannounce x 5"),
      alice.reads("x!1", "x!2", "x!3", "x!4", "x!5"),
      alice.sends("announce x ha", "lf"),
      alice.reads("x!ha", error(/unknown command/)),
    ],
  },
  {
    title: "a hundred commands in one frame are carried out in their order",
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
    title: "a hundred frames are carried out in their order",
    steps: [
      alice.connects("/x"),
      alice.sends(
        ...numbers(100).map((n) => (n % 10 === 0 ? "ping" : `announce ${n % 3 ? "all" : "x"} ${n}`)),
      ),
      alice.reads(...numbers(100).map((n) => (n % 10 === 0 ? TIME : `${n % 3 ? "all" : "x"}!${n}`))),
    ],
  },
  {
    title: "empty lines and empty frames are ignored",
    steps: [
      alice.connects("/x"),
      alice.sends("", "\n", "\r\n", "\n\n\nannounce x hi\n\n\r\n\nping\n\n", bytes()),
      alice.reads("x!hi", TIME),
    ],
  },
  {
    title: "binary frames are read as UTF-8",
    steps: [
      alice.connects("/x"),
      alice.sends(
        utf8("subscribe é\nannounce é naïve 😀\n"),
        utf8("announce x \ufeffhi\r\nping"),
        "announce x ok",
      ),
      alice.reads("é!naïve 😀", "x!\ufeffhi\r", TIME, "x!ok"),
      // A byte order mark is not dropped from either kind of frame.
      alice.sends("\ufeffping", utf8("\ufeffping")),
      alice.reads(error(/unknown command/), error(/unknown command/)),
    ],
  },
  {
    title: "a binary frame that is not UTF-8 is one error, and the connection goes on",
    steps: [
      alice.connects("/x"),
      alice.sends(bytes(0xff, 0xfe, 0x0a, 0x00, 0x0a, 0x80), utf8("announce x hi")),
      alice.reads(error(/UTF-8/), "x!hi"),
      // What was wrong is said when its turn comes.
      alice.sends("subscribe y\nannounce y 1\nannounce x 2", bytes(0xff), "announce y 3"),
      alice.reads("y!1", "x!2", error(/UTF-8/), "y!3"),
      // A letter cut in two by the end of its frame.
      alice.sends("announce x 1", utf8("announce x é").slice(0, -1), bytes(0xa9), "announce x 2"),
      alice.reads("x!1", error(/UTF-8/), error(/UTF-8/), "x!2"),
      // Nothing of such a frame is carried out, not even what could be read.
      alice.sends(new Uint8Array([...utf8("announce x 3\n"), 0xc3, 0x28]), "announce x 4"),
      alice.reads(error(/UTF-8/), "x!4"),
    ],
  },
  {
    title: "messages of 60 kilobytes arrive whole, here and elsewhere",
    steps: [
      alice.connects("/x"),
      bob.connects("/y"),
      alice.sends("subscribe y"),
      alice.sends(`announce x ${"a".repeat(60_000)}\nannounce y ${"é".repeat(30_000)}\nannounce x after`),
      alice.reads(`x!${"a".repeat(60_000)}`, `y!${"é".repeat(30_000)}`, "x!after"),
      bob.reads(`y!${"é".repeat(30_000)}`),
      bob.sends(utf8(`announce y ${"😀".repeat(15_000)}\nannounce y after`)),
      bob.reads(`y!${"😀".repeat(15_000)}`, "y!after"),
      alice.reads(`y!${"😀".repeat(15_000)}`, "y!after"),
    ],
  },
  {
    title: "a line may have 65,536 bytes; a longer one is an error, and its neighbours are carried out",
    steps: [
      alice.connects("/x"),
      alice.sends(`announce x ${LONGEST_MESSAGE}`, `announce x ${LONGEST_ACCENTED_MESSAGE}`),
      alice.reads(`x!${LONGEST_MESSAGE}`, `x!${LONGEST_ACCENTED_MESSAGE}`),
      alice.sends(`announce x 1\nannounce x ${LONGEST_MESSAGE}m\nannounce x 2`),
      alice.reads("x!1", error(/65536 bytes/), "x!2"),
      alice.sends(`announce x 3\nannounce x ${LONGEST_ACCENTED_MESSAGE}m`, "announce x 4"),
      alice.reads("x!3", error(/65536 bytes/), "x!4"),
      alice.sends("n".repeat(200_000), utf8("n".repeat(200_000)), "announce x 5"),
      alice.reads(error(/65536 bytes/), error(/65536 bytes/), "x!5"),
    ],
  },

  // --- commands that cannot be carried out

  {
    title: "what is no command is an error each, and its neighbours are carried out",
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nhello\nannounce x 2\nPING\nping \n ping\nannounce x 3"),
      alice.reads("x!1", error(/unknown/), "x!2", ...Array(3).fill(error(/unknown/)), "x!3"),
      alice.sends(
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "{}",
        " ",
        "!",
        "x!hi",
        "\u0000",
        "😀",
        "announce x 4",
      ),
      alice.reads(...Array(8).fill(error(/unknown/)), "x!4"),
      alice.sends("Subscribe y", "ANNOUNCE x hi", "subscribed y", "__proto__", "constructor y", "toString"),
      alice.reads(...Array(6).fill(error(/unknown/))),
    ],
  },
  {
    title: "a command with a part missing is an error, and its neighbours are carried out",
    steps: [
      alice.connects("/x"),
      alice.sends("announce x 1\nannounce x\nannounce x \nannounce\nannounce \nannounce  x hi\nannounce x 2"),
      alice.reads(
        "x!1",
        error(/message is missing/),
        error(/message is missing/),
        error(/announce/),
        error(/name is missing/),
        error(/name is missing/),
        "x!2",
      ),
      alice.sends("subscribe", "subscribe ", "unsubscribe", "unsubscribe  \r", "announce x 3"),
      alice.reads(...Array(4).fill(error(/name is missing/)), "x!3"),
    ],
  },
  {
    title: "a name with '!' or a control character is an error, and changes no subscription",
    steps: [
      alice.connects("/x"),
      alice.sends("subscribe x!y\nannounce x!y hi\nunsubscribe x!\nannounce x 1"),
      alice.reads(...Array(3).fill(error(/'!'/)), "x!1"),
      alice.sends(
        "subscribe \ty",
        "announce \u0000 hi",
        "unsubscribe x\u007f",
        "announce x\r hi",
        "announce x 2",
      ),
      alice.reads(...Array(4).fill(error(/control character/)), "x!2"),
    ],
  },

  // --- all together

  {
    title: "who is alone reads exactly what the original server sends",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe news\nsubscribe sport\nannounce news hello world\nping\n"),
      alice.reads("news!hello world", TIME),
      alice.sends("announce sport 1:0\n", "announce all to everyone\n", "announce weather rain\n"),
      alice.reads("sport!1:0", "all!to everyone"),
      alice.sends(
        "subscribe news\nannounce news once\nunsubscribe sport\nannounce sport 1:1\nannounce news x!y z \n",
      ),
      alice.reads("news!once", "news!x!y z "),
      alice.sends("unsubscribe sport\nunsubscribe never\nsubscribe sport\nannounce sport 2:1\nping\n"),
      alice.reads("sport!2:1", TIME),
      alice.sends(
        "unsubscribe all\nannounce all hi\nsubscribe all\nannounce all hi again\nunsubscribe news\n\nping\n",
      ),
      alice.reads("all!hi again", TIME),
    ],
  },
];
