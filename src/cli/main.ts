#!/usr/bin/env node
/** The program `fanout`. */
import { Argument, Command, Option } from "commander";
import { VERSION } from "../version.ts";
import { info, ping } from "./commands/ask.ts";
import { bench } from "./commands/bench.ts";
import { bridgeFrom } from "./commands/bridge.ts";
import { completionFor } from "./commands/completion.ts";
import { doctor } from "./commands/doctor.ts";
import { pub } from "./commands/pub.ts";
import { sub } from "./commands/sub.ts";
import { token } from "./commands/token.ts";
import { DONE, Exit, LOCAL, messageOf, USAGE } from "./exits.ts";
import { endWithPipe, print, remark } from "./output.ts";
import { tokenFor } from "./secrets.ts";
import { endWithSignals } from "./signals.ts";
import {
  channelCommand,
  channelName,
  key,
  MOST_SECONDS,
  nonEmpty,
  pattern,
  position,
  wholeNumber,
} from "./values.ts";

const ENDINGS = `
Exit codes: 0 done, 1 the doctor found something bad, 2 the command is wrong, 3 messages have expired or were lost,
4 the server refuses it, 5 no reply in time, 6 the server can't be reached, 7 this machine failed (a full disk, a
cursor in use), 130 or 143 interrupted with work left. With --exec, the code of a command that fails.

<url> may be left out where FANOUT_URL is set. A token is read from FANOUT_TOKEN or --token-file.`;

/** Options of all commands that need a server. */
function server(command: Command): Command {
  return command
    .option("--token-file <file>", "a file with the token, instead of FANOUT_TOKEN", nonEmpty)
    .option("--timeout <seconds>", "how long to wait for the server", wholeNumber(1, MOST_SECONDS), 10);
}

/** Returns the address and the options of a command with no other words. */
function withServer<Options extends { tokenFile?: string }>(
  command: Command,
  options: Options,
): [url: string, options: Options & { token: string | undefined }] {
  const [url, more] = split(command.args);
  if (more.length > 0) throw new Exit(USAGE, `'${more[0]}' is no address; one looks like wss://example.com`);
  return [url, withToken(url, options)];
}

/** Adds the token to the options of a command. */
function withToken<Options extends { tokenFile?: string }>(url: string, options: Options) {
  return { ...options, token: tokenFor(url, options.tokenFile) };
}

/** The address, and the words after it: the first one of all where there is one in the environment only if it looks like it. */
function split(words: string[]): [url: string, rest: string[]] {
  const [first = "", ...rest] = words;
  if (/^\w+:\/\//.test(first)) return [first, rest];
  const url = process.env.FANOUT_URL;
  if (url) return [url, words];
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
      remark(messageOf(error));
      process.exit(error instanceof Exit ? error.code : LOCAL);
    },
  );
}

const SUB_EXAMPLE = `
A pipe can lose messages: the cursor advances when a line is in the pipe, whether or not the consumer reads it. These
lose nothing, and repeat at most the messages that were being processed:

  fanout sub <url> news --cursor place --exec ./process    # the cursor advances when ./process ends with 0
  mkfifo acks
  fanout sub <url> news --cursor place --json --ack 3 3<acks | ./consumer >acks    # writes positions, one per line`;

server(program.command("sub").argument("<url>", "the server").argument("[channels...]", "one or more"))
  .description("print messages, one per line, until it is stopped")
  .option("--since <position>", "first messages after a position", position)
  .option("--last <n>", "first the newest messages that are retained", wholeNumber(1))
  .option("--count <n>", "end after so many messages", wholeNumber(1))
  .option("--until-caught-up", "end when all missed messages are processed")
  .option("--cursor <file>", "resume where the last run with this file was", nonEmpty)
  .option(
    "--ack <fd>",
    "advance the cursor by positions that this file descriptor receives",
    wholeNumber(3, 1_000),
  )
  .option("--json", "print objects: channel, text, position; gaps too")
  .option("--raw", "print lines of the protocol: <channel>!<text>, with control characters")
  .option("--exec <command>", "run a command for each message, which is its standard input", nonEmpty)
  .addOption(
    new Option("--on <channel=command>", "subscribe to a channel with a command of its own; repeatable")
      .argParser(channelCommand)
      .default(new Map<string, string>(), "none"),
  )
  .addHelpText("after", SUB_EXAMPLE)
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, channels] = split(command.args);
      return sub(url, channels, withToken(url, options));
    }),
  );

