#!/usr/bin/env node
/** The program `fanout`. */
import { Argument, Command, Option } from "commander";
import { Refused } from "../client/fanout.ts";
import { VERSION } from "../version.ts";
import { info, ping } from "./commands/ask.ts";
import { bench } from "./commands/bench.ts";
import { bridgeFrom } from "./commands/bridge.ts";
import { completionFor } from "./commands/completion.ts";
import { deploy } from "./commands/deploy.ts";
import { doctor } from "./commands/doctor.ts";
import { members } from "./commands/members.ts";
import { channels, revoke } from "./commands/operators.ts";
import { pub } from "./commands/pub.ts";
import { serve } from "./commands/serve.ts";
import { sub } from "./commands/sub.ts";
import { token } from "./commands/token.ts";
import { DONE, Exit, messageOf, REFUSED, UNEXPECTED, USAGE } from "./exits.ts";
import { endWithPipe, print, remark } from "./output.ts";
import { isExposed, tokenFor } from "./secrets.ts";
import { endWithSignals } from "./signals.ts";
import {
  channelCommand,
  channelName,
  key,
  MAX_SECONDS,
  memberName,
  nonEmpty,
  pattern,
  position,
  setting,
  wholeNumber,
  workerName,
} from "./values.ts";
import { visible } from "./visible.ts";

const ENDINGS = `
Exit codes: 0 success, 1 the doctor found something bad, 2 invalid command line, 3 messages have expired or were lost,
4 the server refused the command, 5 no reply in time, 6 the server can't be reached, 7 this machine failed (a full disk,
a cursor, folder or port in use), 8 a command of --exec or Wrangler failed, 9 a fault of this program,
130 or 143 interrupted with work left.

<url> defaults to FANOUT_URL. The token is read from FANOUT_TOKEN or --token-file.`;

/** Adds the options of all commands that need a server. */
function server(command: Command): Command {
  return command
    .option("--token-file <file>", "read the token from a file instead of FANOUT_TOKEN", nonEmpty)
    .addOption(new Option("--token <token>").hideHelp())
    .option("--timeout <seconds>", "how long to wait for the server", wholeNumber(1, MAX_SECONDS), 10);
}

/** Returns the action of a command that takes an address, and no other arguments. */
function withServer<Options>(run: (url: string, options: Options) => Promise<number>) {
  return (_: unknown, options: Options & { tokenFile?: string }, command: Command) =>
    act(async () => {
      const [url, more] = split(command.args);
      if (more.length > 0) throw new Exit(USAGE, `'${more[0]}' isn't an address; use the form wss://example.com`);
      return run(url, withToken(url, options));
    });
}

/** Adds the token to the options of a command. @throws Exit if the token is an argument */
function withToken<Options extends { tokenFile?: string; token?: string }>(url: string, options: Options) {
  if (options.token !== undefined) {
    throw new Exit(USAGE, "a token isn't an argument, as other users can see those; set FANOUT_TOKEN or --token-file");
  }
  return { ...options, token: tokenFor(url, options.tokenFile) };
}

