#!/usr/bin/env node
/** The program `fanout`. */
import { Command, InvalidArgumentError, Option } from "commander";
import { VERSION } from "../version.ts";
import { info, ping } from "./ask.ts";
import { bench } from "./bench.ts";
import { bridgeFrom } from "./bridge.ts";
import { doctor } from "./doctor.ts";
import { DONE, Exit, UNREACHABLE, USAGE } from "./exits.ts";
import { endWithPipe, remark } from "./output.ts";
import { pub } from "./pub.ts";
import { sub } from "./sub.ts";
import { token } from "./token.ts";

const ENDINGS = `
The exit code is 0 when all was done, 1 if the doctor has found something bad, 2 for a command that is wrong, 3 if
there were messages that are not to be had, 4 if the server does not allow it, 5 if nothing came in time, and 6 if the
server cannot be reached.

<url> may be left out where FANOUT_URL is set; a token is read from FANOUT_TOKEN.`;

function wholeNumber(word: string): number {
  const number = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError("It is to be a whole number.");
}

function positiveNumber(word: string): number {
  const number = wholeNumber(word);
  if (number > 0) return number;
  throw new InvalidArgumentError("It is to be 1 or more.");
}

/** Options of all commands that need a server. */
function server(command: Command): Command {
  return command
    .addOption(new Option("--token <jwt>", "what lets one in, where a token is needed").env("FANOUT_TOKEN"))
    .option("--timeout <seconds>", "how long to wait for the server", wholeNumber, 10);
}

/** The address, and the words after it: the first one of all where there is one in the environment only if it looks like it. */
function split(words: string[]): [url: string, rest: string[]] {
  const [first = "", ...rest] = words;
  if (/^\w+:\/\//.test(first)) return [first, rest];
  const url = process.env.FANOUT_URL;
  if (url !== undefined) return [url, words];
  throw new Exit(USAGE, "an address is missing, and FANOUT_URL is not set");
}

const program = new Command("fanout")
  .description("Publish and subscribe with a Fanout server.")
  .version(VERSION)
  .addHelpText("after", ENDINGS)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? DONE : USAGE));

if (!("WebSocket" in globalThis)) {
  remark("it takes Node.js 22 or newer");
  process.exit(USAGE);
}

/** Carries a command out, and ends with its code. */
function act(work: () => Promise<number>): Promise<void> {
  return work().then(
    (code) => process.exit(code),
    (error: unknown) => {
      remark(error instanceof Error ? error.message : String(error));
      process.exit(error instanceof Exit ? error.code : UNREACHABLE);
    },
  );
}

server(program.command("sub").argument("<url>", "the server").argument("[channels...]", "one or more"))
  .description("print messages, a line each, until it is stopped")
  .option("--since <position>", "first what came after a position", wholeNumber)
  .option("--last <n>", "first the newest so many that are kept", wholeNumber)
  .option("--count <n>", "end after so many messages", wholeNumber)
  .option("--until-caught-up", "end when all that was missed has come")
  .option(
    "--cursor <file>",
    "go on where the last run with this file was; it is written after each line has gone out",
  )
  .option("--json", "print objects: channel, text, position")
  .option("--raw", "print lines of the protocol: <channel>!<text>")
  .option(
    "--exec <command>",
    "run a command for each message, which is its standard input, instead of printing it",
  )
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, channels] = split(command.args);
      if (channels.length === 0) throw new Exit(USAGE, "a channel is missing");
      return sub(url, channels, options);
    }),
  );

server(
  program.command("pub").argument("<url>", "the server").argument("[words...]", "a channel, and a message"),
)
  .description("announce a message, or each line of standard input")
  .option("--key <key>", "announce it once, however often this is run; with -<n> for line n of the input")
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, [channel, message, ...more]] = split(command.args);
      if (channel === undefined) throw new Exit(USAGE, "a channel is missing");
      if (more.length > 0) throw new Exit(USAGE, "a message is one argument: put it in quotes");
      return pub(url, channel, message, options);
    }),
  );

server(program.command("ping").argument("[url]", "the server"))
  .description("print how long it takes there and back")
  .option("--count <n>", "so many times", wholeNumber, 1)
  .action((_, options, command: Command) => act(async () => ping(split(command.args)[0], options)));

server(program.command("info").argument("[url]", "the server"))
  .description("print the figures of the server")
  .option("--json", "as an object")
  .action((_, options, command: Command) => act(async () => info(split(command.args)[0], options)));

const BENCH_EXAMPLE = `
Whether a thousand connections hear 20 messages a second of 1 kB each, for a minute:

  fanout bench wss://fanout.example.workers.dev --connections 1000 --rate 20 --size 1000 --seconds 60

It ends with 3 if a message was lost, repeated or out of order, or a connection was closed.`;

server(program.command("bench").argument("[url]", "the server"))
  .description("have many connections hear one channel, and measure what comes, and how soon")
  .option("--connections <n>", "that listen", positiveNumber, 100)
  .option("--rate <n>", "messages a second", positiveNumber, 100)
  .option("--size <bytes>", "of each message", positiveNumber, 100)
  .option("--seconds <n>", "for so long", positiveNumber, 10)
  .option("--channel <name>", "the channel, instead of a new one named bench-…")
  .option("--json", "print an object")
  .addHelpText("after", BENCH_EXAMPLE)
  .action((_, options, command: Command) => act(async () => bench(split(command.args)[0], options)));

const DOCTOR_EXAMPLE = `
After a deployment, with a token where one is needed, which may subscribe to and announce on doctor-*:

  fanout doctor wss://fanout.example.workers.dev

Each line begins with ok, note or bad; what is bad says what to do, and has it end with 1.`;

server(program.command("doctor").argument("[url]", "the server"))
  .description("try out whether a server does all that it should, in less than a minute")
  .addHelpText("after", DOCTOR_EXAMPLE)
  .action((_, options, command: Command) => act(async () => doctor(split(command.args)[0], options)));

program
  .command("bridge")
  .description("let programs in that speak the original protocol over TCP")
  .addOption(new Option("--to <url>", "the server").env("FANOUT_URL").makeOptionMandatory())
  .option("--listen <host:port>", "where to listen; port 0 takes any that is free", "127.0.0.1:1986")
  .addOption(new Option("--token <jwt>", "what lets one in, where a token is needed").env("FANOUT_TOKEN"))
  .action((options) => act(() => bridgeFrom(options)));

program
  .command("token")
  .description("make a token to try things out with")
  .addOption(new Option("--secret <secret>", "the server's TOKEN_SECRET").env("TOKEN_SECRET"))
  .option("--subscribe <channels...>", "names, and beginnings that end in *", [])
  .option("--announce <channels...>", "likewise", [])
  .option("--operate", "may see what the service does")
  .option("--expires <time>", "from now, like 30m, 12h or 7d", "1h")
  .action((options) => act(() => token(options)));

endWithPipe();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(DONE));
await program.parseAsync();