const PUB_EXAMPLE = `
After --, words that begin with - are a message: fanout pub <url> news -- "-5 degrees"`;

server(
  program.command("pub").argument("<url>", "the server").argument("[words...]", "a channel, and a message"),
)
  .description("announce a message, or each line of standard input")
  .option(
    "--key <key>",
    "announce it once, however often this is run; with -<n> for line n of the input",
    key,
  )
  .option("--file <file>", "announce the lines of a file instead of standard input", nonEmpty)
  .option("-0, --null", "messages of the input end with NUL instead of a line break")
  .option("--json", "print an object for each message: channel, line, position")
  .addHelpText("after", PUB_EXAMPLE)
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, [channel, message, ...more]] = split(command.args);
      if (channel === undefined) throw new Exit(USAGE, "a channel is missing");
      if (more.length > 0) throw new Exit(USAGE, "a message is one argument: put it in quotes");
      return pub(url, channel, message, withToken(url, options));
    }),
  );

server(program.command("ping").argument("[url]", "the server"))
  .description("print the round-trip time")
  .option("--count <n>", "so many times", wholeNumber(1), 1)
  .action((_, options, command: Command) => act(async () => ping(...withServer(command, options))));

server(program.command("info").argument("[url]", "the server"))
  .description("print the figures of the server")
  .option("--json", "as an object")
  .action((_, options, command: Command) => act(async () => info(...withServer(command, options))));

const BENCH_EXAMPLE = `
Whether a thousand connections hear 20 messages a second of 1 kB each, for a minute:

  fanout bench wss://fanout.example.workers.dev --connections 1000 --rate 20 --size 1000 --seconds 60

It ends with 3 if a message was lost, repeated or out of order, or a connection was closed.`;

server(program.command("bench").argument("[url]", "the server"))
  .description("have many connections hear one channel, and measure what comes, and how soon")
  .option("--connections <n>", "that listen", wholeNumber(1, 100_000), 100)
  .option("--rate <n>", "messages a second", wholeNumber(1, 100_000), 100)
  .option("--size <bytes>", "of each message", wholeNumber(1, 1_000_000), 100)
  .option("--seconds <n>", "for so long", wholeNumber(1, MOST_SECONDS), 10)
  .option("--channel <name>", "the channel, instead of a new one named bench-…", channelName)
  .option("--json", "print an object")
  .addHelpText("after", BENCH_EXAMPLE)
  .action((_, options, command: Command) => act(async () => bench(...withServer(command, options))));

const DOCTOR_EXAMPLE = `
After a deployment, with a token where one is needed, which may subscribe to and announce on doctor-*:

  fanout doctor wss://fanout.example.workers.dev

Each line begins with ok, note or bad; what is bad says what to do, and has it end with 1.`;

server(program.command("doctor").argument("[url]", "the server"))
  .description("try out whether a server does all that it should, in less than a minute")
  .addHelpText("after", DOCTOR_EXAMPLE)
  .action((_, options, command: Command) => act(async () => doctor(...withServer(command, options))));

program
  .command("bridge")
  .description("let programs in that speak the original protocol over TCP")
  .addOption(new Option("--to <url>", "the server").env("FANOUT_URL").makeOptionMandatory())
  .option("--listen <host:port>", "where to listen; port 0 takes any that is free", "127.0.0.1:1986")
  .option("--token-file <file>", "a file with the token, instead of FANOUT_TOKEN", nonEmpty)
  .action((options) => act(async () => bridgeFrom(withToken(options.to, options))));

program
  .command("token")
  .description("make a token to try things out with")
  .option("--secret-file <file>", "a file with the server's TOKEN_SECRET, instead of that variable", nonEmpty)
  .option("--subscribe <channels...>", "names, and prefixes followed by *", pattern, [])
  .option("--announce <channels...>", "likewise", pattern, [])
  .option("--operate", "may see what the service does")
  .option("--expires <time>", "from now, like 30m, 12h or 7d", "1h")
  .action((options) => act(() => token(options)));

program
  .command("completion")
  .description('print a script for a shell: eval "$(fanout completion bash)"')
  .addArgument(new Argument("<shell>").choices(["bash", "zsh"]))
  .action((shell) =>
    act(async () => {
      await print(completionFor(shell, program));
      return DONE;
    }),
  );

endWithPipe();
endWithSignals();
await program.parseAsync();