/** A host without a scheme: with a port, or with a domain. */
const HOST = /^[\w-]+(\.[\w-]+)*(:\d+|\.[a-z]{2,})(\/[^?#]*)?$/i;

/**
 * Splits arguments into the address and the rest. An argument without a scheme isn't an address, so FANOUT_URL is used.
 */
function split(words: string[]): [url: string, rest: string[]] {
  const [first = "", ...rest] = words;
  if (/^\w+:\/\//.test(first)) return [first, rest];
  const url = process.env.FANOUT_URL;
  if (url) return [url, words];
  if (HOST.test(first)) {
    const scheme = isExposed(`ws://${first}`) ? "wss" : "ws";
    throw new Exit(USAGE, `the address '${first}' has no scheme; use ${scheme}://${first}`);
  }
  throw new Exit(USAGE, "the address is missing; give one, or set FANOUT_URL");
}

/** Names by which other programs call these commands. */
const OTHER_NAMES: Record<string, string> = {
  subscribe: "sub",
  listen: "sub",
  publish: "pub",
  announce: "pub",
  send: "pub",
  start: "serve",
};

/** Puts an error on one line, though it may quote any argument; commander's suggestion follows on the next line. */
function onOneLine(text: string): string {
  const [, error = "", suggestion = ""] = /^(.*?)(\n\(Did you mean [^\n]+\))?\n$/s.exec(text) ?? [];
  return `${visible(error)}${suggestion}\n`;
}

/** Adds the command that was meant to the error about an unknown one. */
function withSuggestion(text: string): string {
  const [error, name = ""] = /^error: unknown command '(\w+)'(?=\n$)/.exec(text) ?? [];
  const meant = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined;
  return error === undefined || meant === undefined ? text : `${error}\n(Did you mean ${meant}?)\n`;
}

const program = new Command("fanout")
  .configureOutput({ outputError: (text, write) => write(withSuggestion(onOneLine(text))) })
  .description("Publish and subscribe with a Fanout server, run one, and deploy one.")
  .version(VERSION)
  .addHelpText("after", ENDINGS)
  .showHelpAfterError("Run 'fanout --help' or 'fanout <command> --help' for what is possible.")
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? DONE : USAGE));

/** Runs a command, and exits with its code. */
function act(work: () => Promise<number>): Promise<void> {
  return work().then(
    (code) => process.exit(code),
    (error: unknown) => fail(error),
  );
}

/** Ends the program with the line and the exit code of an error. An unexpected one is a fault of the program. */
function fail(error: unknown): never {
  if (error instanceof Exit) {
    remark(error.message);
    process.exit(error.code);
  }
  if (error instanceof Refused) {
    remark(error.message);
    process.exit(REFUSED);
  }
  const what = messageOf(error).replaceAll(/\s+/g, " ");
  remark(`unexpected error: ${what}; report it as a fault of fanout ${VERSION}`);
  process.exit(UNEXPECTED);
}

const SUB_EXAMPLE = `
A pipe can lose messages, because the cursor advances when a line is in the pipe, whether or not the consumer reads it.
These commands lose nothing, and repeat at most the messages that were being processed:

  fanout sub <url> news --cursor cursor.json --exec ./process    # advances when ./process exits with 0
  mkfifo acks
  fanout sub <url> news --cursor cursor.json --json --ack 3 3<acks | ./consumer >acks    # advances when it writes positions`;

server(program.command("sub").argument("<url>", "the server").argument("[channels...]", "one or more"))
  .description("print messages, one per line, until stopped")
  .option("--since <position>", "start after a position", position)
  .option("--last <n>", "start with the newest n retained messages", wholeNumber(1))
  .option("--count <n>", "stop after n messages", wholeNumber(1))
  .option("--until-caught-up", "stop when all missed messages are processed")
  .option("--cursor <file>", "resume where the last run with this file stopped", nonEmpty)
  .option("--ack <fd>", "advance the cursor by the positions read from a file descriptor", wholeNumber(3, 1_000))
  .option("--json", "print messages and gaps as JSON objects")
  .option("--raw", "print protocol lines, <channel>!<text>, with control characters")
  .option("--exec <command>", "run a command for each message, with the message as standard input", nonEmpty)
  .addOption(
    new Option("--on <channel=command>", "subscribe to a channel, and run a command for its messages; repeatable")
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
Put -- before a message that begins with -: fanout pub <url> news -- "-5 degrees"`;

server(program.command("pub").argument("<url>", "the server").argument("[words...]", "a channel, and a message"))
  .description("announce a message, or each line of standard input")
  .option("--key <key>", "idempotency key; line n of the input gets <key>-<n>", key)
  .option("--file <file>", "read lines from a file instead of standard input", nonEmpty)
  .option("-0, --null", "separate messages of the input by NUL instead of line breaks")
  .option("--rate <n>", "most lines per second, below the server's LINES_PER_SECOND", wholeNumber(1, 1_000_000), 8_000)
  .option("--json", "print a JSON object for each message: channel, line, position")
  .addHelpText("after", PUB_EXAMPLE)
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, [channel, message, ...more]] = split(command.args);
      if (channel === undefined) throw new Exit(USAGE, "the channel is missing; give it after the address");
      if (more.length > 0) throw new Exit(USAGE, "the message has to be one argument; put it in quotes");
      return pub(url, channel, message, withToken(url, options));
    }),
  );

server(program.command("ping").argument("[url]", "the server"))
  .description("print the round-trip time")
  .option("--count <n>", "number of pings", wholeNumber(1), 1)
  .action(withServer(ping));

server(program.command("info").argument("[url]", "the server"))
  .description("print the server's statistics")
  .option("--json", "print a JSON object")
  .action(withServer(info));

const MEMBERS_EXAMPLE = `
A line is <member>[ <data>]. With --follow, each line begins with a sign:

  = ann {"typing":false}    ann was present at the start
  + bob                     bob entered
  ~ ann {"typing":true}     ann has other data
  - bob                     bob left

After a lost connection, the lines continue with all that has changed meanwhile. Members have a grace period to
reconnect, 15 s by default, in which nothing is printed.`;

server(program.command("members").argument("<url>", "the server").argument("[channel]", "the channel"))
  .description("print the members of a channel, one per line, sorted by name")
  .option("--follow", "print each change too, until stopped")
  .option("--json", "print JSON objects")
  .addHelpText("after", MEMBERS_EXAMPLE)
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, [channel, ...more]] = split(command.args);
      if (channel === undefined) throw new Exit(USAGE, "the channel is missing; give it after the address");
      if (more.length > 0) throw new Exit(USAGE, `'${more[0]}' is one too many; give one channel`);
      return members(url, channel, withToken(url, options));
    }),
  );

server(program.command("channels").argument("[url]", "the server"))
  .description("list the channels in use: name, subscribers, members, newest position; needs the claim 'operate'")
  .option("--prefix <text>", "only channels whose names begin with this", nonEmpty)
  .option("--json", "print a JSON object for each channel")
  .action(withServer(channels));

server(program.command("revoke").argument("<url>", "the server").argument("[sub]", "the claim 'sub' of the tokens"))
  .description("end all connections of a user, and refuse tokens issued before now; needs the claim 'operate'")
  .option("--json", "print a JSON object")
  .action((_, __, options, command: Command) =>
    act(async () => {
      const [url, [sub, ...more]] = split(command.args);
      if (sub === undefined) throw new Exit(USAGE, "the subject is missing; give it after the address");
      if (more.length > 0) throw new Exit(USAGE, "only one subject can be revoked at a time");
      return revoke(url, sub, withToken(url, options));
    }),
  );

const BENCH_EXAMPLE = `
Deliver 20 messages of 1 kB per second to a thousand connections, for a minute:

  fanout bench wss://fanout.example.workers.dev --connections 1000 --rate 20 --size 1000 --seconds 60

The exit code is 3 if a message was lost, repeated or out of order, or a connection was closed.`;

server(program.command("bench").argument("[url]", "the server"))
  .description("measure delivery to many subscribers of one channel")
  .option("--connections <n>", "number of subscribers", wholeNumber(1, 100_000), 100)
  .option("--rate <n>", "messages per second", wholeNumber(1, 100_000), 100)
  .option("--size <bytes>", "size of each message", wholeNumber(1, 1_000_000), 100)
  .option("--seconds <n>", "duration", wholeNumber(1, MAX_SECONDS), 10)
  .option("--channel <name>", "use this channel instead of a new one named bench-…", channelName)
  .option("--json", "print a JSON object")
  .addHelpText("after", BENCH_EXAMPLE)
  .action(withServer(bench));

const DOCTOR_EXAMPLE = `
Run it after each deployment. If the server requires tokens, give one that may subscribe to and announce on doctor-*.

  fanout doctor wss://fanout.example.workers.dev

Each line begins with ok, note or bad. Bad findings say what to do, and the exit code is 1.`;

server(program.command("doctor").argument("[url]", "the server"))
  .description("check that a server works correctly, in less than a minute")
  .addHelpText("after", DOCTOR_EXAMPLE)
  .action(withServer(doctor));

program
  .command("bridge")
  .description("serve the original TCP protocol")
  .addOption(new Option("--to <url>", "the server").env("FANOUT_URL").makeOptionMandatory())
  .option("--listen <host:port>", "where to listen; port 0 means any free port", "127.0.0.1:1986")
  .option("--token-file <file>", "read the token from a file instead of FANOUT_TOKEN", nonEmpty)
  .action((options) => act(async () => bridgeFrom(withToken(options.to, options))));

const SERVE_EXAMPLE = `
Settings are also read from the environment; their values are listed in docs/settings.md. Options take precedence.

  TOKEN_SECRET=… fanout serve --host 0.0.0.0 --data /var/lib/fanout --var HISTORY_SECONDS=600

The runtime, workerd, is installed for your user when you start a server for the first time.`;

program
  .command("serve")
  .description("run a server on this machine, until stopped")
  .option("--port <port>", "where to listen; 0 means any free port", wholeNumber(0, 65_535), 8787)
  .option("--host <host>", "an address of this machine; 0.0.0.0 means all", nonEmpty, "127.0.0.1")
  .option("--data <folder>", "where to store messages; one server at a time can use a folder", nonEmpty, "fanout-data")
  .addOption(
    new Option("--var <NAME=value>", "a setting; repeatable")
      .argParser(setting)
      .default({}, "those of the environment"),
  )
  .option("--secret-file <file>", "read TOKEN_SECRET from a file instead of the environment", nonEmpty)
  .option("--previous-secret-file <file>", "read TOKEN_SECRET_PREVIOUS from a file", nonEmpty)
  .addHelpText("after", SERVE_EXAMPLE)
  .action((options) => act(() => serve(options)));

const DEPLOY_EXAMPLE = `
The first run writes wrangler.toml, worker.js, and a secret to deploy.env, which git ignores. Later runs deploy them with
your changes. Options after -- go to 'wrangler deploy'. Log in with 'npx wrangler login', or set CLOUDFLARE_API_TOKEN.

  fanout deploy --name chat --dry-run    # writes the files
  fanout deploy`;

program
  .command("deploy")
  .argument("[options...]", "options of 'wrangler deploy', after --")
  .usage("[options] [-- <options of wrangler deploy>]")
  .description("deploy a server of your own to Cloudflare, from the current folder")
  .option("--name <name>", "the name of a new server, with which its address begins; fanout by default", workerName)
  .option("--open", "deploy a server that everyone may use, without a secret")
  .option("--dry-run", "write the files, and check them, but deploy nothing")
  .addHelpText("after", DEPLOY_EXAMPLE)
  .action((words, options) => act(() => deploy(options, words)));

program
  .command("token")
  .description("make a token for testing")
  .option("--secret-file <file>", "read the server's secret from a file instead of TOKEN_SECRET", nonEmpty)
  .option("--subscribe <channels...>", "channels to subscribe to: names, and prefixes followed by *", pattern, [])
  .option("--announce <channels...>", "channels to announce on", pattern, [])
  .option("--enter <channels...>", "channels to enter as a member", pattern, [])
  .option("--sub <name>", "the user, and the only name under which the token may enter", memberName)
  .option("--operate", "grant the operators' pages")
  .option("--expires <time>", "time until it expires, such as 30m, 12h or 7d", "1h")
  .action((options) => act(() => token(options)));

program
  .command("completion")
  .description('print a completion script: eval "$(fanout completion bash)"')
  .addArgument(new Argument("<shell>").choices(["bash", "zsh"]))
  .action((shell) =>
    act(async () => {
      await print(completionFor(shell, program));
      return DONE;
    }),
  );

/** Commands that need no server. The others need a `WebSocket`, which Node has from version 22 on. */
const WITHOUT_SERVER = ["token", "completion"];

program.hook("preAction", (_, command) => {
  const name = command.name();
  if ("WebSocket" in globalThis || WITHOUT_SERVER.includes(name)) return;
  remark(`'fanout ${name}' needs Node.js 22 or newer, and this is ${process.versions.node}`);
  process.exit(USAGE);
});

endWithPipe();
endWithSignals();
process.on("uncaughtException", fail);
await program.parseAsync();
