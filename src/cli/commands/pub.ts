/** `fanout pub`: announces one message, or each line of standard input or a file. */
import { open } from "node:fs/promises";
import type { Fanout } from "../../client/fanout.ts";
import { utf8Length } from "../../protocol/text.ts";
import { codeOf, DONE, Exit, LOCAL, messageOf, USAGE } from "../exits.ts";
import { messagesIn } from "../input.ts";
import { print, remark } from "../output.ts";
import { progressOf } from "../progress.ts";
import { reportConnection, type ServerOptions, serverAt } from "../server.ts";
import { doneWhen } from "../signals.ts";
import { checkChannel, keyOf } from "../values.ts";
import { jsonOf } from "../visible.ts";
import { Window } from "../window.ts";

/**
 * Most pending announcements, and their bytes: enough for the client to have the next frame ready when the server has
 * replied to the one before. At a limit, reading the input pauses.
 */
const MAX_PENDING = 16_000;
const MAX_BYTES = 1_000_000;

export interface PubOptions extends ServerOptions {
  key?: string;
  /** Prints an object for each message, in the order of the input. */
  json?: boolean;
  /** A file instead of standard input. */
  file?: string;
  /** Most lines per second. */
  rate?: number;
  /** Whether messages end with NUL instead of a line break. */
  null?: boolean;
}

/** @returns the exit code */
export async function pub(
  url: string,
  channel: string,
  message: string | undefined,
  options: PubOptions,
): Promise<number> {
  checkWords(channel, message, options);
  const { fanout, inTime } = serverAt(url, { ...options, linesPerSecond: options.rate });
  if (message !== undefined) {
    const position = await inTime(fanout.announce(channel, message, { key: options.key }));
    if (options.json) await print(jsonOf({ channel, position }));
    else if (process.stderr.isTTY) remark(`announced${position === undefined ? "" : ` as ${position}`}`);
  } else {
    const input = await inputOf(options);
    await inTime(fanout.ping());
    await pubAll(fanout, channel, input, options);
  }
  await fanout.close();
  return DONE;
}

/** @throws Exit if the channel or the message isn't valid */
function checkWords(channel: string, message: string | undefined, options: PubOptions): void {
  checkChannel(channel);
  if (message === undefined) return;
  if (options.file !== undefined || options.null) {
    throw new Exit(USAGE, "--file and --null are for messages that aren't arguments; leave the message out");
  }
  if (message === "") throw new Exit(USAGE, "the message is empty; it has at least one character");
  if (message.includes("\n")) {
    throw new Exit(USAGE, "the message has a line break; a message is one line. Standard input takes several lines");
  }
}

/** Opens the input, so that a file that can't be read is reported before anything else. */
async function inputOf({ file }: PubOptions): Promise<AsyncIterable<Uint8Array>> {
  if (file === undefined || file === "-") return readable(process.stdin);
  try {
    const handle = await open(file);
    if ((await handle.stat()).isDirectory()) throw new Error(`${file} is a folder`);
    return readable(handle.createReadStream());
  } catch (error) {
    throw new Exit(USAGE, `the input can't be read: ${messageOf(error)}`);
  }
}

/** Yields the input. @throws Exit if it can't be read */
async function* readable(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield* input;
  } catch (error) {
    const code = codeOf(error) === "EISDIR" ? USAGE : LOCAL;
    throw new Exit(code, `the input can't be read: ${messageOf(error)}`);
  }
}

async function pubAll(
  fanout: Fanout,
  channel: string,
  input: AsyncIterable<Uint8Array>,
  { key, json, null: isNull }: PubOptions,
): Promise<void> {
  const progress = progressOf(process.stderr.isTTY === true && process.stdin.isTTY !== true);
  reportConnection(fanout);
  const window = new Window(MAX_PENDING, MAX_BYTES, () => progress.advance());
  doneWhen(() => window.count === 0);
  let printed = Promise.resolve();
  let lines = 0;
  try {
    for await (const { number, text } of messagesIn(input, isNull ? 0 : 10)) {
      lines = number;
      // A line's key depends on its number, so running the same command again announces nothing twice.
      const lineKey = keyOf(key, number);
      if (window.isFull) await window.room();
      window.check();
      const announced = fanout.announce(channel, text, { key: lineKey });
      // Lines that aren't printed are pending too, so that a reader that stalls pauses the input.
      if (json) printed = printed.then(async () => print(jsonOf({ channel, line: number, position: await announced })));
      window.add(utf8Length(text), json ? Promise.all([printed, announced]) : announced);
    }
    await window.empty();
  } finally {
    progress.clear();
  }
  if (lines === 0) remark("the input is empty, so nothing was announced; is the channel missing before the message?");
  else if (process.stderr.isTTY) remark(progress.summary());
}
